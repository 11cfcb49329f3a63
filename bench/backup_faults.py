"""What goes wrong around a backup: each is sat out, or the run asks and says why; the newest good backup stays good.

After each the run is told to try again, once what went wrong is mended, and has to end well; then the backup that was
good before is restored and compared row by row.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from temporalio.client import WorkflowFailureError

from bench.backed_up import ASSETS, BY, BackedUp, backed_up
from bench.kills import LOOK_EVERY, is_running
from bench.mishaps import cut_power, in_machine, power_up
from bench.rehearsed import say
from bench.report import Report
from blueprint.backup.catalogue import Entry
from starters import backups as library
from starters.demo_data import DATABASE
from starters.engine import Run
from starters.transfers import transfers
from workflows.backup.messages import BackupInput, DrillInput, DropInput, RestoreDatabaseInput
from workflows.identity import NEEDS_OPERATOR

NAME = "backup-faults"
SUMMARY = "what goes wrong around a backup is sat out, or asked about; the newest good one stays, and restores"

SIZE, OBJECTS = 150_000_000, 200
ENDS = 900.0
"""Seconds until a run has ended or asks: the engine is patient for up to ten minutes."""
EXPIRED, SKEWED = 3700.0, 1200.0
"""Seconds that Scaleway's clock is ahead: a signed address is good for an hour, a signature for a quarter of one."""
AWAY = 4.0
"""Seconds that what passes by itself lasts."""
ASSET = ASSETS[0]

SLOW = {"operation": "S3 PutObject", "kind": "slow", "seconds": 2.0, "count": None}
"""So that there is a middle."""
REFUSED = {"operation": "S3 PutObject", "kind": "denied", "count": None}
BURST = {"operation": "S3 *", "kind": "unavailable", "count": 20}

FAKE = """
cat >/usr/local/sbin/pg_dump <<'END'
#!/bin/bash
real=$(type -aP pg_dump | grep -v ^/usr/local/sbin/ | head -n 1)
case "$*" in *--version*) exec "$real" "$@" ;; esac
%s
END
chmod +x /usr/local/sbin/pg_dump
"""
FILL = """
for full in /tmp /var/tmp /root; do
    mount -t tmpfs -o size=64k tmpfs $full
    cat /dev/zero >$full/filled || true
done
"""
EMPTY = "for full in /tmp /var/tmp /root; do umount -l $full; done"

Strike = Callable[[BackedUp, str], None]
"""Lets it happen, or mends it; is given the node that moves the data, once one does."""


@dataclass(frozen=True)
class Way:
    """One thing that goes wrong.

    Attributes:
        name: for people.
        strike: lets it happen.
        mend: what a person would do about it.
        end: done: it is sat out. asked: the run waits for an operator. bad: the drill tells.
        says: what the reason has to name; empty where nobody has to be told.
        midst: whether it happens once data flows, and not before the run.
        run: what it happens to.
        assets: that are backed up.
    """

    name: str
    strike: Strike
    mend: Strike
    end: Literal["done", "asked", "bad"]
    says: str = ""
    midst: bool = True
    run: Literal["backup", "restore"] = "backup"
    assets: tuple[str, ...] = ASSETS


def _faults(*faults: dict[str, Any]) -> Strike:
    def strike(site: BackedUp, node: str) -> None:
        site.ask("faults", "PUT", {"faults": list(faults)})

    return strike


def _on_nodes(script: str) -> Strike:
    def strike(site: BackedUp, node: str) -> None:
        for name in site.nodes:
            in_machine(site, name, script)

    return strike


def _clock(ahead: float) -> Strike:
    def strike(site: BackedUp, node: str) -> None:
        site.ask("clock", "PUT", {"ahead": ahead})

    return strike


def _expire(site: BackedUp, node: str) -> None:
    _clock(EXPIRED)(site, node)
    time.sleep(AWAY)
    _clock(0)(site, node)


