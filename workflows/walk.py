"""The walk through a plan: every step begins the moment the steps it needs are done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, CancelledError, is_cancelled_exception
from temporalio.workflow import ActivityHandle

from blueprint import contract
from blueprint.contract import StepInput, StepOutput, Target
from blueprint.errors import Aborted, EngineError
from blueprint.kinds import KINDS
from blueprint.longest_path import longest_path
from blueprint.plan import Change, Plan, Step
from blueprint.resource import Observed, resolve_known
from workflows.calls import ATTEMPT, BUILDING, begin
from workflows.failures import failure, told
from workflows.messages import StepProgress, StepState
from workflows.parking import Decision, Parking

STEPS_AT_ONCE = 64
"""As many as a worker's threads: more would only wait there, where nobody sees them."""


class Walk:
    """Carries out the steps of one plan.

    Args:
        plan: what to do.
        target: the environment.
        parking: where failed steps wait for an operator.
        changed: called whenever a step stands otherwise than before.
    """

    def __init__(self, plan: Plan, target: Target, parking: Parking, changed: Callable[[], None]) -> None:
        self.outputs: dict[str, dict[str, Any]] = dict(plan.outputs)
        """Outputs of everything that exists by now, by resource key."""
        self.states: dict[str, StepState] = {step.id: "waiting" for step in plan.steps}
        """How each step stands, in the order of the plan."""
        self.times: dict[str, list[float]] = {}
        """When each began and, if it has, ended; seconds since the epoch."""
        self._plan = plan
        self._target = target
        self._parking = parking
        self._changes = {change.key: change for change in plan.changes}
        self._changed = changed
        self._finished = {step.id: asyncio.Event() for step in plan.steps}
        self._turns = {step.serial: asyncio.Lock() for step in plan.steps if step.serial}
        self._slots = asyncio.Semaphore(STEPS_AT_ONCE)
        self._calls: dict[str, ActivityHandle[StepOutput]] = {}
        self._stopping = False

    async def run(self) -> None:
        """Walk to the end.

        Cancelling lets the calls in flight come to their end, and begins none.

        Raises:
            ApplicationError: an operator ended the run.
        """
        tasks = [asyncio.create_task(self._walk(step)) for step in self._plan.steps]
        try:
            for task in tasks:
                await asyncio.shield(task)
        except asyncio.CancelledError:
            self._stopping = True
            self._parking.close()
            for handle in self._calls.values():
                handle.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        if self._parking.aborted is not None:
            raise failure(Aborted(f"ended by an operator: {self._parking.aborted}"))

    def progress(self) -> tuple[StepProgress, ...]:
        """Every step as it stands."""
        return tuple(self._progress_of(step.id) for step in self._plan.steps)

    def skipped(self) -> tuple[str, ...]:
        """Ids of the steps that an operator skipped."""
        return tuple(step for step, state in self.states.items() if state == "skipped")

    def longest_path(self) -> float:
        """Seconds that it would have taken without any cost of the engine's own; see `blueprint.longest_path`."""
        seconds = {step: times[-1] - times[0] for step, times in self.times.items()}
        return longest_path(self._plan.steps, seconds)

    # -- one step ----------------------------------------------------------------------------------------------

    def _enter(self, step: Step, state: StepState) -> None:
        self.states[step.id] = state
        self._changed()

    async def _walk(self, step: Step) -> None:
        for before in step.after:
            await self._finished[before].wait()
        try:
            await self._until_it_is_over(step)
        finally:
            self._finished[step.id].set()

    async def _until_it_is_over(self, step: Step) -> None:
        """Try, and try again as often as an operator says so. While it is parked, others may take its turn and slot."""
        turn = self._turns[step.serial] if step.serial else nullcontext()
        while True:
            async with turn, self._slots:
                if self._stopped() or self._would_vouch_in_vain(step):
                    self._enter(step, "dropped")
                    break
                self.times.setdefault(step.id, [workflow.time()])
                trouble = await self._attempt(step)
            if trouble is None or await self._decision(step, trouble) != "retry":
                break
        if step.id in self.times:
            self.times[step.id].append(workflow.time())
            self._changed()

    async def _attempt(self, step: Step) -> str | None:
        """Try once. Returns what went wrong, for an operator to decide about; None if the step is over."""
        self._enter(step, "running")
        try:
            await self._carry_out(step)
        except (ActivityError, EngineError, CancelledError) as error:
            if not self._stopping and not is_cancelled_exception(error):
                return told(error)
            self._enter(step, "dropped")
        else:
            self._enter(step, "done")
        return None

    async def _decision(self, step: Step, trouble: str) -> Decision:
        """Park the step until somebody decides."""
        self._parking.park(step.id, trouble)
        self._enter(step, "parked")
        decision = await self._parking.decision(step.id)
        if decision != "retry":
            self._enter(step, "skipped" if decision == "skip" else "dropped")
        return decision

    async def _carry_out(self, step: Step) -> None:
        changes = tuple(self._resolved(self._changes[key], step) for key in step.changes)
        title = f"{KINDS[changes[0].kind].title}: {step.id}"
        if step.action == "delete":
            await self._call(contract.DELETE, step, changes, title)
        elif step.action != "await":
            activity = contract.CREATE if step.action == "create" else contract.UPDATE
            done = await self._call(activity, step, changes, title)
            self.outputs.update(done.outputs)
            changes = tuple(_with_id(change, done.outputs[change.key]["id"]) for change in changes)
        if step.until == "gone":
            await self._call(contract.WAIT_GONE, step, changes, f"{title}, until it is gone")
        elif step.until == "ready":
            ready = await self._call(contract.WAIT_READY, step, changes, f"{title}, until it is ready")
            self.outputs.update(ready.outputs)

    # -- calls -------------------------------------------------------------------------------------------------

    async def _call(
        self,
        activity: contract.ActivityType[StepInput, StepOutput],
        step: Step,
        changes: tuple[Change, ...],
        title: str,
    ) -> StepOutput:
        """One call of a step, unless the run is cancelled: then it ends its attempt, and is not tried again.

        Raises:
            ActivityError: it failed for good.
            CancelledError: it did not begin.
        """
        if self._stopping:
            raise CancelledError("the run is cancelled")
        attempt = BUILDING if KINDS[changes[0].kind].builds else ATTEMPT
        handle = begin(activity, StepInput(target=self._target, step=step.id, changes=changes), title, attempt=attempt)
        self._calls[step.id] = handle
        try:
            return await handle
        finally:
            del self._calls[step.id]

    def _resolved(self, change: Change, step: Step) -> Change:
        if step.action == "delete" or change.resource is None:
            return change.model_copy(update={"resource": None, "differences": ()})
        resource = change.resource
        inputs = dict(resource.inputs)
        if resource.parent:
            inputs["parent_id"] = {"$ref": resource.parent, "output": "id"}
        resource = resource.model_copy(
            update={
                "fields": resolve_known(resource.fields, self.outputs, change.key),
                "inputs": resolve_known(inputs, self.outputs, change.key),
            }
        )
        return change.model_copy(
            update={"resource": resource, "observed": change.observed if step.action != "create" else None}
        )

    def _would_vouch_in_vain(self, step: Step) -> bool:
        return step.vouches and any(self.states[before] != "done" for before in step.after)

    # -- bookkeeping -------------------------------------------------------------------------------------------

    def _stopped(self) -> bool:
        return self._stopping or self._parking.aborted is not None

    def _progress_of(self, step: str) -> StepProgress:
        times = self.times.get(step, [])
        return StepProgress(
            id=step,
            state=self.states[step],
            started=times[0] if times else None,
            ended=times[1] if len(times) > 1 else None,
            trouble=self._parking.parked.get(step, ""),
        )


def _with_id(change: Change, object_id: str) -> Change:
    """The change with the object that it made, so that the wait knows what to look at."""
    inputs = change.resource.inputs if change.resource else {}
    item = Observed(
        kind=change.kind, name=change.name, id=object_id, parent_id=inputs.get("parent_id", ""), inputs=inputs
    )
    return change.model_copy(update={"observed": item})
