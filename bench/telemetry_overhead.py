"""What telemetry costs: applies with traces, metrics and logs on against applies without, side by side.

Three stacks take turns, one apply each: one with telemetry and two without, of which the second is the control. What it
seems to cost more than the first is what this measurement cannot see. Machines are slower in one minute than in the
next, so that turns are short, their order changes, and each apply is compared with one close by; and one process is
slower than the next by its luck with memory and hashes, so that all stacks begin anew several times, with the same hash
seed for all three. Nothing waits for Scaleway: the local one answers at once, so that the engine is all there is.

All of the environment's settings are as a worker has them by default, but for where telemetry goes, and when: spans and
lines leave after half a second instead of five, in more and smaller posts, and each turn goes on for longer than that.
So what an apply costs is in its own turn; only metrics, which leave once a minute, may do so in another one.

Wall time is what a person waits for the apply. Processor time is that of the whole turn, of the worker, and of
everything that the stack consists of (Temporal and the local Scaleway besides).

The collector is a part of this process, but only takes bytes while a round lasts: that of a team is another program,
and what it does with them is no cost of the engine's.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from bench.environments import prod
from bench.report import Report
from bench.stack import Stack, request_for
from starters.collector import collecting

NAME = "telemetry-overhead"
SUMMARY = "apply of prod without latency, telemetry on against off, in turns: under 5 %"

ROUNDS, FULL_ROUNDS = 4, 12
"""How often all stacks begin anew."""
ORDERS = 2
"""How often a round goes through all orders in which the three can take their turns."""
MOST = 0.05
_LEAVES_AFTER = 500
"""Milliseconds until spans and lines leave."""
_REST = 1.2
"""Seconds of a turn after the apply."""
_WARM = 3
"""The first applies of a worker's life load what it needs."""
OFF, ON, CONTROL = "off", "on", "control"


class _Cost(NamedTuple):
    wall: float
    worker: float
    """Seconds of processor time that the worker used."""
    stack: float
    """The same of all processes of the stack."""


@dataclass(frozen=True)
class _Side:
    """A stack and its processes."""

    stack: Stack
    processes: Sequence[psutil.Process]

    async def apply(self) -> _Cost:
        """Apply to an empty world, and leave it empty again."""
        empty = self.stack.emulator.snapshot()
        before = self._used()
        outcome = await self.stack.change(request_for(prod()))
        if outcome.output is None:
            raise AssertionError(f"the apply does not end well: {outcome.trouble}")
        await asyncio.sleep(_REST)
        after = self._used()
        self.stack.emulator.restore(empty)
        await self.stack.forget_schedules()
        used = {pid: after[pid] - before[pid] for pid in after}
        return _Cost(outcome.seconds, used[self.stack.dev.worker.pid or 0], sum(used.values()))

    def _used(self) -> dict[int, float]:
        times = {process.pid: process.cpu_times() for process in self.processes}
        return {pid: spent.user + spent.system for pid, spent in times.items()}


async def measure(*, full: bool) -> Report:
    """Apply in turns.

    Args:
        full: more rounds.
    """
    report = Report(("round", "off, s", "on, s", "wall, more", "worker", "stack", "control: wall", "worker", "stack"))
    more: dict[str, list[_Cost]] = {ON: [], CONTROL: []}
    with collecting() as collector:
        for number in range(FULL_ROUNDS if full else ROUNDS):
            costs = await _round(number, collector.url)
            for name, found in more.items():
                found.append(_more(costs[name], costs[OFF]))
            walls = [statistics.median(cost.wall for cost in costs[name]) for name in (OFF, ON)]
            shares = [_percent(share) for name in (ON, CONTROL) for share in more[name][-1]]
            report.rows.append((number + 1, *walls, *shares))
            arrived = f"{len(collector.spans)} spans, {len(collector.metrics)} metrics, {len(collector.logs)} lines"
    report.require(bool(collector.spans and collector.metrics and collector.logs), "something of telemetry is missing")
    report.notes += [f"{name}: {_described(found)}" for name, found in more.items()]
    report.notes.append(f"arrived: {arrived}")
    overhead = statistics.mean(cost.wall for cost in more[ON])
    report.require(overhead < MOST, f"telemetry costs {_percent(overhead)}")
    return report


async def _round(number: int, collector: str) -> Mapping[str, Sequence[_Cost]]:
    seed = {"PYTHONHASHSEED": str(number + 1)}
    leaving = {f"OTEL_{what}_SCHEDULE_DELAY": str(_LEAVES_AFTER) for what in ("BSP", "BLRP")}
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "LOG_FORMAT": "json", **leaving}
    async with AsyncExitStack() as entered:
        orders = [*itertools.permutations((OFF, ON, CONTROL))]
        names = orders[number % len(orders)]
        sides = {name: await _begun(entered, seed | (telemetry if name == ON else {})) for name in names}
        for side in sides.values():
            for _ in range(_WARM):
                await side.apply()
        costs: dict[str, list[_Cost]] = {name: [] for name in names}
        for order in orders * ORDERS:
            for name in order:
                costs[name].append(await sides[name].apply())
        return costs


async def _begun(entered: AsyncExitStack, environment: Mapping[str, str]) -> _Side:
    others = set(psutil.Process().children(recursive=True))
    stack = await entered.enter_async_context(Stack(worker_environment=environment))
    return _Side(stack, [process for process in psutil.Process().children(recursive=True) if process not in others])


def _more(costs: Sequence[_Cost], off: Sequence[_Cost]) -> _Cost:
    """How much more each sort of time is, 0.05 for 5 %: the median of all turns."""
    shares = ([one / other - 1 for one, other in zip(a, b, strict=True)] for a, b in zip(costs, off, strict=True))
    return _Cost(*(statistics.median(sort) for sort in zip(*shares, strict=True)))


def _described(rounds: Sequence[_Cost]) -> str:
    """The mean of the rounds, and twice its standard error."""
    parts = []
    for index, name in enumerate(("wall", "worker's processor", "stack's processors")):
        values = [cost[index] for cost in rounds]
        error = statistics.stdev(values) / math.sqrt(len(values))
        parts.append(f"{name} {_percent(statistics.mean(values))} (± {2 * error:.1%})")
    return ", ".join(parts)


def _percent(value: float) -> str:
    return f"{value:+.1%}"
