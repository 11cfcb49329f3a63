"""A bucket's first and second backup, against what `rclone sync` takes to mirror it on the same server."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.bucket_site import LIVE, BucketSite, bucket_site
from bench.report import Report
from blueprint.backup.objects import YOUNG

NAME = "bucket_backup"
SUMMARY = "a bucket's first and second backup, against rclone sync on the same server"

MIRROR = "lssm-prod-mirror"
SIZE = 50_000
"""Bytes of each object."""
PAGE = 1000
"""Keys of a listing's page."""
SHARE = 100
"""Every so many objects, one changes between the two runs."""
FIXED_REQUESTS = 60
"""Of a run, besides listings and changes: the bucket, the catalogue, the list before, the ends of 16 listings."""
_WRITERS = 4
MOST_MEMORY = 300
"""Megabytes of the worker."""


async def measure(*, full: bool) -> Report:
    """Back up and mirror one bucket.

    Args:
        full: 100,000 objects instead of 2,000.
    """
    return await asyncio.to_thread(_measure, 100_000 if full else 2_000)


def _measure(count: int) -> Report:
    report = Report(("", "objects", "seconds", "requests", "rclone: seconds", "requests", "ratio"))
    if not shutil.which("rclone"):
        report.notes.append("not measured: there is no rclone here (apt-get install rclone)")
        return report
    with bucket_site() as site:
        site.wire.result(site.wire.send("PUT", MIRROR))
        _fill(site, range(count))
        # What is younger can change unseen, and is copied again the next time.
        time.sleep(YOUNG + 1)
        _compare(report, site, "first", count, count)
        changed = range(0, count, SHARE)
        _fill(site, changed)
        asked = _compare(report, site, "second, 1 % changed", count, len(changed))
    pages = 2 * -(-count // PAGE)
    report.require(asked <= len(changed) + pages + FIXED_REQUESTS, f"the second backup took {asked} requests")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    report.require(memory <= MOST_MEMORY, f"the backup took {memory:.0f} MB of memory")
    report.notes.append(f"memory of the process that backs up: {memory:.0f} MB at most")
    return report


def _compare(report: Report, site: BucketSite, name: str, count: int, changed: int) -> int:
    """Run both, and say how they did; the requests of ours."""
    ours, our_requests = _timed(site, site.back_up)
    theirs, their_requests = _timed(site, lambda: _rclone(site))
    report.rows.append((name, changed, ours, our_requests, theirs, their_requests, ours / theirs))
    report.require(ours < theirs, f"{name}: {ours:.1f} s, and rclone {theirs:.1f} s")
    return our_requests


def _timed(site: BucketSite, call: Callable[[], Any]) -> tuple[float, int]:
    site.emulator.forget_requests()
    began = time.perf_counter()
    call()
    wall = time.perf_counter() - began
    return wall, sum(count for name, count in site.emulator.requests()["operations"].items() if name.startswith("S3 "))


def _fill(site: BucketSite, numbers: range) -> None:
    def put(number: int) -> None:
        content = os.urandom(16) * (SIZE // 16)
        site.wire.result(site.wire.send("PUT", LIVE, f"{number % 100:02}/{number:07}", body=content))

    def put_all(some: range) -> None:
        for number in some:
            put(number)

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(put_all, [numbers[first::_WRITERS] for first in range(_WRITERS)]))


def _rclone(site: BucketSite) -> None:
    given = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": site.environment["SCW_ACCESS_KEY"],
        "SECRET_ACCESS_KEY": site.environment["SCW_SECRET_KEY"],
        "ENDPOINT": site.environment["AWS_ENDPOINT_URL_S3"],
        "REGION": "fr-par",
    }
    remote = {f"RCLONE_CONFIG_LOCAL_{name}": value for name, value in given.items()}
    environment = {"PATH": os.environ["PATH"], "RCLONE_CONFIG": os.devnull, **remote}
    command = ["rclone", "sync", f"local:{LIVE}", f"local:{MIRROR}"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"rclone ended with {ended.returncode}: {ended.stderr[-500:]}")
