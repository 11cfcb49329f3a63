"""What the last look at backups, health and drift has found, and how long ago that was, told by every worker.

A gauge says what its worker saw last. With two workers, the one that did not look this time would go on saying what was
true before, and an alarm would ring on, or not at all; and one that has just started would know nothing until the next
night. What runs found is in Temporal, for all of them. Ages go on while nobody looks, so they are told anew each time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, ScheduleListActionStartWorkflow, WorkflowExecution, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from blueprint.contract import DRIFT_WORKFLOW
from blueprint.health.contract import HEALTH_WORKFLOW, HealthOutput
from telemetry import metrics
from telemetry.catalogue import LOOK_AGE, Metric
from telemetry.looks import Figure, Series, of_assets, of_checks, of_drift
from workflows.backup.messages import BackupOutput, DrillOutput
from workflows.identity import ENVIRONMENT
from workflows.messages import DriftOutput


@dataclass(frozen=True)
class _Look:
    """What a type of workflow finds.

    Attributes:
        about: what it looks at: of several about the same, the newest has the last word.
        gives: its result; if it fails, that is in its error's details.
        figures: what it says, of that environment.
        partly: whether one that failed may know a part only.
    """

    about: str
    gives: type[Any]
    figures: Callable[[str, Any], Iterator[Figure]]
    partly: bool = False


_LOOKS: Mapping[str, _Look] = {
    DRIFT_WORKFLOW: _Look("drift", DriftOutput, lambda where, out: of_drift(where, len(out.plan.changes))),
    HEALTH_WORKFLOW: _Look("health", HealthOutput, lambda where, out: of_checks(where, out.checks), partly=True),
    "Backup": _Look("backup", BackupOutput, lambda where, out: of_assets(where, out.assets)),
    "Drill": _Look("backup", DrillOutput, lambda where, out: of_assets(where, out.assets)),
}
_AGES = (DRIFT_WORKFLOW, HEALTH_WORKFLOW)
"""Looks whose own age is told; a backup tells the age of what it made."""
_DONE, _FAILED = "Completed", "Failed"
_TRIED = 5
"""Runs of an environment that are read until one says something: some fail before they have looked."""
_LOST = (RPCStatusCode.NOT_FOUND, RPCStatusCode.DATA_LOSS)
log = logging.getLogger(__name__)


class LastLooks:
    """Tells what the last looks found, however old they are: as far back as Temporal keeps runs.

    Args:
        client: connected to Temporal.
        listed_within: how much later than others Temporal may list a run that has ended.
    """

    def __init__(self, client: Client, listed_within: timedelta = timedelta(minutes=1)) -> None:
        self._client = client
        self._listed_within = listed_within
        self._known: dict[tuple[str, str, str], datetime] = {}
        """By type, end and environment: when the newest run ended that was read, or could not be."""
        self._since: dict[tuple[str, str], datetime] = {}
        """By type and end: all runs that were listed by then are known."""
        self._found: dict[tuple[str, str], Mapping[Series, tuple[datetime, Figure]]] = {}
        """By what it is about and environment: what the last looks say, and when they ended."""
        self._scheduled: dict[tuple[str, str], datetime] = {}
        """By type and environment: since when there is a schedule for it."""

    async def tell(self) -> None:
        """Take in what is new, and tell everything as it is now.

        Raises:
            RPCError: Temporal does not answer; what was known before is told all the same.
        """
        try:
            for name in _LOOKS:
                for end in (_DONE, _FAILED):
                    async for environment in self._news(name, end):
                        await self._take(name, end, environment)
                    # Not before: if Temporal goes away halfway, the rest would never be asked for again.
                    ended = [at for (*which, _), at in self._known.items() if which == [name, end]]
                    if ended:
                        self._since[name, end] = max(ended)
            before, self._scheduled = self._scheduled, await self._schedules()
            for gone in before.keys() - self._scheduled.keys():
                _forget(LOOK_AGE, self._about(*gone))
        finally:
            self._record(datetime.now(UTC))

    async def _news(self, name: str, end: str) -> AsyncIterator[str]:
        """Environments where a run of that type has ended so since the last time, each once."""
        query = f'WorkflowType = "{name}" AND ExecutionStatus = "{end}" AND {ENVIRONMENT.name} IS NOT NULL'
        if since := self._since.get((name, end)):
            query += f' AND CloseTime > "{(since - self._listed_within).isoformat()}"'
        found: list[str] = []
        while True:
            listed = ", ".join(f'"{environment}"' for environment in found)
            others = f"{query} AND {ENVIRONMENT.name} NOT IN ({listed})" if found else query
            runs = [run async for run in self._client.list_workflows(others, limit=1, page_size=1)]
            if not runs:
                return
            found.append(runs[0].typed_search_attributes[ENVIRONMENT])
            yield found[-1]

    async def _take(self, name: str, end: str, environment: str) -> None:
        """Keep what the newest of an environment's runs says that says anything."""
        query = f'WorkflowType = "{name}" AND ExecutionStatus = "{end}" AND {ENVIRONMENT.name} = "{environment}"'
        key = name, end, environment
        newest = known = self._known.get(key)
        async for run in self._client.list_workflows(query, limit=_TRIED, page_size=_TRIED):
            assert run.close_time
            if known and run.close_time <= known:
                break
            newest = max(newest or run.close_time, run.close_time)
            if figures := await self._figures(run, _LOOKS[name], environment):
                whole = end == _DONE or not _LOOKS[name].partly
                self._keep((_LOOKS[name].about, environment), run.close_time, figures, whole=whole)
                break
        if newest:
            self._known[key] = newest

    def _keep(self, about: tuple[str, str], ended: datetime, figures: Iterable[Figure], *, whole: bool) -> None:
        """Put what a look says in place of what older ones say; what it could not look at is as it was."""
        before = self._found.get(about, {})
        if any(at >= ended for at, _ in before.values()):
            return
        now = {figure.series: (ended, figure) for figure in figures}
        for series in before.keys() - now.keys() if whole else ():
            _forget(before[series][1].metric, before[series][1].attributes)
        self._found[about] = now if whole else {**before, **now}

    async def _figures(self, run: WorkflowExecution, look: _Look, environment: str) -> tuple[Figure, ...]:
        """What a run says; nothing if it failed before it found anything, or cannot be read, which is logged."""
        try:
            output = await self._output(run, look.gives)
            return tuple(look.figures(environment, output)) if output is not None else ()
        except Exception as error:
            if isinstance(error, RPCError) and error.status not in _LOST:
                raise
            # It is of other code, written with a key that is not here, or lost: to try again would not help.
            log.warning("what %s (%s) found cannot be read: %s", run.id, run.run_id, type(error).__name__)
            return ()

    async def _output(self, run: WorkflowExecution, gives: type[Any]) -> Any:
        """What a run found; None if it failed before it found anything."""
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id, result_type=gives)
        try:
            return await handle.result(follow_runs=False)
        except WorkflowFailureError as error:
            details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
            return gives.model_validate(details[0]) if details else None

    async def _schedules(self) -> dict[tuple[str, str], datetime]:
        """Since when each environment is looked at by the clock: where it is not, no look is missing."""
        found = {}
        async for schedule in await self._client.list_schedules():
            action = schedule.schedule.action if schedule.schedule else None
            if isinstance(action, ScheduleListActionStartWorkflow) and action.workflow in _AGES:
                key = action.workflow, schedule.typed_search_attributes.get(ENVIRONMENT) or ""
                found[key] = self._scheduled.get(key) or await self._made(schedule.id)
        return found

    async def _made(self, schedule_id: str) -> datetime:
        description = await self._client.get_schedule_handle(schedule_id).describe()
        return description.info.created_at

    def _record(self, now: datetime) -> None:
        for found in self._found.values():
            for ended, figure in found.values():
                metrics.record(figure.metric, figure.after((now - ended).total_seconds()), figure.attributes)
        for (name, environment), made in self._scheduled.items():
            # One that failed has not seen everything; and before there was a schedule, nobody had to look.
            looked = max(made, self._known.get((name, _DONE, environment), made))
            metrics.record(LOOK_AGE, (now - looked).total_seconds(), self._about(name, environment))

    @staticmethod
    def _about(name: str, environment: str) -> dict[str, str]:
        return {"environment": environment, "operation": _LOOKS[name].about}


def _forget(metric: Metric, attributes: Mapping[str, str]) -> None:
    """Nobody looks at it any more: a gauge keeps its last value, and no alarm rings for a NaN."""
    metrics.record(metric, math.nan, attributes)
