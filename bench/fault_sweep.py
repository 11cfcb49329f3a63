"""Every mutating request of an apply and of a destroy goes wrong once, in each way there is; the end is the same.

A clean run is recorded first: which operations it called, how often, and what exists at its end. Then each call is
struck in a trial of its own, addressed by operation and ordinal ("the third `S3 PutBucketTagging`"), since the order
in which steps run side by side changes from run to run. Trials begin from a snapshot, so one takes seconds.

The short form strikes, for each kind of fault, the first call of every operation within one and the same run, and
adds a sample of single trials. That is harder on the engine than one fault at a time, though less to the point.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.emulator import Document
from bench.environments import prod
from bench.report import Report
from bench.stack import Stack, request_for
from bench.state import State, differences, normalised
from blueprint.contract import PlanInput

NAME = "fault-sweep"
SUMMARY = "each mutating request of an apply and of a destroy fails once: same final state"

KINDS = {
    "response lost": "response_lost",
    "503 before": "unavailable",
    "empty 429": "throttled",
    "reset before": "reset",
}
"""Ways to go wrong, with their names at the emulator. The first strikes after the call has done what it does."""
SAMPLE = 4
"""Single trials for each kind and run in the short form."""
VARYING = "PATCH /vpc/v2/regions/{region}/vpcs/{vpc_id}"
"""The one operation that a run calls more or less often: writes that meet break a seal once, or each for itself."""
_SHOWN = 500
PATIENCE = 60.0
"""Seconds after which a trial counts as stuck; a clean run takes a few."""

Call = tuple[str, int]
"""An operation and which of its calls, from 1."""


@dataclass(frozen=True)
class Scene:
    """One of the two runs that are swept.

    Attributes:
        name: apply or destroy.
        request: what is done.
        start: the world it starts from.
        end: the world that it must lead to.
        calls: its mutating requests.
        settled: what plans nothing any more once the run is over.
    """

    name: str
    request: PlanInput
    start: Document
    end: State
    calls: tuple[Call, ...]
    settled: PlanInput


async def measure(*, full: bool, environment: dict[str, Any] | None = None, sample: int = SAMPLE) -> Report:
    """Run the sweep.

    Args:
        full: every call and kind, one at a time.
        environment: what is applied and destroyed; prod by default.
        sample: single trials for each kind and run in the short form.
    """
    report = Report(("run", "fault", "trials", "calls struck", "other end", "parked or stuck", "seconds"))
    async with Stack() as stack:
        for scene in await rehearse(stack, environment or prod()):
            report.notes.append(f"{scene.name}: {len(scene.calls)} mutating requests")
            for title, kind in KINDS.items():
                trials = _all(scene) if full else _sample(scene, sample, seed=kind)
                await _sweep(stack, scene, title, kind, trials, report)
    report.notes.append(f"{sum(int(str(row[2])) for row in report.rows)} trials")
    return report


async def rehearse(stack: Stack, data: dict[str, Any]) -> list[Scene]:
    """The clean runs: what they call and where they lead."""
    scenes = []
    apply, destroy = request_for(data), request_for(data, destroy=True)
    for name, request in (("apply", apply), ("destroy", destroy)):
        start = stack.emulator.snapshot()
        stack.emulator.forget_requests()
        outcome = await stack.change(request)
        if outcome.output is None:
            raise AssertionError(f"the clean {name} does not end well: {outcome.trouble}")
        log = stack.emulator.requests(last=20_000)["requests"]
        counts = Counter(entry["operation"] for entry in log if entry["mutating"])
        calls = tuple((operation, number + 1) for operation, count in counts.items() for number in range(count))
        scenes.append(Scene(name, request, start, normalised(stack.emulator.snapshot()), calls, request))
    return scenes


def _all(scene: Scene) -> list[tuple[Call, ...]]:
    return [(call,) for call in scene.calls]


def _sample(scene: Scene, size: int, seed: str) -> list[tuple[Call, ...]]:
    """All operations at once, then some calls alone."""
    together = tuple(call for call in scene.calls if call[1] == 1)
    chosen = random.Random(seed).sample(scene.calls, min(size, len(scene.calls)))
    return [together, *((call,) for call in chosen)]


async def _sweep(
    stack: Stack, scene: Scene, title: str, kind: str, trials: Iterable[Sequence[Call]], report: Report
) -> None:
    started, tried, struck, other_end, stuck = time.monotonic(), 0, 0, 0, 0
    for calls in trials:
        tried += 1
        stack.emulator.restore(scene.start)
        await stack.forget_schedules()
        stack.emulator.set_faults(
            [{"operation": operation, "kind": kind, "skip": number - 1} for operation, number in calls]
        )
        what = f"{scene.name}, {title}, {_named(calls)}"
        outcome = await stack.change(scene.request, patience=PATIENCE)
        fired = sum(fault["fired"] for fault in stack.emulator.faults())
        stack.emulator.set_faults([])
        struck += fired
        if not fired and calls[0][0] == VARYING and calls[0][1] > 1:
            report.notes.append(f"{what}: this run made fewer of them, so none was struck")
        else:
            report.require(fired == len(calls), f"{what}: {len(calls) - fired} of {len(calls)} never came to pass")
        if outcome.trouble:
            stuck += 1
            report.violations.append(f"{what}: {outcome.trouble}")
            continue
        found = differences(scene.end, normalised(stack.emulator.snapshot()))
        plan = await stack.plan(scene.settled)
        found += [f"a plan would still {change.action} {change.key}" for change in plan.changes]
        if found:
            other_end += 1
            report.violations.append(f"{what}: " + "; ".join(found)[:_SHOWN])
    report.rows.append((scene.name, title, tried, struck, other_end, stuck, time.monotonic() - started))
    print(
        f"{scene.name}, {title}: {tried} trials, {other_end + stuck} not as they must be", file=sys.stderr, flush=True
    )


def _named(calls: Sequence[Call]) -> str:
    if len(calls) > 1:
        return f"the first call of each of {len(calls)} operations"
    return f"call {calls[0][1]} of {calls[0][0]}"
