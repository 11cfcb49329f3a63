"""What became of the jobs that were put on the queue."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import aiohttp

from probe.connections import Connections
from probe.report import Jobs

PATH = "/rest/jobs/done"
PAUSE = 0.5
"""Seconds between two questions."""


def judge(posted: Iterable[str], done: Mapping[str, int]) -> Jobs:
    """Which jobs were lost, and which were done more than once.

    Args:
        posted: ids of all that were taken.
        done: how often each was done; others' jobs may be among them.
    """
    ids = tuple(posted)
    return Jobs(
        posted=len(ids),
        done=sum(done.get(id_, 0) > 0 for id_ in ids),
        lost=tuple(id_ for id_ in ids if not done.get(id_)),
        repeated=tuple(id_ for id_ in ids if done.get(id_, 0) > 1),
    )


async def settle(connections: Connections, url: str, posted: Iterable[str], since: datetime, patience: float) -> Jobs:
    """Ask until every job is done, or none has been done for a while.

    Args:
        connections: the clients.
        url: where the service is.
        posted: ids of all jobs.
        since: when the first was posted.
        patience: seconds without progress.
    """
    ids = tuple(posted)
    if not ids:
        return Jobs()
    jobs = judge(ids, {})
    progress = time.monotonic()
    while jobs.lost and time.monotonic() - progress < patience:
        try:
            seen = judge(ids, await _done(connections, url, since))
        except (aiohttp.ClientError, OSError, ValueError):
            # An answer that is late or wrong is no lost job; if it stays so, patience ends.
            seen = jobs
        if seen.done > jobs.done:
            progress = time.monotonic()
        jobs = seen
        if jobs.lost:
            await asyncio.sleep(PAUSE)
    return jobs


async def _done(connections: Connections, url: str, since: datetime) -> Mapping[str, int]:
    params = {"since": since.isoformat().replace("+00:00", "Z")}
    async with connections.fresh.get(url.rstrip("/") + PATH, params=params, raise_for_status=True) as response:
        answer: list[dict[str, Any]] = (await response.json())["jobs"]
    counts: Counter[str] = Counter()
    for job in answer:
        counts[str(job["id"])] += int(job["times"])
    return counts
