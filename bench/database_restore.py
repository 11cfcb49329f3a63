"""A restore from object storage, decrypted, against pg_restore alone, which reads a folder: paired runs, median."""

from __future__ import annotations

import asyncio
import contextlib
import shutil

from bench.database_dump import DATABASE, LARGE, MEMORY, PAIRS, RATIO, SMALL, alone, compare, run, sampled
from bench.report import Report
from bench.sample_database import fingerprint
from bench.transfers import Transfer, dump_job, identity, load_job, missing

NAME = "database_restore"
SUMMARY = "a restore from the local S3 takes at most 1.15 of pg_restore -j2 alone, in under 200 MB of memory"


async def measure(
    *, full: bool, size: int = 0, pairs: int = PAIRS, limit: float = RATIO, newest: bool = True
) -> Report:
    """Compare restores of one database.

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
    public, secret = identity()
    with sampled(size) as (folder, server, store, there), contextlib.ExitStack() as stack:
        other = alone(folder, newest=newest)
        report = Report(("", f"pg_restore -j2 of {other.compression}, s", "transfer load, s", "ratio"))
        report.notes.append(f"a database of {there / 1e6:.0f} MB; statistics are taken only by the load")
        stack.callback(shutil.rmtree, other.root / "dumped", ignore_errors=True)
        other.dump(server, "dumped")
        _, dumped, _ = run(Transfer(folder / "dump", dump_job(server, DATABASE, [public]), store.url, other.path))
        expected, memory = fingerprint(server, DATABASE), []

        def fresh() -> None:
            server.sql("DROP DATABASE IF EXISTS target WITH (FORCE); CREATE DATABASE target; CHECKPOINT")

        def theirs(_: int) -> float:
            fresh()
            seconds = other.restore(server, "target", "dumped")
            report.require(fingerprint(server, "target") == expected, "pg_restore has restored something else")
            return seconds

        def ours(number: int) -> float:
            fresh()
            job = load_job(server, "target", secret, dumped)
            seconds, _, most = run(Transfer(folder / f"load{number}", job, store.url, other.path))
            memory.append(most)
            report.require(fingerprint(server, "target") == expected, "the load has restored something else")
            return seconds

        compare(report, pairs, theirs, ours, limit)
        report.notes.append(f"the program held {max(memory) / 1e6:.0f} MB of memory at most")
        report.require(max(memory) <= MEMORY, f"it held {max(memory) / 1e6:.0f} MB")
    return report
