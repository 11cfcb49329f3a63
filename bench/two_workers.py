"""Two workers, of which one is killed every few seconds under many runs at once: all end, and nothing is doubled.

SIGKILL in turns, and whoever keeps them starts the dead one again at once. The same runs without a kill, and with no
latency, say what has to be there in the end and how many objects were asked for; no create may be asked for twice.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from dataclasses import dataclass, field

from bench.crash_sweep import RESUMED_WITHIN, all_taken_up, in_flight
from bench.emulator import Document
from bench.environments import apart
from bench.report import Report
from bench.stack import Outcome, Stack, request_for
from bench.state import State, differences, normalised
from bench.workers import listens, worker_of
from starters.child import Child
from starters.engine import Run
from workflows.messages import ChangeOutput

NAME = "two-workers"
SUMMARY = "two workers, one killed every 10 s under 20 runs: all end, none doubled, nothing late"

RUNS, FEW_RUNS = 20, 6
SECONDS, FEW_SECONDS = 300.0, 6.0
"""How long runs are begun anew."""
EVERY, OFTEN = 10.0, 3.0
"""Seconds between two kills."""
LATENCY, LITTLE = 0.3, 0.03
"""Factor on Scaleway's delays: runs have to be under way when somebody dies."""
PATIENCE = 900.0
_LOOK_EVERY = 0.2
_SHOWN = 500


@dataclass
class Kills:
    """What came of the kills.

    Attributes:
        count: how many.
        in_flight: attempts that died with their worker, all in all.
        slowest: seconds until the last of them was taken up, at the worst kill.
    """

    count: int = 0
    in_flight: int = 0
    slowest: float = 0.0


@dataclass
class Round:
    """Runs at the same time, on an empty world.

    Attributes:
        outcomes: how each ended.
        created: how often each operation that creates was asked for.
        world: what there is at the end.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    created: dict[str, int] = field(default_factory=dict)
    world: State = field(default_factory=dict)


async def measure(*, full: bool) -> Report:
    """Apply and kill, again and again.

    Args:
        full: five minutes with 20 runs at a time instead of a few.
    """
    report = Report(("round", "runs", "ended", "slowest run s", "creates", "of undisturbed", "end"))
    count = RUNS if full else FEW_RUNS
    async with Stack() as stack:
        second = worker_of(stack.endpoints, stack.folder / "logs" / "second-worker.log")
        second.start()
        try:
            await listens(second)
            empty = stack.emulator.snapshot()
            undisturbed = await _round(stack, empty, count)
            stack.emulator.set_latency(LATENCY if full else LITTLE)
            _judge(report, "undisturbed", undisturbed, undisturbed)
            kills = await _killing(stack, second, report, (empty, undisturbed), full=full)
        finally:
            second.stop()
    report.notes.append(
        f"{kills.count} kills; {kills.in_flight} attempts died with their worker; "
        f"the last one was taken up after {kills.slowest:.1f} s at most (at most {RESUMED_WITHIN:.0f})"
    )
    report.require(kills.in_flight > 0, "no kill met anything")
    report.require(kills.slowest < RESUMED_WITHIN, f"taken up only after {kills.slowest:.1f} s")
    return report


async def _killing(stack: Stack, second: Child, report: Report, clean: tuple[Document, Round], *, full: bool) -> Kills:
    kills = Kills()
    runs: list[Run[ChangeOutput]] = []
    killing = asyncio.create_task(_kill(stack.dev.worker, second, runs, kills, EVERY if full else OFTEN))
    began = time.monotonic()
    number = 0
    empty, undisturbed = clean
    try:
        while time.monotonic() - began < (SECONDS if full else FEW_SECONDS):
            number += 1
            found = await _round(stack, empty, len(undisturbed.outcomes), runs)
            _judge(report, str(number), found, undisturbed)
            if killing.done():
                break
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    if killing.done() and not killing.cancelled():
        killing.result()
    return kills


async def _round(stack: Stack, empty: Document, count: int, under_way: list[Run[ChangeOutput]] | None = None) -> Round:
    stack.emulator.restore(empty)
    await stack.forget_schedules()
    stack.emulator.forget_requests()
    started = time.monotonic()
    runs = [await stack.begin(request_for(apart(number))) for number in range(1, count + 1)]
    if under_way is not None:
        under_way[:] = runs
    outcomes = await asyncio.gather(*(stack.finish(run, started, patience=PATIENCE) for run in runs))
    operations = stack.emulator.requests()["operations"]
    created = {operation: number for operation, number in operations.items() if _creates(operation)}
    return Round(list(outcomes), created, normalised(stack.emulator.snapshot()))


def _creates(operation: str) -> bool:
    """Whether asking for it twice could make two of something."""
    return operation.startswith("POST /")


async def _kill(first: Child, second: Child, runs: list[Run[ChangeOutput]], kills: Kills, every: float) -> None:
    """Kill one and the other, until cancelled; never while the one before is not back: of two, one is killed."""
    due = time.monotonic() + every
    for times in itertools.count(2):
        for worker in (first, second):
            await asyncio.sleep(due - time.monotonic())
            due = time.monotonic() + every
            pid = worker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            while worker.returncode is None:
                await asyncio.sleep(_LOOK_EVERY / 10)
            died = time.monotonic()
            worker.start()
            lost = [(run, await _of(run, pid)) for run in list(runs)]
            kills.count += 1
            kills.in_flight += sum(len(attempts) for _, attempts in lost)
            taken_up = [_taken_up(run, attempts, died) for run, attempts in lost if attempts]
            kills.slowest = max(kills.slowest, *await asyncio.gather(*taken_up), 0.0)
            await listens(worker, times)


async def _taken_up(run: Run[ChangeOutput], attempts: dict[str, str], died: float) -> float:
    """Seconds from a worker's death until all that it had of a run was in other hands, or clearly never will be."""
    while not await all_taken_up(run, attempts) and time.monotonic() - died < 4 * RESUMED_WITHIN:
        await asyncio.sleep(_LOOK_EVERY)
    return time.monotonic() - died


async def _of(run: Run[ChangeOutput], pid: int) -> dict[str, str]:
    """Attempts of a run that a worker had: Temporal names it by its process and host."""
    return {name: worker for name, worker in (await in_flight(run)).items() if worker.startswith(f"{pid}@")}


def _judge(report: Report, name: str, found: Round, undisturbed: Round) -> None:
    ended = [outcome for outcome in found.outcomes if outcome.output]
    other = differences(undisturbed.world, found.world)
    report.rows.append(
        (
            name,
            len(found.outcomes),
            len(ended),
            max(outcome.seconds for outcome in found.outcomes),
            sum(found.created.values()),
            sum(undisturbed.created.values()),
            "other" if other else "same",
        )
    )
    for outcome in found.outcomes:
        report.require(not outcome.trouble, f"round {name}, {outcome.workflow_id}: {outcome.trouble}"[:_SHOWN])
    report.require(not other, f"round {name}: " + "; ".join(other)[:_SHOWN])
    for operation, times in found.created.items():
        wanted = undisturbed.created.get(operation, 0)
        report.require(times <= wanted, f"round {name}: {operation} {times} times, not {wanted}")
