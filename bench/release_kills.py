"""The worker or the command line is killed in the middle of a deploy, under load, and nothing else is done about it.

SIGKILL, which nothing can prepare for. The worker is started again by whoever keeps it, as systemd would; a killed
command is typed again. Moments are spread over the steps of an undisturbed deploy.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import dataclass
from typing import Literal

from temporalio.client import Client

from bench.crash_sweep import RESUMED_WITHIN, in_flight
from bench.kills import ENDS, LOOK_EVERY, come, ended, kill_worker
from bench.moments import Moment, Stretch, spread, stretches
from bench.rehearsed import Measured, measured, say
from bench.report import Report
from blueprint.environment import parse
from blueprint.release.record import ReleaseRecord, Result
from starters.engine import Engine, Run, target_of
from starters.rehearsal import Traffic
from starters.releases import record_of, records
from workflows.plugin import EnginePlugin

NAME = "release-kills"
SUMMARY = "the worker or the CLI is killed at moments of a deploy, under load: it ends by itself, 0 failed requests"

TRAFFIC = Traffic(rate=100.0, sockets=50, jobs=1.0)
WORKER_KILLS, FEW_WORKER_KILLS = 25, 4
CLI_KILLS, FEW_CLI_KILLS = 10, 2
BACK_KILLS, FEW_BACK_KILLS = 3, 1
"""Kills of the worker while a broken release is on its way back."""
TOLD = 600
"""Characters of what a command said that a report repeats."""
SOLVED: tuple[Result, ...] = ("released", "rolled back")
"""How a good release may end whose worker was killed."""
Killed = Literal["worker", "CLI"]


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        who: what was killed.
        moment: when, for people.
        under_way: attempts that Temporal believed to be under way.
        resumed: seconds from the worker's restart until all of them had been taken up; None if it was not killed.
        commit: what was deployed.
        record: how the run ended; None if there was none.
        trouble: what is not as it has to be with the run; empty if all is well.
        again: what the second command did, if the first one was killed.
    """

    who: Killed
    moment: str
    under_way: int
    resumed: float | None
    commit: str
    record: ReleaseRecord | None
    trouble: str = ""
    again: str = ""


async def measure(*, full: bool) -> Report:
    """Deploy again and again, and kill.

    Args:
        full: at 25 moments the worker and at 10 the command, instead of a few.
    """
    report = Report(("killed", "when", "in flight", "resumed s", "run took s", "end", "second command"))
    with measured(2) as site:
        client = await Client.connect(site.rehearsal.endpoints.temporal_address, plugins=[EnginePlugin()])
        engine = Engine(client, site.rehearsal.endpoints.temporal_ui_url)
        with site.rehearsal.load(TRAFFIC) as load:
            sweep = _Sweep(site, engine, report)
            await sweep.undisturbed()
            await sweep.command_line(CLI_KILLS if full else FEW_CLI_KILLS)
            await sweep.worker(WORKER_KILLS if full else FEW_WORKER_KILLS)
            await sweep.on_the_way_back(BACK_KILLS if full else FEW_BACK_KILLS)
            seen = await asyncio.to_thread(load.end)
    report.notes.append(f"{seen.requests.sent} requests, {seen.failed} failures of any kind; {seen.sockets.cut} cut")
    report.require(seen.failed == 0, f"users noticed: {seen.failures}")
    report.notes.extend(f"{example.at:.1f} s: {example.what}: {example.detail}" for example in seen.examples[:5])
    return report


