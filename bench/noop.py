"""A plan that finds nothing to do: what it costs, and that the cost does not follow the number of objects.

Requests are counted by the local Scaleway. The larger environment has ten times the records, queues and buckets; all
it may cost on top are the pages that longer lists need.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from typing import Any

from bench.emulator import by_product
from bench.environments import grown, prod
from bench.report import Report
from bench.stack import Stack, request_for
from blueprint.environment import parse
from blueprint.graph import resources_of

NAME = "noop"
SUMMARY = "a plan without changes: requests grow with products, not with resources; under 2 s"

TIMES = 10
PAGE = 100
"""Objects on a page of the API."""
LIMIT = 2.0
"""Seconds."""
PLANS = 5


async def measure(*, full: bool, times: int = TIMES, limit: float | None = LIMIT) -> Report:
    """Compare `prod` with a larger one.

    Args:
        full: no difference here.
        times: by how much it is larger.
        limit: seconds that a plan may take; None only reports.
    """
    small = prod()
    counts = Counter(resource.kind for resource in resources_of(parse(small)))
    large = grown(
        small,
        records=times * counts["dns_record"],
        queues=times * counts["queue"],
        buckets=times * counts["bucket"],
    )
    async with Stack() as stack:
        # The larger one contains the other: its apply only adds.
        resources, before, slow = await _plans(stack, small)
        more_resources, after, slower = await _plans(stack, large)
    report = Report(("requests to", "prod", f"{times} x records, queues, buckets", "extra"))
    for product in sorted(before | after):
        report.rows.append((product, before[product], after[product], after[product] - before[product]))
    report.rows.append(("all", before.total(), after.total(), after.total() - before.total()))
    report.rows.append(("objects", resources, more_resources, more_resources - resources))
    report.rows.append(("seconds", slow, slower, slower - slow))
    extra_pages = math.ceil((more_resources - resources) / PAGE)
    report.notes.append(f"the additional objects fill {extra_pages} more pages at most")
    report.require(
        after.total() - before.total() <= extra_pages,
        f"{after.total() - before.total()} more requests, but only {extra_pages} more pages",
    )
    for name, seconds in (("prod", slow), ("the larger one", slower)):
        report.require(limit is None or seconds < limit, f"the plan of {name} takes {seconds:.1f} s")
    return report


async def _plans(stack: Stack, data: dict[str, Any]) -> tuple[int, Counter[str], float]:
    """Resources, requests of one plan by product, and the median time of a few plans, once it is applied."""
    request = request_for(data)
    outcome = await stack.change(request)
    if outcome.output is None:
        raise AssertionError(f"the apply does not end well: {outcome.trouble}")
    times = []
    for _ in range(PLANS):
        stack.emulator.forget_requests()
        started = time.monotonic()
        plan = await stack.plan(request)
        times.append(time.monotonic() - started)
        if plan.changes:
            raise AssertionError(f"the second plan has changes: {[change.key for change in plan.changes]}")
    return len(plan.kept), by_product(stack.emulator.requests()["operations"]), statistics.median(times)
