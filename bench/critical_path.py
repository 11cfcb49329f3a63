"""How close an apply comes to the shortest time that Scaleway's own latencies allow.

The longest path is computed from what the local Scaleway tells of each request: how long the call took, which objects
it changed, and how long what it set in motion takes to come to rest (the real latency times the factor). A step's
latency is the sum of its writes and, if its kind settles, of that transition. A step waits for the steps it needs and,
where its kind is serialised (load balancer, gateway, database instance), for the one that had the turn before it. The
longest chain of latencies along these edges is what an engine without any cost of its own would need.

Reads are no part of it, neither those of the plan nor look-ups before a create nor polls, and a step whose requests
cannot be told counts as zero: both make the measured ratio worse, never better. The wall time is that of the whole
run, the plan included. The table shows the steps that the run really waited for, and what each lost.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.emulator import Document
from bench.environments import prod
from bench.report import Report
from bench.stack import Outcome, Stack, request_for
from blueprint.kinds import KINDS
from blueprint.plan import Plan, Step

NAME = "critical-path"
SUMMARY = "apply of prod at latency 0.05: wall time over the longest path of latencies"

LATENCY = 0.05
MOST = 1.15
APPLIES = 3
"""Odd: the one in the middle counts, so that neither a lucky nor an unlucky moment of the machine decides."""
_SHOWN = 12
_CLOCK = 0.005
"""Seconds by which the clocks of Temporal and of the local Scaleway may seem to differ."""


@dataclass
class Timing:
    """One step in time; moments are seconds since the epoch.

    Attributes:
        step: which.
        latency: what Scaleway takes for it, in seconds.
        scheduled: its first activity was given to Temporal.
        done: its last activity was completed.
        before: the steps that it had to wait for.
        at_best: when it could be done without any cost of the engine.
    """

    step: Step
    latency: float = 0.0
    scheduled: float = 0.0
    done: float = 0.0
    before: list[str] = field(default_factory=list)
    at_best: float = 0.0


async def measure(*, full: bool, latency: float = LATENCY, most: float | None = MOST) -> Report:
    """Apply prod a few times, and hold the median of its times against the longest path.

    Args:
        full: no difference here.
        latency: factor on Scaleway's delays.
        most: the ratio that is allowed; None only reports.
    """
    async with Stack(latency) as stack:
        empty = stack.emulator.snapshot()
        applies = []
        for _ in range(APPLIES):
            stack.emulator.restore(empty)
            await stack.forget_schedules()
            applies.append(await _apply(stack, most))
    ratios = ", ".join(f"{ratio:.3f}" for ratio, _ in applies)
    _, median = sorted(applies, key=lambda apply: apply[0])[APPLIES // 2]
    median.notes.append(f"ratios of {APPLIES} applies, in order: {ratios}; the median is shown and counts")
    return median


async def _apply(stack: Stack, most: float | None) -> tuple[float, Report]:
    request = request_for(prod())
    plan = await stack.plan(request)
    stack.emulator.forget_requests()
    outcome = await stack.change(request, patience=600.0)
    if outcome.output is None:
        raise AssertionError(f"the apply does not end well: {outcome.trouble}")
    events = await _events(stack, outcome)
    began = events[0].event_time.ToNanoseconds() / 1e9
    timings = _measured(plan, events)
    _attribute(timings, stack.emulator.requests(last=20_000)["requests"], outcome.output.outputs)
    _order(timings)
    longest = max(timing.at_best for timing in timings.values())
    ratio = outcome.seconds / longest
    report = Report(("step", "ready", "scheduled", "done", "latency", "lost"))
    for timing in _chain(timings):
        ready = max((timings[name].done for name in timing.before), default=began)
        moments = (moment - began for moment in (ready, timing.scheduled, timing.done))
        report.rows.append((timing.step.id, *moments, timing.latency, timing.done - ready - timing.latency))
    unknown = [name for name, timing in timings.items() if not timing.latency]
    report.notes += [
        f"wall {outcome.seconds:.2f} s, longest path {longest:.2f} s, ratio {ratio:.3f} (at most {MOST})",
        "longest path: " + " -> ".join(timing.step.id for timing in _longest(timings)),
        "most lost: " + _most_lost(timings, began),
        f"counted as zero: {len(unknown)} of {len(timings)} steps: {', '.join(unknown)}"[:400],
    ]
    report.require(most is None or ratio <= most, f"the ratio is {ratio:.3f}")
    return ratio, report


async def _events(stack: Stack, outcome: Outcome) -> list[HistoryEvent]:
    handle = stack.engine.client.get_workflow_handle(outcome.workflow_id, run_id=outcome.run_id)
    return list((await handle.fetch_history()).events)


def _measured(plan: Plan, events: Iterable[HistoryEvent]) -> dict[str, Timing]:
    """When each step began and ended, by Temporal's own clock."""
    timings = {step.id: Timing(step) for step in plan.steps}
    steps: dict[int, str] = {}
    for event in events:
        at = event.event_time.ToNanoseconds() / 1e9
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            content = json.loads(event.activity_task_scheduled_event_attributes.input.payloads[0].data)
            if (name := content.get("step")) in timings:
                steps[event.event_id] = name
                timings[name].scheduled = timings[name].scheduled or at
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            scheduled = event.activity_task_completed_event_attributes.scheduled_event_id
            if scheduled in steps:
                timings[steps[scheduled]].done = at
    return timings


