"""Following a run to its end, and what to say when it does not get there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from rich.live import Live
from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError
from temporalio.service import RPCError

from blueprint.errors import EngineError, by_code
from starters.cli.exits import Exit
from starters.cli.session import Session
from starters.engine import Engine, Run
from starters.render.progress_tree import ProgressLines, progress_tree
from starters.transfers import transfers
from workflows.messages import Progress

T = TypeVar("T")
LOOK_EVERY = 0.5
"""Seconds between two looks at a run."""
SILENT_FOR = 10.0
"""Seconds of waiting after which to ask whether a worker is there at all: one that just started is not yet known."""


class RunFailed(EngineError):
    """A run ended in a failure that has no class of its own."""

    code = "run_failed"


class WaitsForOperator(EngineError):
    """A step is parked, and nothing else of the run can go on."""

    code = "waits_for_operator"
    exit_code = int(Exit.OPERATOR)


def failure_of(error: WorkflowFailureError) -> EngineError:
    """What a failed run says, in the engine's own words and with its own code."""
    cause: BaseException | None = error.cause
    while isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, CancelledError):
        return RunFailed("was cancelled", remedy="start it again: it goes on from where it is")
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    code = cause.type if isinstance(cause, ApplicationError) and cause.type else "run_failed"
    known = by_code(code)
    failed = (RunFailed if known is EngineError else known)(message)
    if isinstance(cause, ApplicationError):
        failed.details = tuple(cause.details)
    return failed


async def follow(session: Session, engine: Engine, run: Run[T], target: str) -> T:
    """Show the run until it ends.

    Raises:
        EngineError: it failed.
        WaitsForOperator: it cannot go on without a person.
    """
    ending = asyncio.create_task(run.result())
    lines = ProgressLines(session.stderr)
    live = Live(console=session.stderr, refresh_per_second=8, transient=True) if session.stderr.is_terminal else None
    try:
        with live or _Nothing():
            stuck_before = False
            while not ending.done():
                await asyncio.wait([ending], timeout=LOOK_EVERY)
                progress = await _progress(run)
                if progress is None:
                    continue
                moving = await transfers(engine, run)
                if live:
                    live.update(progress_tree(progress, moving))
                else:
                    lines.tell(progress, moving)
                # Twice in a row: in between, the next step may just be about to begin.
                if _is_stuck(progress) and stuck_before:
                    raise _waiting(progress, run, target)
                stuck_before = _is_stuck(progress)
        return await ending
    except WorkflowFailureError as error:
        raise failure_of(error) from None
    finally:
        ending.cancel()


async def patiently(session: Session, engine: Engine, doing: Awaitable[T], what: str) -> T:
    """Wait for a short run; after a few seconds say what for.

    Raises:
        EngineError: it failed, or no worker is there to do it.
    """
    task = asyncio.ensure_future(doing)
    status = session.stderr.status(f"{what} …") if session.stderr.is_terminal else _Nothing()
    try:
        with status:
            waited = 0.0
            while not task.done():
                await asyncio.wait([task], timeout=SILENT_FOR)
                waited += SILENT_FOR
                if not task.done() and not await engine.has_worker():
                    raise RunFailed(
                        f"no worker listens on {engine.task_queue!r}",
                        remedy="start one: `scaleway-infra dev` has one, or `python -m worker`",
                    )
        return await task
    except WorkflowFailureError as error:
        raise failure_of(error) from None
    finally:
        task.cancel()


async def _progress(run: Run[Any]) -> Progress | None:
    """The run's progress; None while no worker can tell, once it has closed, or if it has no steps to tell of."""
    try:
        return await asyncio.wait_for(run.progress(), timeout=5)
    except (RPCError, WorkflowQueryFailedError, TimeoutError):
        return None


def _is_stuck(progress: Progress) -> bool:
    """Whether every step that could go on waits for an operator."""
    return bool(progress.parked) and not any(step.state == "running" for step in progress.steps)


def _waiting(progress: Progress, run: Run[Any], target: str) -> WaitsForOperator:
    troubles = "; ".join(f"{step.id}: {step.trouble}" for step in progress.parked)
    return WaitsForOperator(
        f"waits for an operator: {troubles}",
        subject=target,
        remedy=f"mend the cause, then `scaleway-infra retry`, `skip` or `abort`, here or in the UI: {run.link}",
    )


class _Nothing:
    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, *args: object) -> None:
        """Nothing to end."""
