"""Temporal Schedules, kept like any other resource of an environment."""

from __future__ import annotations

import builtins
from collections.abc import Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.backup.contract import SCHEDULED_WORKFLOW, ScheduledInput
from blueprint.contract import (
    DRIFT_WORKFLOW,
    ENVIRONMENT_ATTRIBUTE,
    OPERATION_ATTRIBUTE,
    STARTED_BY_ATTRIBUTE,
    PlanInput,
)
from blueprint.errors import Busy, Gone, Refused, Unavailable
from blueprint.health.contract import HEALTH_WORKFLOW, HealthSite
from blueprint.introduction import Introduction
from blueprint.kinds.schedule import SCHEDULES, carried, digest, looked_at
from blueprint.plan import Difference
from blueprint.release.record import Origin
from blueprint.resource import Observed, Resource

T = TypeVar("T")

_ENVIRONMENT = SearchAttributeKey.for_keyword(ENVIRONMENT_ATTRIBUTE)
_OPERATION = SearchAttributeKey.for_keyword(OPERATION_ATTRIBUTE)
_STARTED_BY = SearchAttributeKey.for_keyword(STARTED_BY_ATTRIBUTE)

Input = PlanInput | ScheduledInput | HealthSite
_INPUTS: dict[str, type[Input]] = {
    DRIFT_WORKFLOW: PlanInput,
    SCHEDULED_WORKFLOW: ScheduledInput,
    HEALTH_WORKFLOW: HealthSite,
}
"""What goes into the workflows that our schedules start."""

_TRANSIENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
}


