"""What telemetry costs: applies with traces, metrics and logs on against applies without, side by side.

Two stacks run at once, of which one always rests. They take turns, who goes first changes with each pair, and each
pair is compared by itself, so that a slow minute of the machine slows both. Nothing waits for Scaleway: the local one
answers at once, so that the engine is all there is. All of the environment's settings are as a worker has them by
default, but for where telemetry goes.

Wall time is what a person waits for the apply. Spans may leave after its end, so each turn goes on for longer than a
worker keeps them, on or off: the other stack does not pay for them. Processor time is that of the whole turn, of the
worker, and of everything that the stack consists of (Temporal and the local Scaleway besides).

The collector is a part of this process, but only takes bytes while anything is measured, and reads them while both
stacks rest: that of a team is another program, and what it does with them is no cost of the engine's.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil

from bench.environments import prod
from bench.report import Report
from bench.stack import Stack, request_for
from starters.collector import Collector, collecting

NAME = "telemetry-overhead"
SUMMARY = "apply of prod without latency, telemetry on against off, in pairs: under 5 %"

PAIRS, FULL_PAIRS = 16, 40
MOST = 0.05
_REST = 6.0
"""Seconds of a turn after the apply: spans and lines leave at the latest five seconds after they have ended."""
_LAST = "CompleteWorkflow:Apply"


@dataclass(frozen=True)
class _Cost:
    wall: float
    worker: float
    """Seconds of processor time that the worker used."""
    stack: float
    """The same of all processes of the stack."""


@dataclass(frozen=True)
class _Side:
    """A stack, its processes, and who gets its telemetry, if anybody does."""

    stack: Stack
    processes: Sequence[psutil.Process]
    collector: Collector | None = None

    async def apply(self) -> _Cost:
        """Apply to an empty world, and leave it empty again."""
        empty = self.stack.emulator.snapshot()
        arrived = self._arrived()
        before = self._used()
        outcome = await self.stack.change(request_for(prod()))
        if outcome.output is None:
            raise AssertionError(f"the apply does not end well: {outcome.trouble}")
        await asyncio.sleep(_REST)
        after = self._used()
        if self.collector and self._arrived() == arrived:
            raise AssertionError(f"{_LAST} has not come within {_REST:g} s")
        self.stack.emulator.restore(empty)
        await self.stack.forget_schedules()
        used = {pid: after[pid] - before[pid] for pid in after}
        return _Cost(outcome.seconds, used[self.stack.dev.worker.pid or 0], sum(used.values()))

    def _arrived(self) -> int:
        return sum(span.name == _LAST for span in self.collector.spans) if self.collector else 0

    def _used(self) -> dict[int, float]:
        times = {process.pid: process.cpu_times() for process in self.processes}
        return {pid: spent.user + spent.system for pid, spent in times.items()}


async def measure(*, full: bool, pairs: int | None = None, most: float | None = MOST) -> Report:
    """Apply in turns.

    Args:
        full: more pairs.
        pairs: how many, instead.
        most: the overhead that is allowed, 0.05 for 5 %; None only reports.
    """
    pairs = pairs or (FULL_PAIRS if full else PAIRS)
    compared: list[tuple[_Cost, _Cost]] = []
    with collecting() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LOG_FORMAT": "json"}
        async with AsyncExitStack() as entered:
            off = await _begun(entered, Stack())
            on = await _begun(entered, Stack(worker_environment=settings), collector)
            # The first two of a worker's life load what it needs.
            for side in (off, on, off, on):
                await side.apply()
            for pair in range(pairs):
                first, second = (off, on) if pair % 2 else (on, off)
                costs = {id(first): await first.apply(), id(second): await second.apply()}
                compared.append((costs[id(off)], costs[id(on)]))
        report = _told(compared, most)
        report.notes.append(
            f"arrived: {len(collector.spans)} spans, {len(collector.metrics)} metrics, {len(collector.logs)} lines"
        )
    return report


async def _begun(entered: AsyncExitStack, stack: Stack, collector: Collector | None = None) -> _Side:
    others = set(psutil.Process().children(recursive=True))
    await entered.enter_async_context(stack)
    own = [process for process in psutil.Process().children(recursive=True) if process not in others]
    return _Side(stack, own, collector)


def _told(compared: Sequence[tuple[_Cost, _Cost]], most: float | None) -> Report:
    report = Report(("pair", "wall off, s", "on, s", "more", "worker off, s", "on, s", "more", "stack, more"))
    walls = [on.wall / off.wall - 1 for off, on in compared]
    workers = [on.worker / off.worker - 1 for off, on in compared]
    stacks = [on.stack / off.stack - 1 for off, on in compared]
    for pair, (off, on) in enumerate(compared):
        wall = (off.wall, on.wall, _percent(walls[pair]))
        worker = (off.worker, on.worker, _percent(workers[pair]))
        report.rows.append((pair + 1, *wall, *worker, _percent(stacks[pair])))
    report.notes.append(f"median of {len(compared)} pairs, and where it lies with 95 % certainty:")
    for name, values in (("wall", walls), ("worker's processor", workers), ("stack's processors", stacks)):
        low, high = _certain(values)
        report.notes.append(f"{name}: {_percent(statistics.median(values))} ({_percent(low)} to {_percent(high)})")
    overhead = statistics.median(walls)
    report.require(most is None or overhead < most, f"telemetry costs {_percent(overhead)}")
    return report


def _certain(values: Sequence[float]) -> tuple[float, float]:
    """Between which of the values their median lies with 95 % certainty, whatever they are distributed like."""
    ordered = sorted(values)
    aside = max(int((len(ordered) - 1.96 * len(ordered) ** 0.5) / 2), 0)
    return ordered[aside], ordered[-1 - aside]


def _percent(value: float) -> str:
    return f"{value:+.1%}"
