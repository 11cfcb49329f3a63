"""What apply and destroy share: plan, compare with what was approved, walk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from blueprint import contract
from blueprint.approval import Proposal
from blueprint.environment import parse
from blueprint.errors import Conflict, EngineError, PlanOutOfDate, Protected, Rejected
from blueprint.plan import MUTATING, Plan
from blueprint.plan_markdown import plan_markdown
from blueprint.release.record import Origin
from blueprint.release.site import site_of
from workflows.approval import Gate
from workflows.calls import look
from workflows.details import AGAIN, described, titled
from workflows.failures import code_of, failure, told
from workflows.identity import STARTED_BY
from workflows.messages import AbortInput, ChangeInput, ChangeOutput, Decided, Phase, Progress, SkipInput
from workflows.parking import Decision, Parking
from workflows.release.timeline import Timeline
from workflows.release.upkeep import Upkeep
from workflows.walk import Walk

STOPPING = "calls in flight come to their end, no further one begins, and another apply goes on from there"
"""What happens if a change is cancelled."""


class ChangeRun:
    """One change of an environment, from plan to end.

    Args:
        input: what to change.
    """

    def __init__(self, input: ChangeInput) -> None:
        self.parking = Parking()
        self._input = input
        self._progress = Progress()
        self._note = ""
        self._operation = "destroy" if input.request.destroy else "apply"
        self._title = titled(f"{self._operation} of {input.request.target.environment}", self._origin())
        self._walk: Walk | None = None
        self._timeline = Timeline(self._show)
        self.gate = Gate(self._look, _proposal, self._timeline)

    async def plan(self) -> Plan:
        """Make the plan again, and refuse it if it is not the approved one.

        Raises:
            ApplicationError: plan_out_of_date, or a conflict or protection stands in the way, or it cannot be made.
        """
        self._show()
        plan = await self.found("nothing was changed, for the plan cannot be made", self._look())
        approved = self._input.fingerprint
        if approved is not None and plan.fingerprint() != approved:
            raise self._failed(
                PlanOutOfDate(
                    f"the plan that was approved ({approved}) is not what would be done now ({plan.fingerprint()}): "
                    "something changed in between",
                    remedy="look at a new plan and approve that",
                )
            )
        if refused := _refusal(plan):
            raise self._failed(refused)
        return plan

    async def found(self, otherwise: str, look: Coroutine[Any, Any, Plan]) -> Plan:
        """What a look finds. If it fails, nobody is asked: a run that changes nothing now keeps no turn for that.

        Args:
            otherwise: what it means if it fails, in words.
            look: the look.

        Raises:
            ApplicationError: it failed, with the code of its failure.
        """
        try:
            return await look
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            text = f"{otherwise}: {told(error)}"
            self.enter("failed", f"{text}.\n\n{AGAIN}")
            raise ApplicationError(text, type=code_of(error) or None, non_retryable=True) from None

    async def approved(self, plan: Plan) -> Plan:
        """Wait for somebody's approval, if the environment's file asks for it and the plan changes anything.

        Returns:
            The plan as it was approved.

        Raises:
            ApplicationError: rejected.
        """
        request = self._input.request
        rules = parse(request.environment).approval
        if rules is None or not plan.pending:
            return plan
        self.enter("approval")
        try:
            return await self.gate.approved(plan, rules, self._operation, request.target.environment, self._origin())
        except Rejected as error:
            raise self._failed(error, self.gate.record) from None

    def _failed(self, error: EngineError, *details: Any) -> ApplicationError:
        """The failure that ends the run before it has changed anything."""
        self.enter("failed", f"{error}.\n\nNothing was changed.")
        return failure(error, *details)

    def _origin(self) -> Origin:
        return self._input.origin or Origin(by=workflow.info().typed_search_attributes.get(STARTED_BY) or "somebody")

    async def _look(self) -> Plan:
        request = self._input.request
        return await look(contract.PLAN, request, f"plan of {request.target.environment}")

    async def carry_out(self, plan: Plan) -> ChangeOutput:
        """Walk through the plan.

        Raises:
            ApplicationError: an operator ended the run.
        """
        try:
            return await self._carried_out(plan)
        except ApplicationError as error:
            self.enter("failed", f"**{error.message}**. What was done stays. {AGAIN}")
            raise
        except asyncio.CancelledError:
            self.enter("failed", f"**It was cancelled**. What was done stays. {AGAIN}")
            raise

    async def _carried_out(self, plan: Plan) -> ChangeOutput:
        self._progress = Progress(phase="changing", fingerprint=plan.fingerprint())
        self._note = ""
        request = self._input.request
        site = None if request.destroy else site_of(parse(request.environment), request.target)
        upkeep = Upkeep(site, self._timeline, self.parking) if site and _touches_nodes(plan) else None
        if upkeep:
            await self._stoppable(upkeep.retire(plan))
        self._walk = Walk(plan, request.target, self.parking, self._show)
        await self._walk.run()
        if upkeep:
            await self._stoppable(upkeep.finish())
        return ChangeOutput(
            counts=plan.counts(),
            fingerprint=plan.fingerprint(),
            skipped=(*self._walk.skipped(), *(upkeep.skipped if upkeep else ())),
            held=tuple(change.key for change in plan.changes if change.action == "held"),
            outputs={key: self._walk.outputs.get(key, {}) for key in sorted(c.key for c in plan.changes if c.resource)},
            approval=self.gate.record,
        )

    async def _stoppable(self, upkeep: Coroutine[Any, Any, None]) -> None:
        """To its end; if the run is cancelled, nodes that have begun to change come to theirs first."""
        task = asyncio.create_task(upkeep)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self._timeline.stop()
            self.parking.close()
            await asyncio.gather(task, return_exceptions=True)
            raise

    def _show(self) -> None:
        walk = self._walk
        workflow.set_current_details(
            described(
                self._title,
                self._progress.phase,
                self._timeline.states | (walk.states if walk else {}),
                self._timeline.times | (walk.times if walk else {}),
                question=self.gate.waiting.details() if self.gate.waiting else self.parking.details(),
                note=self._note,
                stopping=STOPPING,
            )
        )

    def enter(self, phase: Phase, note: str = "") -> None:
        """Say what the run is at.

        Args:
            phase: what.
            note: what else there is to say of it, in Markdown.
        """
        self._progress = self._progress.model_copy(update={"phase": phase})
        self._note = note
        self._show()

    def end(self, output: ChangeOutput) -> None:
        """Say how it went."""
        counts = ", ".join(f"{count} {action}" for action, count in output.counts.items() if count)
        skipped = (
            f"\n\nSkipped by an operator: {', '.join(f'`{step}`' for step in output.skipped)}."
            if output.skipped
            else ""
        )
        self.enter("done", f"Objects: {counts or 'none'}.{skipped}")

    @property
    def longest_path(self) -> float:
        """See `Walk.longest_path`; 0 before the walk."""
        return self._walk.longest_path() if self._walk else 0.0

    def progress(self) -> Progress:
        """The run, seen from outside."""
        steps = self._walk.progress() if self._walk else ()
        return self._progress.model_copy(
            update={"steps": (*self._timeline.progress(), *steps), "approval": self.gate.waiting}
        )


LONGEST_DETAILS = 20_000
"""Characters of a plan on a run's page: more would be read by nobody there."""


