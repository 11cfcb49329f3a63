"""The worker is killed at a moment of a run, and whoever keeps it starts it again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from bench.crash_sweep import all_taken_up, in_flight
from bench.moments import Moment
from starters.dev import Dev
from starters.engine import Engine, Run
from workflows.messages import Progress

ENDS = 300.0
"""Seconds after which a run that has not ended is stuck."""
NEVER = 60.0
"""Seconds after a worker's start from which on what was under way counts as forgotten."""
LOOK_EVERY = 0.05
_RUN_ID = re.compile(r"_\d{8}t\d{6}z\w+|\d{8}T\d{6}Z-\w+/?")


async def come(run: Run[Any], moment: Moment) -> None:
    """Wait for a moment of a run, or for its end."""
    while True:
        due = moment.due(steady(await run.progress()))
        if due is not None:
            await asyncio.sleep(max(due - time.time(), 0.0))
            return
        if not await is_running(run):
            return
        await asyncio.sleep(LOOK_EVERY)


async def kill_worker(dev: Dev, engine: Engine, run: Run[Any]) -> tuple[int, float]:
    """Kill the worker and wait until its successor has taken up what a run had under way.

    Returns:
        How many attempts that were, and the seconds that it took from the successor's start.
    """
    worker = dev.worker.pid
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    under_way = [(each, await in_flight(each)) for each in await _with_children(engine, run)]
    async with asyncio.timeout(ENDS):
        # Whoever keeps it takes the longer, the shorter the one before lived: killing often is a sweep's doing.
        while dev.worker.pid == worker:
            await asyncio.sleep(LOOK_EVERY)
    restarted = time.monotonic()
    for each, attempts in under_way:
        while not await all_taken_up(each, attempts) and time.monotonic() - restarted < NEVER:
            await asyncio.sleep(LOOK_EVERY)
    return sum(len(attempts) for _, attempts in under_way), time.monotonic() - restarted


async def ended(run: Run[Any]) -> str:
    """Wait for a run's end. Returns what is wrong if it does not come; the run is terminated then."""
    deadline = time.monotonic() + ENDS
    while await is_running(run):
        if time.monotonic() > deadline:
            progress = await run.progress()
            parked = "; ".join(f"{step.id}: {step.trouble}" for step in progress.parked)
            await run.handle.terminate("a measurement waits for nobody")
            return f"not ended after {ENDS:.0f} s, in the phase {progress.phase}; parked: {parked or 'nothing'}"
        await asyncio.sleep(4 * LOOK_EVERY)
    return ""


async def is_running(run: Run[Any]) -> bool:
    """Whether it has not ended."""
    return (await run.handle.describe()).status == WorkflowExecutionStatus.RUNNING


def steady(progress: Progress) -> Progress:
    """The same, without the ids of runs in the names of its steps: they are others in the next run."""
    steps = tuple(step.model_copy(update={"id": _RUN_ID.sub("", step.id)}) for step in progress.steps)
    return progress.model_copy(update={"steps": steps})


async def _with_children(engine: Engine, run: Run[Any]) -> list[Run[Any]]:
    """A run, with those that it has started and waits for."""
    raw = (await run.handle.describe()).raw_description
    found = [run]
    for child in raw.pending_children:
        handle = engine.client.get_workflow_handle(child.workflow_id, run_id=child.run_id)
        found += await _with_children(engine, Run(handle, run.link))
    return found