def _crash(site: BackedUp, node: str) -> None:
    """End the server as a crash does; whoever keeps it starts it again."""
    (lock,) = (site.rehearsal.folder / "state").rglob("postmaster.pid")
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)


def _another_key(site: BackedUp, node: str) -> None:
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    site.replace_key(key)


def _nothing(site: BackedUp, node: str) -> None:
    """It mends itself."""


_UNFAKE = _on_nodes("rm -f /usr/local/sbin/pg_dump")
_CALM = _faults(SLOW)

WAYS = (
    Way("database restarts", _crash, _nothing, "done"),
    Way("addresses expire", _expire, _nothing, "done", assets=(ASSET,)),
    Way("503 bursts", _faults(BURST, SLOW), _CALM, "done"),
    Way(
        "pg_dump dies, zstd ends with 0",
        _on_nodes(FAKE % '"$real" "$@" | head -c 200000; exit 1'),
        _UNFAKE,
        "asked",
        "pg_dump ended with exit code 1",
        midst=False,
    ),
    Way("a dump of zero bytes", _on_nodes(FAKE % "exit 0"), _UNFAKE, "asked", "pg_dump wrote nothing", midst=False),
    Way("the node's disk is full", _on_nodes(FILL), _on_nodes(EMPTY), "done", midst=False),
    Way("clocks differ", _clock(SKEWED), _clock(0), "asked", "set the clock", midst=False),
    Way("another key", _another_key, lambda site, node: site.replace_key(), "asked", "key", midst=False, run="restore"),
    Way(
        "a truncated dump, all exit codes 0",
        _on_nodes(FAKE % '"$real" "$@" | head -c 200000; exit 0'),
        _UNFAKE,
        "bad",
        ASSET,
        midst=False,
    ),
    Way("node powered off", cut_power, power_up, "done"),
    Way("bucket refuses writes from the start", _faults(REFUSED), _CALM, "asked", "403", midst=False),
    Way("bucket refuses writes in the midst", _faults(REFUSED), _CALM, "asked", "refuses"),
)
FEW = 5
"""How many of them the short form tries."""


async def measure(*, full: bool, ways: int | None = None) -> Report:
    """Let it go wrong.

    Args:
        full: in every way, instead of a few.
        ways: in how many, if neither form fits.
    """
    report = Report(("what", "end", "until then s", "then s"))
    async with backed_up(2) as site:
        await asyncio.to_thread(site.fill, SIZE, OBJECTS)
        trials = _Trials(site, report)
        await trials.prepare()
        for way in WAYS[: ways or (len(WAYS) if full else FEW)]:
            await trials.one(way)
    return report


