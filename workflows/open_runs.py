"""How many runs are open, which of them wait for a person, and what the last looks found: told by every worker.

A gauge that workflows set themselves would keep its last value for ever in a worker that has died, or has handed the
run on. Temporal knows better.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from temporalio.client import Client
from temporalio.common import TypedSearchAttributes

from blueprint.approval import APPROVAL
from telemetry import metrics, settings
from telemetry.catalogue import RUNS
from workflows.identity import BLOCKED_STEP, ENVIRONMENT, NEEDS_OPERATOR, OPERATION
from workflows.last_looks import LastLooks

OPEN = 'ExecutionStatus = "Running"'
STATES = ("running", "parked", "approval")
SHORTEST = 5.0
"""Seconds between two looks at least: each is a query of Temporal's database."""

Key = tuple[str, str, str]
"""Environment, operation and state."""
log = logging.getLogger(__name__)


@asynccontextmanager
async def telling_open_runs(client: Client) -> AsyncIterator[None]:
    """Tell while the block lasts; nothing happens where nobody asked for metrics.

    Args:
        client: connected to Temporal.
    """
    if settings.exporter("metrics") != "otlp":
        yield
        return
    telling = asyncio.create_task(_tell(client, max(settings.metric_interval() / 1000, SHORTEST)))
    try:
        yield
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


async def _tell(client: Client, every: float) -> None:
    known: Mapping[Key, int] = {}
    looks = LastLooks(client)
    while True:
        with _going_on("open runs"):
            found = [run.typed_search_attributes async for run in client.list_workflows(OPEN)]
            known = counted(found, known)
            for (environment, operation, state), number in known.items():
                told = {"environment": environment, "operation": operation, "state": state}
                metrics.record(RUNS, number, told)
        with _going_on("the last looks"):
            await looks.tell()
        await asyncio.sleep(every)


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """Log what goes wrong: mostly Temporal is away, which is no reason to fall silent for ever."""
    try:
        yield
    except Exception as error:
        log.warning("%s cannot be told as metrics: %s", what, type(error).__name__)


def counted(found: Iterable[TypedSearchAttributes], known: Iterable[Key] = ()) -> Mapping[Key, int]:
    """Runs by environment, operation and state.

    Args:
        found: search attributes of the open ones.
        known: those of the last look: what has none any more is 0, and not what it was.
    """
    numbers: Counter[Key] = Counter()
    for run in found:
        environment, operation = run.get(ENVIRONMENT) or "", run.get(OPERATION) or ""
        numbers[environment, operation, _state(run)] += 1
    everywhere = {(environment, operation) for environment, operation, _ in (*numbers, *known)}
    return {(*place, state): numbers[(*place, state)] for place in sorted(everywhere) for state in STATES}


def _state(run: Any) -> str:
    if not run.get(NEEDS_OPERATOR):
        return "running"
    return "approval" if run.get(BLOCKED_STEP) == APPROVAL else "parked"
