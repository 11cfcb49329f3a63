"""One large environment: 2,000 DNS records, 200 queues and 100 buckets besides all of prod."""

from __future__ import annotations

from pathlib import Path

from bench.environments import grown, prod
from bench.report import Report
from bench.stack import Outcome, Stack, request_for

NAME = "scale"
SUMMARY = "2,000 records, 200 queues, 100 buckets: history under 10,000 events, worker under 300 MB"

RECORDS, QUEUES, BUCKETS = 2_000, 200, 100
MOST_EVENTS = 10_000
MOST_MEMORY = 300.0
"""Megabytes of resident memory of the worker, at its highest."""
PATIENCE = 900.0


async def measure(*, full: bool, records: int = RECORDS, queues: int = QUEUES, buckets: int = BUCKETS) -> Report:
    """Plan, apply, apply again, destroy.

    Args:
        full: no difference here.
        records: DNS record sets.
        queues: queues, dead-letter queues not counted.
        buckets: buckets.
    """
    data = grown(prod(), records=records, queues=queues, buckets=buckets)
    apply, destroy = request_for(data), request_for(data, destroy=True)
    report = Report(("run", "changes", "requests", "writes", "events", "seconds", "worker MB at most"))
    async with Stack() as stack:
        for name, request in (("apply", apply), ("apply again", apply), ("destroy", destroy)):
            stack.emulator.forget_requests()
            outcome = await stack.change(request, patience=PATIENCE)
            events, memory, log = await _events(stack, outcome), _peak(stack), stack.emulator.requests()
            counts = outcome.output.counts if outcome.output else {}
            changes = sum(count for action, count in counts.items() if action != "keep")
            report.rows.append((name, changes, log["total"], log["mutating"], events, outcome.seconds, memory))
            report.require(not outcome.trouble, f"{name}: {outcome.trouble[:500]}")
            report.require(events < MOST_EVENTS, f"{name}: a history of {events} events")
            report.require(memory < MOST_MEMORY, f"{name}: the worker took {memory:.0f} MB")
            unchanged = changes == log["mutating"] == 0
            report.require(name != "apply again" or unchanged, f"{name}: {changes} changes, {log['mutating']} writes")
    return report


async def _events(stack: Stack, outcome: Outcome) -> int:
    handle = stack.engine.client.get_workflow_handle(outcome.workflow_id, run_id=outcome.run_id)
    return (await handle.describe()).history_length


def _peak(stack: Stack) -> float:
    """The most resident memory that the worker has had, in megabytes."""
    for line in Path(f"/proc/{stack.dev.worker.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel does not tell the worker's memory")
