"""What telemetry costs: applies with traces, metrics and logs on against applies without, side by side.

Two stacks run at once, of which one always rests. They take turns, who goes first changes with each pair, and each
pair is compared by itself, so that a slow minute of the machine slows both. Nothing waits for Scaleway: the local one
answers at once, so that the engine is all there is. The collector is a part of this process and takes its share of
the same processors, which makes the result worse than beside a real one, never better.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import psutil

from bench.environments import prod
from bench.report import Report
from bench.stack import Stack, request_for
from starters.collector import Collector, collecting

NAME = "telemetry-overhead"
SUMMARY = "apply of prod without latency, telemetry on against off, in pairs: under 5 %"

PAIRS, FULL_PAIRS = 12, 40
MOST = 0.05


@dataclass(frozen=True)
class _Cost:
    seconds: float
    processor: float
    """Seconds of processor time that the worker used."""


async def measure(*, full: bool, pairs: int | None = None, most: float | None = MOST) -> Report:
    """Apply in turns.

    Args:
        full: more pairs.
        pairs: how many, instead.
        most: the overhead that is allowed, 0.05 for 5 %; None only reports.
    """
    pairs = pairs or (FULL_PAIRS if full else PAIRS)
    walls: list[float] = []
    processors: list[float] = []
    report = Report(("pair", "off, s", "on, s", "overhead", "processor off, s", "processor on, s", "overhead"))
    with collecting() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LOG_FORMAT": "json"}
        async with Stack() as off, Stack(worker_environment=settings) as on:
            for stack in (off, on):
                await _apply(stack)
            for pair in range(pairs):
                order = (off, on) if pair % 2 else (on, off)
                costs = {id(stack): await _apply(stack) for stack in order}
                without, beside = costs[id(off)], costs[id(on)]
                walls.append(beside.seconds / without.seconds - 1)
                processors.append(beside.processor / without.processor - 1)
                report.rows.append(
                    (
                        pair + 1,
                        without.seconds,
                        beside.seconds,
                        _percent(walls[-1]),
                        without.processor,
                        beside.processor,
                        _percent(processors[-1]),
                    )
                )
        report.require(bool(collector.spans), "no spans arrived: nothing was compared")
        report.notes.append(_arrived(collector))
    overhead = statistics.median(walls)
    low, high = _middle(walls)
    report.notes.append(
        f"wall time: {_percent(overhead)} in the median of {pairs} pairs (half of them {_percent(low)} to "
        f"{_percent(high)}); the worker's processor time: {_percent(statistics.median(processors))}"
    )
    report.require(most is None or overhead < most, f"telemetry costs {_percent(overhead)}")
    return report


async def _apply(stack: Stack) -> _Cost:
    """Apply to an empty world, and leave it empty again."""
    empty = stack.emulator.snapshot()
    worker = psutil.Process(stack.dev.worker.pid)
    before = worker.cpu_times()
    outcome = await stack.change(request_for(prod()))
    after = worker.cpu_times()
    if outcome.output is None:
        raise AssertionError(f"the apply does not end well: {outcome.trouble}")
    stack.emulator.restore(empty)
    await stack.forget_schedules()
    return _Cost(outcome.seconds, after.user + after.system - before.user - before.system)


def _middle(values: list[float]) -> tuple[float, float]:
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def _percent(value: float) -> str:
    return f"{value:+.1%}"


def _arrived(collector: Collector) -> str:
    return f"arrived: {len(collector.spans)} spans, {len(collector.metrics)} metrics, {len(collector.logs)} lines"