def _proposal(plan: Plan) -> Proposal:
    refused = _refusal(plan)
    return Proposal(
        fingerprint=plan.fingerprint(),
        text=plan_markdown(plan, LONGEST_DETAILS, folded=False),
        obstacle=refused.message if refused else "",
    )


def _refusal(plan: Plan) -> EngineError | None:
    """Why this plan cannot be carried out, or None."""
    held = [change for change in plan.changes if change.action == "held"] if plan.destroy else []
    reasons = "; ".join(f"{change.key}: {change.why}" for change in plan.blocked or held)
    if plan.blocked:
        return Conflict(f"conflicts stand in the way: {reasons}")
    return Protected(f"protected objects stay: {reasons}") if held else None


def _touches_nodes(plan: Plan) -> bool:
    """Whether the plan changes nodes that run the application, or what is on them."""
    return any(
        change.kind in ("server", "node_setup", "node_release", "lb_backend") and change.action in MUTATING
        for change in plan.changes
    )


class SteerableRun(Protocol):
    """What can be steered: a run with parked steps."""

    parking: Parking

    def progress(self) -> Progress:
        """The run, seen from outside."""


class Steerable:
    """The updates and queries of every run that changes something. A workflow class inherits them."""

    run_state: SteerableRun

    @workflow.update(name="retry", description="Every parked step tries again: mend the cause first. Needs no data.")
    def retry(self) -> Decided:
        """Every parked step tries again."""
        return self.run_state.parking.retry()

    @retry.validator
    def _validate_retry(self) -> None:
        self._require("retry")

    @workflow.update(
        name="skip",
        description='The parked step counts as done. Needs no data; if several wait: {"step": "...", "reason": "..."}',
    )
    def skip(self, input: SkipInput | None = None) -> Decided:
        """One parked step counts as done."""
        return self.run_state.parking.skip(input or SkipInput())

    @skip.validator
    def _validate_skip(self, input: SkipInput | None = None) -> None:
        self._require("skip", input.step if input else "")

    @workflow.update(
        name="abort",
        description='No further step begins; the run fails. Needs no data; for the record: {"reason": "..."}',
    )
    def abort(self, input: AbortInput | None = None) -> Decided:
        """The run ends as failed."""
        return self.run_state.parking.abort(input or AbortInput())

    @abort.validator
    def _validate_abort(self, input: AbortInput | None = None) -> None:
        self._require("abort")

    def _require(self, decision: Decision, step: str = "") -> None:
        """Refuse a decision that makes no sense.

        Raises:
            ApplicationError: its message says why.
        """
        run = self.run_state
        if run.progress().approval:
            raise ApplicationError("the run waits for approval: send `approve` or `reject`", type="waits_for_approval")
        if refused := run.parking.refusal(decision, step):
            raise ApplicationError(refused, type="decision_refused")

    @workflow.query(name="progress", description="Every step of the plan and its state.")
    def progress(self) -> Progress:
        """Every step and its state."""
        return self.run_state.progress()
