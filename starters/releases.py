"""Releases as a library: the freeze of an environment, and the records of its deploys and rollbacks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from blueprint.contract import Target
from blueprint.errors import EngineError
from blueprint.introduction import Introduction
from blueprint.release.facts import FreezeFacts
from blueprint.release.record import RECORD, ReleaseRecord
from starters.engine import Engine, Run
from starters.origin import origin
from workflows.connection import not_there
from workflows.freeze import Freeze
from workflows.identity import attributes_of, freeze_id
from workflows.messages import FreezeInput


class FrozenAlready(EngineError):
    """The environment is frozen."""

    code = "frozen_already"


class NotFrozen(EngineError):
    """The environment is not frozen."""

    code = "not_frozen"


async def freeze(engine: Engine, target: Target, reason: str, hours: float | None = None) -> FreezeFacts:
    """Refuse deploys from now on.

    Args:
        engine: connected.
        target: the environment.
        reason: what whoever is refused is told.
        hours: after which it ends by itself.

    Raises:
        FrozenAlready: it is.
    """
    now = time.time()
    by, until = origin(), now + hours * 3600 if hours else None
    introduction = Introduction("freeze", target.environment, by, f"Reason: {reason}")
    facts = FreezeFacts(by=by.by, reason=reason, since=now, until=until)
    try:
        await engine.client.start_workflow(
            Freeze.run,
            FreezeInput(freeze=facts),
            id=freeze_id(target.environment),
            task_queue=engine.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            search_attributes=attributes_of(introduction),
            memo=introduction.memo | {"reason": facts.reason} | ({"until": facts.until} if facts.until else {}),
            static_summary=introduction.summary,
            static_details=introduction.details,
        )
    except WorkflowAlreadyStartedError:
        raise FrozenAlready("is frozen already", subject=target.environment, remedy="unfreeze it first") from None
    return facts


async def unfreeze(engine: Engine, target: Target) -> None:
    """Let deploys begin again.

    Raises:
        NotFrozen: nothing was frozen.
    """
    handle = engine.client.get_workflow_handle(freeze_id(target.environment))
    try:
        if (await handle.describe()).status != WorkflowExecutionStatus.RUNNING:
            raise NotFrozen("is not frozen", subject=target.environment)
        await handle.cancel()
    except RPCError as error:
        if not not_there(error):
            raise
        raise NotFrozen("is not frozen", subject=target.environment) from None


async def records(engine: Engine, target: Target, most: int = 20) -> list[ReleaseRecord]:
    """Records of the newest deploys and rollbacks, the newest first as Temporal lists them, while it keeps them."""
    query = f"Environment = '{target.environment}' AND Operation IN ('deploy', 'rollback')"
    found: list[ReleaseRecord] = []
    async for execution in engine.client.list_workflows(query, limit=most * 2):
        value = await execution.memo_value(RECORD, None)
        found.extend(_as_record(value))
        if len(found) == most:
            break
    return found


async def record_of(run: Run[ReleaseRecord]) -> ReleaseRecord | None:
    """The record of a run that has ended, however it did; None while it is under way."""
    description = await run.handle.describe()
    return next(iter(_as_record(await description.memo_value(RECORD, None))), None)


def _as_record(value: Any) -> Iterable[ReleaseRecord]:
    """The record in a memo; none if there is none, or one of a version that we cannot read."""
    if value is None:
        return
    try:
        yield ReleaseRecord.model_validate(value)
    except ValidationError:
        return