class _Trials:
    """What goes wrong in a row, on one environment.

    Args:
        site: where.
        report: where everything is noted.
    """

    def __init__(self, site: BackedUp, report: Report) -> None:
        self._site = site
        self._report = report
        self._good = ""
        """The newest good backup."""
        self._rows = ""

    async def prepare(self) -> None:
        """Make a backup, and drill it."""
        made = await (await self._begin("backup")).result()
        await (await library.drill(self._site.engine, self._drill())).result()
        self._good, self._rows = made.id, self._site.fingerprint()
        _CALM(self._site, "")

    async def one(self, way: Way) -> None:
        """Let one thing go wrong, mend it, and see what is there then."""
        began, node = time.monotonic(), ""
        if not way.midst:
            await asyncio.to_thread(way.strike, self._site, node)
        run = await self._begin(way.run, way.assets)
        if way.midst:
            node = await self._flows(run)
            await asyncio.to_thread(way.strike, self._site, node)
        reason = await self._settled(run)
        until, asked = time.monotonic() - began, bool(reason)
        await asyncio.to_thread(way.mend, self._site, node)
        if asked:
            await self._site.engine.retry(run)
        if again := await self._settled(run):
            self._report.require(False, f"{way.name}: mended and retried, it asks again: {again}")
            await run.handle.terminate("a measurement waits for nobody")
            return
        end: str = "asked" if asked else "done"
        try:
            output = await run.result()
        except WorkflowFailureError as error:
            self._report.require(False, f"{way.name}: failed: {_why(error)}")
            return
        if way.end == "bad":
            end, reason = await self._drilled(output.id)
        seconds = time.monotonic() - began - until
        if way.run == "restore":
            await self._drop(output.database)
        self._report.rows.append((way.name, end, until, seconds))
        if reason:
            self._report.notes.append(f"{way.name}: {reason}")
        say(f"{way.name}: {end} after {until:.0f} s, {reason}")
        self._report.require(end == way.end, f"{way.name}: {end}, not {way.end}: {reason}")
        self._report.require(way.says in reason, f"{way.name}: says {reason!r}, and nothing of {way.says!r}")
        for trouble in [*self._site.untidy(), *await self._untouched()]:
            self._report.require(False, f"{way.name}: {trouble}")

    # -- runs --------------------------------------------------------------------------------------------------

    async def _begin(self, what: Literal["backup", "restore"], assets: tuple[str, ...] = ASSETS) -> Run[Any]:
        engine, site = self._site.engine, self._site.site
        if what == "backup":
            return await library.backup(engine, BackupInput(site=site, only=assets, origin=BY))
        request = RestoreDatabaseInput(site=site, database=DATABASE, id=self._good, origin=BY)
        return await library.restore_database(engine, request)

    def _drill(self, id: str = "") -> DrillInput:
        return DrillInput(site=self._site.site, only=(ASSET,), id=id, origin=BY)

    async def _drilled(self, id: str) -> tuple[str, str]:
        """What a drill says of a backup."""
        run = await library.drill(self._site.engine, self._drill(id))
        if reason := await self._settled(run):
            await run.handle.terminate("a measurement waits for nobody")
            return "asked", reason
        try:
            await run.result()
        except WorkflowFailureError as error:
            entry = self._entry(id)
            return "bad" if entry and entry.state == "bad" else "failed", _why(error)
        return "good", "the drill passed"

    async def _flows(self, run: Run[Any]) -> str:
        """Wait until data flows; the node that moves it."""
        async with asyncio.timeout(ENDS):
            while True:
                moving = await transfers(self._site.engine, run)
                if node := next((each.node for each in moving if each.node and each.done), ""):
                    return node
                if not await is_running(run):
                    raise AssertionError("it was over before anything could go wrong")
                await asyncio.sleep(LOOK_EVERY)

    async def _settled(self, run: Run[Any]) -> str:
        """Wait until a run has ended, or asks: what it asks about; empty if it has ended."""
        async with asyncio.timeout(ENDS):
            while await is_running(run):
                if (await run.handle.describe()).typed_search_attributes.get(NEEDS_OPERATOR):
                    parked = (await run.progress()).parked
                    return "; ".join(f"{step.id}: {step.trouble}" for step in parked)
                await asyncio.sleep(4 * LOOK_EVERY)
        return ""

    # -- what was good before ----------------------------------------------------------------------------------

    def _entry(self, id: str) -> Entry | None:
        return self._site.catalogue().find(ASSET, id)

    async def _untouched(self) -> list[str]:
        """What is wrong with the backup that was good before."""
        entry = self._entry(self._good)
        if entry is None or entry.state != "good":
            return [f"{self._good} was good, and is {entry.state if entry else 'gone'}"]
        restored = await (await self._begin("restore")).result()
        same = self._site.fingerprint(restored.database) == self._rows
        await self._drop(restored.database)
        return [*restored.findings, *([] if same else ["the rows of the good backup are not as they were"])]

    async def _drop(self, name: str) -> None:
        request = DropInput(site=self._site.site, name=name, origin=BY)
        await (await library.drop_database(self._site.engine, request)).result()


def _why(error: WorkflowFailureError) -> str:
    return str(getattr(error.cause, "message", error.cause))
