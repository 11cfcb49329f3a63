"""A drill as its schedule starts it, with nobody there: how long a restore takes, and that nothing of it stays.

Three of them: one undisturbed, one whose worker is killed in the middle, one that is cancelled in the middle.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from temporalio.client import WorkflowFailureError

from bench.backed_up import ASSETS, BackedUp, backed_up
from bench.kills import LOOK_EVERY, NEVER, come, is_running, kill_worker
from bench.moments import Moment
from bench.rehearsed import say
from bench.report import Report
from starters.demo_data import DATABASE
from starters.engine import Run, Turn
from workflows.backup.messages import DrillOutput
from workflows.identity import backup_turn, drill_turn

NAME = "backup-drill"
SUMMARY = "a scheduled drill of a 5 GB backup: unattended, its RTO told, nothing of it stays, also if it is cut off"

SIZE, OBJECTS = 5_000_000_000, 1000
SMALL, FEW_OBJECTS = 100_000_000, 100
BEGINS = 60.0
"""Seconds until a schedule that was triggered has started its run."""
MIDST = 0.5
"""Seconds from the beginning of a restore in which its data flows, however small the database is."""
ENDS = 3600.0


async def measure(*, full: bool, size: int | None = None) -> Report:
    """Back up once, and drill three times.

    Args:
        full: 5 GB instead of 100 MB.
        size: of the database in bytes, if neither form fits.
    """
    report = Report(("run", "end", "took s", "RTO s", "restored MB", "MB/s"))
    async with backed_up() as site:
        await asyncio.to_thread(site.fill, size or (SIZE if full else SMALL), OBJECTS if full else FEW_OBJECTS)
        trials = _Trials(site, report)
        await trials.backup()
        await trials.undisturbed()
        await trials.killed()
        await trials.cancelled()
        report.require(site.fingerprint() == trials.rows, "the live database is not as it was")
    return report


class _Trials:
    """Drills in a row, on one environment.

    Args:
        site: where.
        report: where everything is noted.

    Attributes:
        rows: what the live database has.
    """

    def __init__(self, site: BackedUp, report: Report) -> None:
        self._site = site
        self._report = report
        self.rows = site.fingerprint()

    async def backup(self) -> None:
        """The backup that is drilled."""
        began = time.monotonic()
        run = await self._scheduled("backup", backup_turn)
        await run.result()
        entry = self._site.catalogue().of(ASSETS[0])[0]
        took, size = time.monotonic() - began, entry.size / 1e6
        self._report.rows.append(("backup", "done", took, "-", size, size / took))
        self._tidy("backup")

    async def undisturbed(self) -> None:
        """A drill that nobody disturbs."""
        await self._drilled("drill", time.monotonic(), await self._scheduled("drill", drill_turn))

    async def killed(self) -> None:
        """A drill whose worker is killed while data flows."""
        began, run = time.monotonic(), await self._scheduled("drill", drill_turn)
        await self._flows(run)
        under_way, resumed = await kill_worker(self._site.rehearsal.dev, self._site.engine, run)
        self._report.require(under_way > 0, "nothing was in flight when the worker was killed")
        self._report.require(resumed < NEVER, f"a drill was resumed after {resumed:.1f} s")
        await self._drilled("drill, worker killed", began, run)

    async def cancelled(self) -> None:
        """A drill that is cancelled while data flows."""
        before = [entry.state for entry in self._site.catalogue().entries]
        began, run = time.monotonic(), await self._scheduled("drill", drill_turn)
        await self._flows(run)
        await run.cancel()
        try:
            await run.result()
        except WorkflowFailureError as error:
            end = type(error.cause).__name__
        else:
            end = "done"
        self._report.rows.append(("drill, cancelled", end, time.monotonic() - began, "-", "-", "-"))
        self._report.require(end == "CancelledError", f"a drill that is cancelled ends with {end}")
        after = [entry.state for entry in self._site.catalogue().entries]
        self._report.require(after == before, f"a drill that is cancelled says {after}; before it was {before}")
        self._tidy("drill, cancelled")

    # -- parts -------------------------------------------------------------------------------------------------

    async def _scheduled(self, what: str, turn: Turn) -> Run[Any]:
        """Trigger a schedule; the run that it starts.

        Raises:
            TimeoutError: it starts none.
        """
        await self._site.engine.client.get_schedule_handle(self._site.schedules[what]).trigger()
        async with asyncio.timeout(BEGINS):
            while (run := await self._site.engine.current(self._site.site.target, turn)) is None:
                await asyncio.sleep(LOOK_EVERY)
        return run

    async def _flows(self, run: Run[Any]) -> None:
        """Wait until the database is being restored."""
        async with asyncio.timeout(ENDS):
            await come(run, Moment(f"restore db/{DATABASE}", MIDST))
        if not await is_running(run):
            raise AssertionError("the drill was over before anything could be done about it")

    async def _drilled(self, what: str, began: float, run: Run[Any]) -> None:
        """Wait for a drill's end, and see that the backups are good now."""
        output = DrillOutput.model_validate(await run.result())
        took = time.monotonic() - began
        for record in output.records:
            size = record.bytes / 1e6
            row = (f"{what}: {record.asset}", "passed" if record.passed else "failed", took, record.seconds, size)
            self._report.rows.append((*row, size / record.seconds))
            self._report.require(record.passed, f"{what}: {record.asset}: {record.findings}")
        drilled = [record.asset for record in output.records]
        self._report.require(drilled == list(ASSETS), f"{what}: only {drilled} were drilled")
        states = {asset: self._site.catalogue().of(asset)[0].state for asset in ASSETS}
        self._report.require(set(states.values()) == {"good"}, f"{what}: {states}")
        self._tidy(what)

    def _tidy(self, what: str) -> None:
        troubles = self._site.untidy()
        say(f"{what}: {troubles or 'nothing is left'}")
        for trouble in troubles:
            self._report.require(False, f"{what}: {trouble}")
