"""A dump to object storage, encrypted, against pg_dump alone, which writes folders of zstd: paired runs, median."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import newer_client
from bench.report import Report
from bench.sample_database import fill
from bench.transfers import HOST, Bucket, Cluster, Transfer, bucket, cluster, dump_job, identity, missing
from emulator.real.postgresql.client import USER

NAME = "database_dump"
SUMMARY = "a dump to the local S3 takes at most 1.15 of pg_dump alone, in under 200 MB of memory"

SMALL, LARGE = 300_000_000, 5_000_000_000
"""Bytes of the database, indexes included."""
RATIO = 1.15
MEMORY = 200_000_000
PAIRS = 3
DATABASE = "sample"
SETTINGS = {"shared_buffers": "1GB"}
WAIT = 1800.0


@dataclass(frozen=True)
class Alone:
    """PostgreSQL's own programs, which write and read a folder. The transfer gets the same ones."""

    command: tuple[str, ...]
    """To put before a program: chroot, or nothing."""
    root: Path
    compression: str
    path: str
    """PATH of these programs for the transfer; empty for the system's."""

    @property
    def label(self) -> str:
        """For the report."""
        return f"pg_dump -Fd -j2 {self.compression}"

    def dump(self, server: Cluster, to: str) -> float:
        """Seconds of a dump to a folder below the root."""
        shutil.rmtree(self.root / to, ignore_errors=True)
        options = ("-Fd", "-j2", self.compression, "-f", f"/{to}" if self.command else str(self.root / to))
        return self._run("pg_dump", *options, *self._where(server), DATABASE)

    def restore(self, server: Cluster, database: str, source: str) -> float:
        """Seconds of a restore from there."""
        place = f"/{source}" if self.command else str(self.root / source)
        return self._run("pg_restore", "-j2", *self._where(server), "-d", database, place)

    def _where(self, server: Cluster) -> tuple[str, ...]:
        return ("-h", HOST, "-p", str(server.port), "-U", USER)

    def _run(self, *command: str) -> float:
        started = time.monotonic()
        told = subprocess.run([*self.command, *command], capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        # Newer than the server, pg_restore sets something that the server does not know, says so and goes on.
        errors = [line for line in told.stderr.splitlines() if "error: " in line and "transaction_timeout" not in line]
        if errors or (told.returncode and not told.stderr):
            raise AssertionError(told.stderr)
        return seconds


def alone(folder: Path, *, newest: bool) -> Alone:
    """The newest clients, which compress with zstd, or those of this system."""
    if newest and (root := newer_client.root()):
        return Alone(("chroot", str(root)), root, "--compress=zstd", newer_client.path(folder / "newer"))
    return Alone((), folder, "--compress=1", "")


@contextmanager
def sampled(size: int) -> Iterator[tuple[Path, Cluster, Bucket, int]]:
    """A folder, a server with the sample database, a bucket, and the database's bytes."""
    with tempfile.TemporaryDirectory(prefix="transfer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with cluster(folder / "postgresql", **SETTINGS) as server, bucket(folder / "store") as store:
            server.sql(f"CREATE DATABASE {DATABASE}")
            yield folder, server, store, fill(server, DATABASE, size)


def run(transfer: Transfer) -> tuple[float, dict[str, Any], int]:
    """Seconds of a transfer, its result, and the most memory that it held."""
    started, most = time.monotonic(), 0
    with transfer:
        process = psutil.Process(transfer.process.pid)
        while transfer.process.returncode is None:
            try:
                most = max(most, process.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.05)
        result = transfer.result(WAIT)
    return time.monotonic() - started, result, most


def compare(
    report: Report, pairs: int, first: Callable[[int], float], second: Callable[[int], float], limit: float
) -> None:
    """Run both in turn, and require that the second takes at most `limit` times what the first does, by the median."""
    ratios = []
    for number in range(pairs):
        one, other = first(number), second(number)
        ratios.append(other / one)
        report.rows.append((f"pair {number + 1}", one, other, ratios[-1]))
    median = statistics.median(ratios)
    report.rows.append(("median", "", "", median))
    report.require(median <= limit, f"it takes {median:.2f} of what PostgreSQL's own program takes")


async def measure(
    *, full: bool, size: int = 0, pairs: int = PAIRS, limit: float = RATIO, newest: bool = True
) -> Report:
    """Compare dumps of one database.

    Args:
        full: 5 GB instead of 300 MB.
        size: bytes, in place of these.
        pairs: of runs.
        limit: of the ratio.
        newest: against the newest clients, which are fetched if they are not there.
    """
    return await asyncio.to_thread(_measure, size or (LARGE if full else SMALL), pairs, limit, newest)


def _measure(size: int, pairs: int, limit: float, newest: bool) -> Report:
    if trouble := missing():
        return Report(notes=[f"not measured: {trouble}"])
    public, _ = identity()
    with sampled(size) as (folder, server, store, there):
        other = alone(folder, newest=newest)
        report = Report(("", f"{other.label}, s", "transfer dump, s", "ratio"))
        report.notes.append(f"a database of {there / 1e6:.0f} MB; {os.cpu_count()} cores run all of it, the store too")
        memory = []

        def ours(number: int) -> float:
            job = dump_job(server, DATABASE, [public])
            seconds, result, most = run(Transfer(folder / f"dump{number}", job, store.url, other.path))
            memory.append(most)
            if not number:
                raw, stored = result["raw_bytes"] / 1e6, result["stored_bytes"] / 1e6
                report.notes.append(f"pg_dump wrote {raw:.0f} MB, stored are {stored:.0f} MB")
                report.notes.append(f"{there / 1e6 / seconds:.0f} MB of the database each second")
            return seconds

        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, other.root / "dumped", ignore_errors=True)
            compare(report, pairs, lambda _: other.dump(server, "dumped"), ours, limit)
        report.notes.append(f"the program held {max(memory) / 1e6:.0f} MB of memory at most")
        report.require(max(memory) <= MEMORY, f"it held {max(memory) / 1e6:.0f} MB")
    return report
