"""The worker is killed in the middle of an apply and started again: the apply goes on, and ends as if nothing was.

Moments are spread over the course of an apply by the number of requests that the local Scaleway has seen, so that
planning, writing, waiting and the last step all get their share; the kill is SIGKILL, which nothing can prepare for.
What was in flight is read from Temporal after the kill. It counts as resumed once every one of these activities (or
the workflow's own task, if it was that) has been begun by the new worker, or is over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from bench.environments import prod
from bench.report import Report
from bench.stack import Outcome, Stack, request_for
from bench.state import State, differences, normalised
from blueprint.contract import PlanInput
from starters.engine import Run
from workflows.messages import ChangeOutput

NAME = "crash-sweep"
SUMMARY = "the worker is killed at moments of an apply: same end, resumed in under 15 s"

LATENCY = 0.02
"""Factor on Scaleway's delays: long enough that waits are among what is interrupted."""
RESUMED_WITHIN = 15.0
"""Seconds from the restart of the worker."""
MOMENTS, MOMENTS_FULL = 5, 25
_LAST = 0.95
"""The last moment, as a share of the clean run's requests: a little later there may be nothing left to interrupt."""
_LOOK_EVERY = 0.02
_SHOWN = 500
_TASK = "workflow task"


@dataclass(frozen=True)
class Crash:
    """One kill and what came of it.

    Attributes:
        after: requests that the local Scaleway had seen.
        in_flight: activities that were under way.
        first_work: seconds from the restart to the new worker's first request; the start of the process is in it.
        resumed: seconds from the restart until everything that was in flight had been taken up.
        outcome: how the run ended.
    """

    after: int
    in_flight: int
    first_work: float
    resumed: float
    outcome: Outcome


async def measure(*, full: bool, environment: dict[str, Any] | None = None, moments: int | None = None) -> Report:
    """Run the sweep.

    Args:
        full: 25 moments instead of a few.
        environment: what is applied; prod by default.
        moments: how many kills, if neither form fits.
    """
    report = Report(("killed after", "in flight", "first request", "all resumed", "run took", "end"))
    request = request_for(environment or prod())
    count = moments or (MOMENTS_FULL if full else MOMENTS)
    async with Stack(LATENCY) as stack:
        empty = stack.emulator.snapshot()
        stack.emulator.forget_requests()
        clean = await stack.change(request)
        if clean.output is None:
            raise AssertionError(f"the clean apply does not end well: {clean.trouble}")
        total = stack.emulator.requests()["total"]
        wanted = normalised(stack.emulator.snapshot())
        for number in range(count):
            after = max(1, round(total * _LAST * (number + 1) / count))
            stack.emulator.restore(empty)
            await stack.forget_schedules()
            crash = await _crash(stack, request, after)
            _judge(report, crash, await _troubles(stack, request, wanted, crash), total)
    worst = max((float(str(row[3]).split()[0]) for row in report.rows), default=0.0)
    report.notes.append(f"{len(report.rows)} kills; the clean run took {clean.seconds:.1f} s and {total} requests")
    report.notes.append(f"slowest to resume: {worst:.1f} s (at most {RESUMED_WITHIN:.0f})")
    return report


async def _crash(stack: Stack, request: PlanInput, after: int) -> Crash:
    stack.emulator.forget_requests()
    started = time.monotonic()
    run = await stack.begin(request)
    while stack.emulator.requests()["total"] < after:
        await asyncio.sleep(_LOOK_EVERY)
        if time.monotonic() - started > 120 or not await _is_running(run):
            break
    old = stack.dev.worker.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    while stack.dev.worker.returncode is None:
        await asyncio.sleep(_LOOK_EVERY)
    under_way = await in_flight(run)
    seen = stack.emulator.requests()["total"]
    restarted = time.monotonic()
    stack.dev.worker.start()
    first_work = resumed = None
    while first_work is None or resumed is None:
        elapsed = time.monotonic() - restarted
        if first_work is None and stack.emulator.requests()["total"] > seen:
            first_work = elapsed
        if resumed is None and await all_taken_up(run, under_way):
            resumed = elapsed
        if elapsed > 4 * RESUMED_WITHIN or not await _is_running(run):
            break
        await asyncio.sleep(_LOOK_EVERY)
    elapsed = time.monotonic() - restarted
    outcome = await stack.finish(run, started)
    return Crash(seen, len(under_way), first_work or elapsed, resumed or elapsed, outcome)


async def _troubles(stack: Stack, request: PlanInput, wanted: State, crash: Crash) -> list[str]:
    """What is not as if nothing had happened."""
    if crash.outcome.trouble:
        return [crash.outcome.trouble]
    found = differences(wanted, normalised(stack.emulator.snapshot()))
    plan = await stack.plan(request)
    return found + [f"a plan would still {change.action} {change.key}" for change in plan.changes]


def _judge(report: Report, crash: Crash, troubles: list[str], total: int) -> None:
    report.rows.append(
        (
            f"{crash.after} of {total} requests",
            crash.in_flight,
            f"{crash.first_work:.1f} s",
            f"{crash.resumed:.1f} s",
            f"{crash.outcome.seconds:.1f} s",
            "other" if troubles else "same",
        )
    )
    what = f"killed after {crash.after} requests"
    report.require(not troubles, f"{what}: " + "; ".join(troubles)[:_SHOWN])
    report.require(crash.resumed < RESUMED_WITHIN, f"{what}: resumed after {crash.resumed:.1f} s")
    report.require(crash.in_flight > 0, f"{what}: nothing was in flight")


async def _is_running(run: Run[ChangeOutput]) -> bool:
    description = await run.handle.describe()
    return description.close_time is None


async def in_flight(run: Run[Any]) -> dict[str, str]:
    """Attempts that Temporal believes to be under way: activity and the worker that has it.

    The workflow's own task is one too.
    """
    raw = (await run.handle.describe()).raw_description
    return _task(raw) | {
        activity.activity_id: activity.last_worker_identity
        for activity in raw.pending_activities
        if activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    }


async def all_taken_up(run: Run[Any], under_way: dict[str, str]) -> bool:
    """Whether each of these is over, or has been begun anew by another worker, even if that attempt is over."""
    raw = (await run.handle.describe()).raw_description
    begun = {activity.activity_id: activity.last_worker_identity for activity in raw.pending_activities} | _task(raw)
    return not any(begun.get(activity) == worker for activity, worker in under_way.items())


def _task(raw: DescribeWorkflowExecutionResponse) -> dict[str, str]:
    if raw.HasField("pending_workflow_task") and raw.pending_workflow_task.HasField("started_time"):
        return {_TASK: str(raw.pending_workflow_task.started_time.ToNanoseconds())}
    return {}
