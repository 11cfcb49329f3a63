"""What apply and destroy share: plan, compare with what was approved, walk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from temporalio import workflow

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
from workflows.failures import failure
from workflows.identity import STARTED_BY
from workflows.messages import AbortInput, ChangeInput, ChangeOutput, Decided, Phase, Progress, SkipInput
from workflows.parking import Parking
from workflows.release.timeline import Timeline
from workflows.release.upkeep import Upkeep
from workflows.walk import Walk


class ChangeRun:
    """One change of an environment, from plan to end.

    Args:
        input: what to change.
    """

    def __init__(self, input: ChangeInput) -> None:
        self.parking = Parking()
        self._input = input
        self._progress = Progress()
        self._walk: Walk | None = None
        self._timeline = Timeline(self._show)
        self.gate = Gate(self._look, _proposal, self._timeline)

    async def plan(self) -> Plan:
        """Make the plan again, and refuse it if it is not the approved one.

        Raises:
            ApplicationError: plan_out_of_date, or a conflict or protection stands in the way.
        """
        plan = await self._look()
        approved = self._input.fingerprint
        if approved is not None and plan.fingerprint() != approved:
            raise failure(
                PlanOutOfDate(
                    f"the plan that was approved ({approved}) is not what would be done now ({plan.fingerprint()}): "
                    "something changed in between",
                    remedy="look at a new plan and approve that",
                )
            )
        if refused := _refusal(plan):
            raise failure(refused)
        return plan

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
        operation = "destroy" if request.destroy else "apply"
        try:
            return await self.gate.approved(plan, rules, operation, request.target.environment, self._origin())
        except Rejected as error:
            raise failure(error, self.gate.record) from None

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
        self._progress = Progress(phase="changing", fingerprint=plan.fingerprint())
        request = self._input.request
        site = None if request.destroy else site_of(parse(request.environment), request.target)
        upkeep = Upkeep(site, self._timeline, self.parking) if site and _touches_nodes(plan) else None
        if upkeep:
            await self._stoppable(upkeep.retire(plan))
        self._walk = Walk(plan, request.target, self.parking)
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
        steps = "\n".join(f"- {step.state}: {step.id}" for step in self._timeline.progress())
        waiting = self.gate.waiting.details() if self.gate.waiting else self.parking.details()
        workflow.set_current_details(f"{waiting}\n\n{steps}")

    def enter(self, phase: Phase) -> None:
        """Say what the run is at."""
        self._progress = self._progress.model_copy(update={"phase": phase})

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

    @workflow.update(name="retry", description="Every parked step tries again. Needs no data.")
    def retry(self) -> Decided:
        """Every parked step tries again."""
        return self.run_state.parking.retry()

    @retry.validator
    def _validate_retry(self) -> None:
        self.run_state.parking.require_parked()

    @workflow.update(name="skip", description='A parked step counts as done. Data: {"step": "...", "reason": "..."}')
    def skip(self, input: SkipInput) -> Decided:
        """One parked step counts as done."""
        return self.run_state.parking.skip(input)

    @skip.validator
    def _validate_skip(self, input: SkipInput) -> None:
        self.run_state.parking.require_parked(input.step)

    @workflow.update(name="abort", description='No further step begins; the run fails. Data: {"reason": "..."}')
    def abort(self, input: AbortInput) -> Decided:
        """The run ends as failed."""
        return self.run_state.parking.abort(input)

    @abort.validator
    def _validate_abort(self, input: AbortInput) -> None:
        self.run_state.parking.require_parked()

    @workflow.query(name="progress", description="Every step of the plan and its state.")
    def progress(self) -> Progress:
        """Every step and its state."""
        return self.run_state.progress()