def _attribute(
    timings: Mapping[str, Timing], log: Iterable[Document], outputs: Mapping[str, Mapping[str, Any]]
) -> None:
    """Give each step the latency of its writes, and of what they set in motion.

    A write belongs to the step that was under way and whose object it changed; if there are several, to the shortest.
    """
    ids = {name: set(_ids(timing.step, outputs)) for name, timing in timings.items()}
    transitions: defaultdict[str, float] = defaultdict(float)
    for entry in log:
        if not entry["mutating"] or not 200 <= entry["status"] < 300:
            continue
        changed = {*entry["changed"], entry["path"].strip("/").split("/")[0]}
        at = datetime.fromisoformat(entry["at"]).timestamp()
        owners = [
            timing
            for name, timing in timings.items()
            if ids[name] & changed and timing.scheduled - _CLOCK <= at <= timing.done + _CLOCK
        ]
        if owners:
            owner = min(owners, key=lambda item: item.done - item.scheduled)
            owner.latency += entry["duration_ms"] / 1000
            transitions[owner.step.id] = max(transitions[owner.step.id], entry["settles_ms"] / 1000)
    for name, seconds in transitions.items():
        if KINDS[timings[name].step.changes[0].split(".")[0]].settles:
            timings[name].latency += seconds


def _ids(step: Step, outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The ids of a step's objects; "<parent's id>/<own>" is known by the parent's too."""
    for key in step.changes:
        if key in outputs:
            whole = str(outputs[key]["id"])
            yield from (whole, *whole.split("/"))


def _order(timings: Mapping[str, Timing]) -> None:
    """What each step waited for, and when it could have been done at best."""
    turns: defaultdict[str, list[Timing]] = defaultdict(list)
    for timing in sorted(timings.values(), key=lambda item: item.scheduled):
        timing.before = list(timing.step.after)
        if timing.step.serial:
            if turns[timing.step.serial]:
                timing.before.append(turns[timing.step.serial][-1].step.id)
            turns[timing.step.serial].append(timing)
        timing.at_best = max((timings[name].at_best for name in timing.before), default=0.0) + timing.latency


def _chain(timings: Mapping[str, Timing]) -> list[Timing]:
    """The steps that the run really waited for, first to last."""
    chain = [max(timings.values(), key=lambda item: item.done)]
    while chain[-1].before:
        chain.append(max((timings[name] for name in chain[-1].before), key=lambda item: item.done))
    return chain[::-1]


def _longest(timings: Mapping[str, Timing]) -> list[Timing]:
    chain = [max(timings.values(), key=lambda item: item.at_best)]
    while chain[-1].before:
        chain.append(max((timings[name] for name in chain[-1].before), key=lambda item: item.at_best))
    return chain[::-1]


def _most_lost(timings: Mapping[str, Timing], began: float) -> str:
    lost = {
        name: timing.done - max((timings[before].done for before in timing.before), default=began) - timing.latency
        for name, timing in timings.items()
    }
    worst = sorted(lost, key=lambda name: -lost[name])[:_SHOWN]
    return ", ".join(f"{name} {lost[name]:.2f} s" for name in worst)
