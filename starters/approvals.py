"""Approval as a library: what waits for it, and somebody's word."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowUpdateFailedError

from blueprint.approval import ApprovalRecord, Waiting
from blueprint.errors import EngineError
from starters.engine import Run
from workflows.messages import ApproveInput, RejectInput


class ApprovalRefused(EngineError):
    """The word does not count: the message says why."""

    code = "approval_refused"


async def waiting(run: Run[Any]) -> Waiting | None:
    """What a run would do once it is approved; None if it does not wait for approval. Needs a worker to answer."""
    return (await run.progress()).approval


async def approve(run: Run[Any], by: str, reason: str = "", fingerprint: str = "") -> ApprovalRecord:
    """Let a run do what it shows, if that still is what it would do.

    Args:
        run: which.
        by: who approves it.
        reason: for the record.
        fingerprint: of what was seen; may be empty for as long as the run has shown one only.

    Raises:
        ApprovalRefused: nothing waits, it would do something else by now, or this person may not approve it.
    """
    return await _say(run, "approve", ApproveInput(by=by, reason=reason, fingerprint=fingerprint))


async def reject(run: Run[Any], by: str, reason: str) -> ApprovalRecord:
    """End a run that waits for approval: nothing was changed.

    Raises:
        ApprovalRefused: nothing waits, or no reason is given.
    """
    return await _say(run, "reject", RejectInput(by=by, reason=reason))


async def _say(run: Run[Any], update: str, word: ApproveInput | RejectInput) -> ApprovalRecord:
    try:
        record: ApprovalRecord = await run.handle.execute_update(update, word, result_type=ApprovalRecord)
    except WorkflowUpdateFailedError as error:
        raise ApprovalRefused(getattr(error.cause, "message", str(error.cause))) from None
    return record
