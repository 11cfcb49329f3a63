"""The worker is killed in the middle of backups and restores, and nothing else is done about it.

SIGKILL, at moments that are spread over the steps of an undisturbed run. Each run has to end as if nothing had been:
with the same rows and objects, no half backup in the catalogue, no upload, no scratch database, nothing on the node.
What was sent twice is of no use to anybody; a sweep has to take it, and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.backed_up import ASSETS, BY, BackedUp, backed_up
from bench.kills import NEVER, come, ended, is_running, kill_worker, steady
from bench.moments import RECORDING, Moment, Stretch, spread, stretches
from bench.rehearsed import say
from bench.report import Report
from blueprint.backup.contract import BucketRestoreInput
from starters import backups as library
from starters.demo_data import BUCKET, DATABASE
from starters.engine import Run
from workflows.backup.messages import (
    BackupInput,
    BackupOutput,
    DropInput,
    RestoreBucketInput,
    RestoreDatabaseInput,
)

NAME = "backup-kills"
SUMMARY = "the worker is killed at moments of backups and restores: same end, and nothing of it stays"

KILLS, FEW_KILLS = 25, 3
SIZE, OBJECTS = 400_000_000, 2000
SMALL, FEW_OBJECTS = 60_000_000, 400
CHANGED = 200
"""Objects that change before each backup, and that are harmed before each restore."""
SOONER, SLOWEST = 0.8, 0.4
"""By what a moment comes sooner if the run was over before, being faster than the undisturbed one; and how often."""
_LONG_ENOUGH = 0.02
"""Seconds: a shorter stretch is over before anybody could be killed in it."""

Begin = Callable[[], Awaitable[Run[Any]]]


async def measure(*, full: bool, kills: int | None = None) -> Report:
    """Back up and restore again and again, and kill.

    Args:
        full: at 25 moments of each, with a larger database, instead of a few.
        kills: how many of each, if neither form fits.
    """
    report = Report(("run", "killed at", "in flight", "resumed s", "run took s", "sent twice MB"))
    count = kills or (KILLS if full else FEW_KILLS)
    async with backed_up() as site:
        await asyncio.to_thread(site.fill, SIZE if full else SMALL, OBJECTS if full else FEW_OBJECTS)
        sweep = _Sweep(site, report)
        await sweep.backups(count)
        await sweep.restores(count)
        await sweep.buckets(count)
        sweep.swept()
    return report


class _Sweep:
    """Kills in a row, on one environment.

    Args:
        site: where.
        report: where everything is noted.
    """

    def __init__(self, site: BackedUp, report: Report) -> None:
        self._site = site
        self._report = report
        self._edition = 0
        self._slowest = 0.0
        self._struck = 0
        """Kills that met a run."""
        self._good = ""
        """The backup that restores read."""
        self._rows = ""
        self._objects: dict[str, str] = {}
        """What it shows."""

    # -- what is killed ----------------------------------------------------------------------------------------

    async def backups(self, count: int) -> None:
        """Backups of both, some objects having changed before each."""

        async def begin() -> Run[BackupOutput]:
            self._edition += 1
            first = self._edition * CHANGED % len(self._site.objects())
            await asyncio.to_thread(self._site.write, range(first, first + CHANGED), str(self._edition))
            request = BackupInput(site=self._site.site, only=ASSETS, origin=BY)
            return await library.backup(self._site.engine, request)

        async def judge(output: BackupOutput) -> list[str]:
            self._good, self._rows, self._objects = output.id, self._site.fingerprint(), self._site.objects()
            made = [entry.asset for entry in output.entries]
            listed = [asset for asset in ASSETS if self._site.catalogue().find(asset, output.id)]
            return (
                [f"backups of {made} were made, {listed} are listed"] if (made, listed) != (list(ASSETS),) * 2 else []
            )

        await self._kill("backup", begin, judge, count)

    async def restores(self, count: int) -> None:
        """Restores of the database in place, with the backup before."""

        async def begin() -> Run[Any]:
            await asyncio.to_thread(self._site.harm_rows)
            request = RestoreDatabaseInput(
                site=self._site.site, database=DATABASE, id=self._good, in_place=True, origin=BY
            )
            return await library.restore_database(self._site.engine, request)

        async def judge(output: Any) -> list[str]:
            drop = DropInput(site=self._site.site, name=output.kept, origin=BY)
            await (await library.drop_database(self._site.engine, drop)).result()
            wrong = [] if self._site.fingerprint() == self._rows else ["the rows are not as they were"]
            return wrong if output.safety else [*wrong, "there was no backup before"]

        await self._kill("restore", begin, judge, count)

    async def buckets(self, count: int) -> None:
        """Restores of the bucket."""

        async def begin() -> Run[Any]:
            await asyncio.to_thread(self._site.harm_objects, CHANGED)
            request = BucketRestoreInput(site=self._site.site, bucket=BUCKET, id=self._good)
            return await library.restore_bucket(self._site.engine, RestoreBucketInput(request=request, origin=BY))

        async def judge(output: Any) -> list[str]:
            return [] if self._site.objects() == self._objects else ["the objects are not as they were"]

        await self._kill("bucket", begin, judge, count)

    def swept(self) -> None:
        """Once everything is old, what nobody names goes, and nothing else."""
        spare = self._site.unnamed()
        swept = self._site.sweep()
        left = self._site.unnamed()
        kills = f"{self._struck} of {len(self._report.rows)} kills met a run; slowest to resume: {self._slowest:.1f} s"
        self._report.notes.append(f"{kills}; a sweep took {swept.objects} objects, {swept.bytes / 1e6:.1f} MB")
        self._report.require(self._struck > 0, "nothing was interrupted")
        self._report.require(not left, f"a sweep left {len(left)} of {len(spare)} objects that nobody names")
        self._report.require(not swept.skipped, f"a sweep skipped {swept.skipped}")
        for trouble in self._site.untidy():
            self._report.require(False, f"after the sweep: {trouble}")

    # -- one kill ----------------------------------------------------------------------------------------------

    async def _kill(self, name: str, begin: Begin, judge: Callable[[Any], Awaitable[list[str]]], count: int) -> None:
        pace = 1.0
        for moment in spread(await self._undisturbed(name, begin, judge), count):
            while not await self._one(name, Moment(moment.step, moment.after * pace), begin, judge) and pace > SLOWEST:
                pace *= SOONER

    async def _undisturbed(
        self, name: str, begin: Begin, judge: Callable[[Any], Awaitable[list[str]]]
    ) -> tuple[Stretch, ...]:
        # The first one has more to copy, and programs to read from the disk.
        await judge(await (await begin()).result())
        run = await begin()
        output, now = await run.result(), time.time()
        found = stretches(steady(await run.progress()), now)
        if troubles := await judge(output) + self._site.untidy():
            raise AssertionError(f"the undisturbed {name} did not end well: {troubles}")
        told = ", ".join(f"{stretch.step} {stretch.seconds:.1f}" for stretch in found)
        self._report.notes.append(f"undisturbed {name}: {told}")
        return tuple(one for one in found if one.seconds >= _LONG_ENOUGH and one.step != RECORDING)

    async def _one(self, name: str, moment: Moment, begin: Begin, judge: Callable[[Any], Awaitable[list[str]]]) -> bool:
        """Kill once. Returns whether there was still something to interrupt."""
        before, began = self._spare(), time.monotonic()
        run = await begin()
        await come(run, moment)
        alive = await is_running(run)
        under_way, resumed = await kill_worker(self._site.rehearsal.dev, self._site.engine, run)
        troubles = [trouble] if (trouble := await ended(run)) else []
        seconds = time.monotonic() - began
        if not troubles:
            troubles = await judge(await run.result())
        troubles += self._site.untidy()
        twice = (self._spare() - before) / 1e6
        self._slowest = max(self._slowest, resumed)
        self._report.rows.append((name, str(moment), under_way, resumed, seconds, twice))
        what = f"{name} killed at {moment}"
        say(f"{what}: {under_way} in flight, resumed after {resumed:.1f} s, {twice:.1f} MB sent twice {troubles}")
        self._report.require(resumed < NEVER, f"{what}: resumed after {resumed:.1f} s")
        for trouble in troubles:
            self._report.require(False, f"{what}: {trouble}")
        self._struck += alive
        return alive

    def _spare(self) -> int:
        return sum(item.size for item in self._site.unnamed())
