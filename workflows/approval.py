"""The gate of a protected environment: a run shows what it would do, and waits for somebody's word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from blueprint.approval import APPROVAL, ApprovalRecord, Proposal, Waiting, moved, refusal
from blueprint.environment.approval import Approval
from blueprint.errors import Rejected
from blueprint.release.record import Origin
from workflows.failures import told
from workflows.messages import ApproveInput, RejectInput
from workflows.parking import show_blocked
from workflows.release.timeline import Stopped, Timeline

P = TypeVar("P")
REFUSED = "approval_refused"
"""Code of the failure of an update that does not count."""


class Gate(Generic[P]):
    """Lets a run on once somebody has approved exactly what it would do.

    Args:
        look: finds out once more what would be done.
        proposal: shows what was found.
        timeline: where the wait is a step.
    """

    def __init__(self, look: Callable[[], Awaitable[P]], proposal: Callable[[P], Proposal], timeline: Timeline) -> None:
        self.waiting: Waiting | None = None
        """What waits; None if nothing does."""
        self.record: ApprovalRecord | None = None
        """How it was decided; None if it was not."""
        self._look = look
        self._proposal = proposal
        self._timeline = timeline
        self._approved: P | None = None
        self._deciding = asyncio.Lock()
        self._closed = False

    async def approved(self, found: P, rules: Approval, operation: str, environment: str, asked: Origin) -> P:
        """Wait for an approval.

        Args:
            found: what would be done.
            rules: of the environment.
            operation: what the run is.
            environment: such as "lssm-prod".
            asked: who asked for it.

        Returns:
            What will be done, as it was found when it was approved.

        Raises:
            Rejected: somebody said no, or nobody anything in time.
            Stopped: the gate was closed.
        """
        self.waiting = Waiting(
            environment=environment,
            operation=operation,
            proposal=self._proposal(found),
            by=asked.by,
            link=asked.link,
            until=workflow.time() + rules.timeout,
            others_only=rules.others_only,
        )
        show_blocked(APPROVAL)
        self._timeline.parked(APPROVAL, self.waiting.trouble)
        try:
            await self._decided(timedelta(seconds=rules.timeout))
        finally:
            self.waiting = None
            show_blocked(None)
            self._timeline.decided(APPROVAL, "done" if self._approved is not None else "dropped")
        if self.record is None:
            raise Stopped
        workflow.upsert_memo({APPROVAL: self.record})
        # Whoever decided hears of it before the run ends.
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._approved is None:
            raise Rejected(f"{self.record}; nothing was changed", subject=environment)
        return self._approved

    def close(self) -> None:
        """Nobody is asked any more: the run is cancelled."""
        self._closed = True

    async def _decided(self, patience: timedelta) -> None:
        try:
            await workflow.wait_condition(
                lambda: self.record is not None or self._closed,
                timeout=patience,
                timeout_summary="until somebody approves or rejects it",
            )
        except TimeoutError:
            async with self._deciding:  # An approval that came in time may still be looking.
                if self.record is None:
                    self._record("timed out", "", "nobody approved or rejected it in time")

    # -- words -------------------------------------------------------------------------------------------------

    def require_approvable(self, input: ApproveInput) -> None:
        """Validator of `approve`.

        Raises:
            ApplicationError: the word does not count; its message says why.
        """
        _require(refusal("approve", self.waiting, self.record, input.by, input.reason, input.fingerprint))

    def require_rejectable(self, input: RejectInput) -> None:
        """Validator of `reject`.

        Raises:
            ApplicationError: the word does not count; its message says why.
        """
        _require(refusal("reject", self.waiting, self.record, input.by, input.reason))

    async def approve(self, input: ApproveInput) -> ApprovalRecord:
        """Look once more; if it still is what was shown, the run goes on with it. If not, it shows what it is now.

        Raises:
            ApplicationError: the approval does not count.
        """
        word = input
        if self.waiting and not word.fingerprint:
            # Whoever has to wait for another one's word has not seen what that one makes of the proposal. And a replay
            # has no validator, which asks for the fingerprint since it matters: earlier runs took such words like this.
            word = word.model_copy(update={"fingerprint": self.waiting.proposal.fingerprint})
        async with self._deciding:
            self.require_approvable(word)
            assert self.waiting
            try:
                found = await self._look()
            except ActivityError as error:
                raise _refused(f"it cannot be found out what would be done now: {told(error)}") from None
            # Meanwhile somebody may have rejected it.
            self.require_approvable(word)
            now = self._proposal(found)
            if trouble := moved(self.waiting.proposal, now):
                anew = self.waiting.anew or now.fingerprint != self.waiting.proposal.fingerprint
                self.waiting = self.waiting.model_copy(update={"proposal": now, "changed": trouble, "anew": anew})
                self._timeline.parked(APPROVAL, self.waiting.trouble)
                raise _refused(trouble)
            self._approved = found
            return self._record("approved", word.by, word.reason)

    def reject(self, input: RejectInput) -> ApprovalRecord:
        """The run ends, and nothing was changed."""
        return self._record("rejected", input.by, input.reason)

    def _record(self, decision: Any, by: str, reason: str) -> ApprovalRecord:
        assert self.waiting
        self.record = ApprovalRecord(
            decision=decision,
            by=by.strip(),
            reason=reason.strip(),
            at=workflow.time(),
            fingerprint=self.waiting.proposal.fingerprint,
        )
        workflow.logger.info("%s", self.record)
        return self.record


class ApprovableRun(Protocol):
    """What can be approved: a run with a gate."""

    gate: Gate[Any]


class Approvable:
    """The updates of every run that may have to wait for approval. A workflow class inherits them."""

    run_state: ApprovableRun

    @workflow.update(
        name="approve",
        description='What is shown is carried out. Data: {"by": "your name", "reason": "...", "fingerprint": "..."}',
    )
    async def approve(self, input: ApproveInput) -> ApprovalRecord:
        """What is shown is carried out, if it still is what would be done."""
        return await self.run_state.gate.approve(input)

    @approve.validator
    def _validate_approve(self, input: ApproveInput) -> None:
        self.run_state.gate.require_approvable(input)

    @workflow.update(
        name="reject",
        description='The run ends, and nothing was changed. Data: {"by": "your name", "reason": "..."}',
    )
    def reject(self, input: RejectInput) -> ApprovalRecord:
        """The run ends, and nothing was changed."""
        return self.run_state.gate.reject(input)

    @reject.validator
    def _validate_reject(self, input: RejectInput) -> None:
        self.run_state.gate.require_rejectable(input)


def _require(trouble: str) -> None:
    if trouble:
        raise _refused(trouble)


def _refused(trouble: str) -> ApplicationError:
    return ApplicationError(trouble, type=REFUSED, non_retryable=True)