class ScheduleLifecycle(Lifecycle):
    """The environment's schedules, found by their ids.

    Ours by the search attribute `Environment`, since an adoption can set it later; the memo, which only a create can
    set, says the same to people. Whether a schedule is paused is the operators' business: it is neither compared nor
    changed.

    The server turns a cron expression into a calendar, so the expression travels along as the calendar's comment. The
    file, or what it says of backups, is the schedule's own input: its digest is compared.
    """

    kind = "schedule"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. One call for each schedule there can be: the list of schedules lags behind."""
        return self._found(*(self.cloud.names.schedule(what) for what in SCHEDULES))

    def find(self, resource: Resource) -> Sequence[Observed]:
        """See `Lifecycle`. One call."""
        return self._found(resource.name)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        client = self.cloud.temporal.client
        note = f"Kept by scaleway-infra: change schedules in the environment file of {self._stem}, or pause it here."
        schedule = self._wanted(resource, ScheduleState(note=note))
        memo = dict(tag.split("=", 1) for tag in self.cloud.names.tags)
        self._run(client.create_schedule(resource.name, schedule, memo=memo, search_attributes=self._mark()))
        return resource.name

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`. A pause, and the note that gives its reason, stay."""

        def change(input: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(self._wanted(resource, input.description.schedule.state), self._mark())

        self._run(self._handle(item.id).update(change))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self._run(self._handle(item.id).delete())

    @property
    def _stem(self) -> str:
        return self.cloud.names.stem

    def _handle(self, schedule_id: str) -> ScheduleHandle:
        return self.cloud.temporal.client.get_schedule_handle(schedule_id)

    def _mark(self) -> TypedSearchAttributes:
        return TypedSearchAttributes([SearchAttributePair(_ENVIRONMENT, self._stem)])

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run a call of the client; what goes wrong has one of our names."""
        try:
            return self.cloud.temporal.run(call)
        except ScheduleAlreadyRunningError:
            raise Busy("Temporal says that the schedule exists already") from None
        except TimeoutError:
            raise Unavailable("no answer from Temporal about a schedule") from None
        except RPCError as error:
            text = f"Temporal, about a schedule: {error.status.name}: {error.message}"
            # Deleting a schedule ends a workflow of Temporal's own: the second delete hears that this is completed.
            if error.status == RPCStatusCode.NOT_FOUND:
                raise Gone(text) from None
            if error.status in _TRANSIENT:
                raise Unavailable(text) from None
            raise Refused(text, remedy="check what TEMPORAL_API_KEY may do in the namespace, then retry") from None

    # -- what exists -------------------------------------------------------------------------------------------

    def _found(self, *schedule_ids: str) -> builtins.list[Observed]:
        found = []
        for schedule_id in schedule_ids:
            try:
                found.append(self._observed(*self._run(self._describe(schedule_id))))
            except Gone:
                continue
        return found

    async def _describe(self, schedule_id: str) -> tuple[ScheduleDescription, Input | None]:
        """The schedule with its input; None for an input that is not ours."""
        description = await self._handle(schedule_id).describe()
        action = description.schedule.action
        if not isinstance(action, ScheduleActionStartWorkflow) or action.workflow not in _INPUTS:
            return description, None
        try:
            decoded = await self.cloud.temporal.client.data_converter.decode(action.args, [_INPUTS[action.workflow]])
        except (ValueError, LookupError, RuntimeError, TypeError):
            return description, None
        return description, decoded[0] if len(decoded) == 1 else None

    def _observed(self, description: ScheduleDescription, input: Input | None) -> Observed:
        schedule = description.schedule
        action = schedule.action if isinstance(schedule.action, ScheduleActionStartWorkflow) else None
        return Observed(
            kind=self.kind,
            name=description.id,
            id=description.id,
            fields={
                "cron": _cron(schedule.spec),
                "every": _every(schedule.spec),
                "time_zone": schedule.spec.time_zone_name or "UTC",
                "jitter": _seconds(schedule.spec.jitter),
                "overlap": schedule.policy.overlap.name.lower(),
                "catch_up": _seconds(schedule.policy.catchup_window),
                "starts": {"workflow": action.workflow, "id": action.id, "task_queue": action.task_queue}
                if action
                else None,
                "file": self._digest(input),
            },
            outputs={"id": description.id},
            status="paused" if schedule.state.paused else "ready",
            ownership="ours" if description.typed_search_attributes.get(_ENVIRONMENT) == self._stem else "foreign",
        )

    def _digest(self, input: Input | None) -> str | None:
        """What tells the input from any other; None for one of another target, or not of ours."""
        match input:
            case PlanInput() if input.target == self.cloud.target:
                return digest(input.environment)
            case ScheduledInput() if input.site.target == self.cloud.target:
                return digest(carried(input))
            case HealthSite() if input.target == self.cloud.target:
                return digest(looked_at(input))
        return None

    # -- what should exist -------------------------------------------------------------------------------------

    def _wanted(self, resource: Resource, state: ScheduleState) -> Schedule:
        fields = resource.fields
        what = resource.key.partition(".")[2]
        introduction = Introduction(what, self._stem, Origin(by=f"schedule {resource.name}"))
        return Schedule(
            action=ScheduleActionStartWorkflow(
                fields["starts"]["workflow"],
                self._input(resource),
                id=fields["starts"]["id"],
                task_queue=fields["starts"]["task_queue"],
                memo=introduction.memo,
                static_summary=introduction.summary,
                static_details=introduction.details,
                typed_search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(_ENVIRONMENT, self._stem),
                        SearchAttributePair(_OPERATION, what),
                        SearchAttributePair(_STARTED_BY, introduction.origin.by),
                    ]
                ),
            ),
            spec=ScheduleSpec(
                cron_expressions=[f"{fields['cron']} # {fields['cron']}"] if fields["cron"] else [],
                intervals=[ScheduleIntervalSpec(timedelta(seconds=fields["every"]))] if fields["every"] else [],
                time_zone_name=fields["time_zone"],
                jitter=timedelta(seconds=fields["jitter"]),
            ),
            policy=SchedulePolicy(
                overlap=ScheduleOverlapPolicy[fields["overlap"].upper()],
                catchup_window=timedelta(seconds=fields["catch_up"]),
            ),
            state=state,
        )

    def _input(self, resource: Resource) -> Input:
        target = self.cloud.target
        if "environment" in resource.inputs:
            return PlanInput(target=target, environment=resource.inputs["environment"])
        if "health" in resource.inputs:
            return HealthSite.model_validate({**resource.inputs["health"], "target": target})
        scheduled = resource.inputs["scheduled"]
        site = {**scheduled["site"], "target": target}
        return ScheduledInput.model_validate({**scheduled, "site": site})


def _cron(spec: ScheduleSpec) -> str | None:
    """The expression that the calendar was made of; None if times were added or changed by hand."""
    others: builtins.list[Any] = [*spec.intervals, *spec.skip, *spec.cron_expressions, spec.start_at, spec.end_at]
    return spec.calendars[0].comment if len(spec.calendars) == 1 and not any(others) else None


def _every(spec: ScheduleSpec) -> float | None:
    """The interval, if that is all there is."""
    others: builtins.list[Any] = [*spec.calendars, *spec.skip, *spec.cron_expressions, spec.start_at, spec.end_at]
    if len(spec.intervals) != 1 or any(others) or spec.intervals[0].offset:
        return None
    return spec.intervals[0].every.total_seconds()


def _seconds(span: timedelta | None) -> float:
    return span.total_seconds() if span else 0.0


LIFECYCLES = (ScheduleLifecycle,)