class _Sweep:
    """Kills in a row, on one environment.

    Args:
        site: where.
        engine: connected to its Temporal.
        report: where everything is noted.
    """

    def __init__(self, site: Measured, engine: Engine, report: Report) -> None:
        self._site = site
        self._engine = engine
        self._report = report
        self._target = target_of(parse(site.rehearsal.read()))
        self._good = ""
        """The release that the nodes run."""
        self._slowest = 0.0
        self._until_run = self._seconds = 0.0
        self._stretches: tuple[Stretch, ...] = ()

    async def undisturbed(self) -> None:
        """A deploy that nobody disturbs: the moments come from it."""
        began = time.time()
        commit, process = self._begin()
        run = await self._run_of(commit)
        self._until_run = time.time() - began
        await ended(run)
        await asyncio.to_thread(_said, process)
        record = await record_of(run)
        if record is None or record.result != "released":
            raise AssertionError(f"the undisturbed deploy did not end well: {record}")
        self._stretches = stretches(await run.progress(), record.ended)
        self._seconds = record.ended - record.started
        self._good = commit
        self._report.notes.append(
            f"undisturbed: {self._until_run:.1f} s from the command to the run, which took {self._seconds:.1f} s: "
            + ", ".join(f"{stretch.step} {stretch.seconds:.1f}" for stretch in self._stretches)
        )

    async def worker(self, count: int) -> None:
        """Kill the worker so many times."""
        for moment in spread(self._stretches, count):
            commit, process = self._begin()
            await self._kill_worker(commit, process, moment, SOLVED)
        self._report.notes.append(
            f"slowest to resume: {self._slowest:.1f} s from the restart (at most {RESUMED_WITHIN:.0f})"
        )

    async def on_the_way_back(self, count: int) -> None:
        """Kill the worker so many times while a release that does not start is taken back."""
        node = next(stretch.step for stretch in self._stretches if stretch.step.startswith("switch ")).split()[1]
        for step in ("switch", "balance", "join")[:count]:
            commit = await asyncio.to_thread(self._site.commit, "does not start")
            moment = Moment(f"back: {step} {node}")
            await self._kill_worker(commit, self._site.begin(commit), moment, ("rolled back",))

    async def command_line(self, count: int) -> None:
        """Kill the command so many times, half of them before the run begins, and deploy the same commit again."""
        before = count // 2
        moments = [self._until_run * (2 * number + 1) / (2 * before) for number in range(before)]
        after = count - before
        moments += [self._until_run + self._seconds * (2 * number + 1) / (2 * after) for number in range(after)]
        for moment in moments:
            began = time.monotonic()
            commit, process = self._begin()
            await asyncio.sleep(max(began + moment - time.monotonic(), 0.0))
            process.kill()
            await asyncio.to_thread(_said, process)
            run = await self._engine.current(self._target)
            under_way = len(await in_flight(run)) if run else 0
            again = await asyncio.to_thread(self._site.deploy_commit, commit)
            trouble = f"the second command ended with {again.code}: {again.told[-TOLD:]}" if again.code else ""
            if left := await self._engine.current(self._target):
                trouble += await ended(left)
            newest = await records(self._engine, self._target, most=1)
            record = next((record for record in newest if record.commit == commit), None)
            how = "failed" if again.code else "found it done"
            if again.record:
                how = "joined" if run else "started it"
            kill = Kill("CLI", f"{moment:.1f} s", under_way, None, commit, record, trouble, how)
            await self._judge(kill, ("released",))

    # -- one kill ----------------------------------------------------------------------------------------------

    def _begin(self) -> tuple[str, subprocess.Popen[str]]:
        commit = self._site.commit()
        return commit, self._site.begin(commit)

    async def _run_of(self, commit: str) -> Run[ReleaseRecord]:
        """The deploy of a commit, as soon as it runs."""
        async with asyncio.timeout(ENDS):
            while True:
                running = await self._engine.running(self._target)
                if running and running.commit == commit and (run := await self._engine.current(self._target)):
                    return run
                await asyncio.sleep(LOOK_EVERY)

    async def _kill_worker(
        self, commit: str, process: subprocess.Popen[str], moment: Moment, ends: tuple[Result, ...]
    ) -> None:
        run = await self._run_of(commit)
        await come(run, moment)
        under_way, resumed = await kill_worker(self._site.rehearsal.dev, self._engine, run)
        trouble = await ended(run)
        said = await asyncio.to_thread(_said, process)
        record = await record_of(run)
        if record and process.returncode != (0 if record.result == "released" else 1):
            trouble += f"the command ended with {process.returncode}: {said}"
        await self._judge(Kill("worker", str(moment), under_way, resumed, commit, record, trouble), ends)

    async def _judge(self, kill: Kill, ends: tuple[Result, ...]) -> None:
        result = kill.record.result if kill.record else ""
        if result == "released":
            self._good = kill.commit
        took = kill.record.ended - kill.record.started if kill.record else 0.0
        resumed = "-" if kill.resumed is None else f"{kill.resumed:.1f}"
        self._report.rows.append((kill.who, kill.moment, kill.under_way, resumed, took, result or "?", kill.again))
        what = f"{kill.who} killed at {kill.moment}"
        say(f"{what}: {result}, {kill.again or resumed} {kill.trouble}")
        self._report.require(not kill.trouble, f"{what}: {kill.trouble}")
        self._report.require(result in ends, f"{what}: ended as {result or 'nothing'}, not {' or '.join(ends)}")
        if kill.resumed is not None:
            self._slowest = max(self._slowest, kill.resumed)
            self._report.require(kill.resumed < RESUMED_WITHIN, f"{what}: resumed after {kill.resumed:.1f} s")
        for line in await asyncio.to_thread(self._site.untidy, self._good):
            self._report.require(False, f"{what}: {line}")


def _said(process: subprocess.Popen[str]) -> str:
    """The end of what a command printed, once it has ended."""
    try:
        return process.communicate(timeout=ENDS)[0][-TOLD:]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0][-TOLD:]
