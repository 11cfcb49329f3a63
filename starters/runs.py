"""Runs as a library: which there are, what each is at, and what an operator says to one."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowExecution, WorkflowUpdateFailedError
from temporalio.service import RPCError

from blueprint.errors import EngineError
from starters.engine import Engine, Run
from workflows.connection import not_there
from workflows.identity import BLOCKED_STEP, COMMIT, ENVIRONMENT, OPERATION, STARTED_BY

T = TypeVar("T")
LOOKS = ("Plan", "Status", "Health", "Releases", "Backups")
"""Types of runs that only look, and are many: lists leave them out."""
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_METADATA = "__temporal_workflow_metadata"
"""The query by which Temporal's own UI asks a run for its current details."""


class UnknownRun(EngineError):
    """Temporal knows no such run."""

    code = "unknown_run"


class DecisionRefused(EngineError):
    """The run refuses the decision: the message says why."""

    code = "decision_refused"


@dataclass(frozen=True)
class RunFacts:
    """A run as Temporal keeps it, worker or no worker."""

    id: str
    """Workflow id: those that change an environment share one."""
    run_id: str
    """Of this run only."""
    operation: str
    """apply, deploy, backup, ..."""
    environment: str
    """Such as "lssm-prod"."""
    status: str
    """waiting (for a person), running, completed, failed, canceled, terminated, ..."""
    waits_for: str
    """What waits for a person: a parked step, or "approval"; empty if nothing does."""
    started_by: str
    """Who or what started it."""
    origin: str
    """From where: the CI run's page; empty if from none."""
    commit: str
    """What it brings; empty if nobody said."""
    since: datetime
    """When it started, UTC."""
    until: datetime | None
    """When it ended, UTC; None while it runs."""
    link: str
    """Its page in Temporal's UI."""


async def runs(engine: Engine, environment: str = "", *, waiting: bool = False, most: int = 20) -> list[RunFacts]:
    """The newest runs, without those that only look.

    Args:
        engine: connected.
        environment: such as "lssm-prod"; all of them if empty.
        waiting: only those that wait for a person.
        most: how many.
    """
    wishes = [f"{OPERATION.name} IS NOT NULL"]
    wishes += [f"WorkflowType != '{name}'" for name in LOOKS]
    wishes += [f"{ENVIRONMENT.name} = '{environment}'"] if environment else []
    wishes += ["NeedsOperator = true", "ExecutionStatus = 'Running'"] if waiting else []
    found = engine.client.list_workflows(" AND ".join(wishes), limit=most)
    return [await _facts(engine, execution) async for execution in found]


async def find(engine: Engine, id: str) -> RunFacts:
    """One run.

    Args:
        engine: connected.
        id: workflow id, which means its latest run, or the id of a run.

    Raises:
        UnknownRun: there is none.
    """
    if _RUN_ID.fullmatch(id):
        async for execution in engine.client.list_workflows(f"RunId = '{id}'", limit=1):
            return await _facts(engine, execution)
    try:
        return await _facts(engine, await engine.client.get_workflow_handle(id).describe())
    except RPCError as error:
        if not not_there(error):
            raise
        raise UnknownRun(
            "there is no such run, or Temporal does not keep it any more",
            subject=id,
            remedy="`scaleway-infra runs` lists them",
        ) from None


async def current_details(run: Run[Any]) -> str:
    """What the run's page says of it at the moment, in Markdown. Needs a worker to answer."""
    metadata: WorkflowMetadata = await run.handle.query(_METADATA, result_type=WorkflowMetadata)
    return metadata.current_details


async def decided(saying: Awaitable[T]) -> T:
    """What an operator's word did.

    Args:
        saying: an update under way: `engine.retry(run)`, say.

    Raises:
        DecisionRefused: it makes no sense.
    """
    try:
        return await saying
    except WorkflowUpdateFailedError as error:
        raise DecisionRefused(getattr(error.cause, "message", str(error.cause))) from None
    except RPCError as error:
        if not not_there(error):
            raise
        raise DecisionRefused("the run has ended: there is nothing to decide any more") from None


async def _facts(engine: Engine, execution: WorkflowExecution) -> RunFacts:
    attributes, memo = execution.typed_search_attributes, await execution.memo()
    status = execution.status.name.lower() if execution.status else "unknown"
    waits_for = attributes.get(BLOCKED_STEP) or "" if status == "running" else ""
    return RunFacts(
        id=execution.id,
        run_id=execution.run_id,
        operation=attributes.get(OPERATION) or execution.workflow_type.lower(),
        environment=attributes.get(ENVIRONMENT) or "",
        status="waiting" if waits_for else status,
        waits_for=waits_for,
        started_by=attributes.get(STARTED_BY) or "somebody",
        origin=str(memo.get("link", "")),
        commit=attributes.get(COMMIT) or "",
        since=execution.start_time,
        until=execution.close_time,
        link=engine.link(execution.id, execution.run_id),
    )
