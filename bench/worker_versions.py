"""A worker is replaced by a new version in the middle of runs, which end on the code that they began with.

The new version is a copy of this code whose workflows begin with one command more, so that no run of the old one would
replay with it; that is checked with the history of each run. New runs begin on the new version at once, a freeze, which
lives for weeks, moves to it, and in the end the old worker has nothing left and is told to stop.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from bench.backed_up import BY
from bench.environments import ROOT, apart
from bench.kills import ENDS, LOOK_EVERY, ended, is_running
from bench.rehearsed import Measured, measured
from bench.report import Report
from bench.stack import Stack, request_for
from bench.workers import changed_copy, listens, worker_of
from blueprint.backup.site_of import backup_site
from blueprint.environment import parse
from starters import backups, releases
from starters.dev_state import DevEndpoints
from starters.engine import Engine, Run, target_of
from starters.worker_versions import explained, promote, versions
from workflows.backup.messages import BackupInput
from workflows.identity import freeze_id
from workflows.look import PlanEnvironment
from workflows.messages import ChangeInput
from workflows.plugin import EnginePlugin
from workflows.versioning import BUILD_SETTING, DEFAULT_DEPLOYMENT

NAME = "worker-versions"
SUMMARY = "the worker is replaced by a version that replays nothing, in the middle of runs: all end"

OLD, NEW = "old", "new"
GRACEFUL = 40.0
"""Seconds that a worker without activities may take to stop."""
_TOLD = 600
_REPLAY = """
import asyncio, os, sys
from pathlib import Path
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS
history = WorkflowHistory.from_json("replayed", Path(sys.argv[1]).read_text())
try:
    asyncio.run(Replayer(workflows=WORKFLOWS, plugins=[EnginePlugin()]).replay_workflow(history))
    print("replays", flush=True)
except NondeterminismError:
    print("does not replay", flush=True)
# Temporal's client now and then crashes the interpreter's own exit (temporalio issue 300).
os._exit(0)
"""


@dataclass(frozen=True)
class Way:
    """A kind of run that the worker is replaced under.

    Attributes:
        name: of the kind.
        begin: begins one.
    """

    name: str
    begin: Callable[[], Awaitable[Run[Any]]]


async def measure(*, full: bool) -> Report:
    """Replace the worker under each kind of run.

    Args:
        full: under an apply, a deploy to real machines and a backup of a real database, instead of an apply.
    """
    report = Report(("run", "replaced after", "steps by then", "end", "ran on", "with the new code", "a new run is on"))
    async with _on_machines() if full else _on_paper() as (endpoints, engine, ways):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            replacement = _Replacement(engine, endpoints, Path(folder), report)
            await replacement.under(ways)
    return report


@asynccontextmanager
async def _on_paper() -> AsyncIterator[tuple[DevEndpoints, Engine, list[Way]]]:
    async with Stack(latency=0.02) as stack:
        yield stack.endpoints, stack.engine, [Way("apply", lambda: stack.begin(request_for(apart(1))))]


@asynccontextmanager
async def _on_machines() -> AsyncIterator[tuple[DevEndpoints, Engine, list[Way]]]:
    with measured(2) as site:
        endpoints = site.rehearsal.endpoints
        client = await Client.connect(endpoints.temporal_address, plugins=[EnginePlugin()])
        engine = Engine(client, endpoints.temporal_ui_url)
        environment = parse(site.rehearsal.read())
        target = target_of(environment)
        backup = backup_site(environment, target)
        assert backup
        request = BackupInput(site=backup, origin=BY)
        apply = ChangeInput(request=request_for(apart(1)))
        yield (
            endpoints,
            engine,
            [
                Way("apply", lambda: engine.apply(apply)),
                Way("deploy", lambda: _deploy(site, engine)),
                Way("backup", lambda: backups.backup(engine, request)),
            ],
        )


async def _deploy(site: Measured, engine: Engine) -> Run[Any]:
    """A deploy that a command began, which is not watched."""
    target = target_of(parse(site.rehearsal.read()))
    commit = await asyncio.to_thread(site.commit)
    await asyncio.to_thread(
        site.rehearsal.run, "deploy", site.rehearsal.name, "--ref", commit, "--yes", "--detach", capture=True
    )
    run = await engine.current(target)
    assert run, "the deploy does not run"
    return run


class _Replacement:
    """Two versions of the worker, side by side.

    Args:
        engine: connected.
        endpoints: what both work on.
        folder: for the copy of the code, histories and logs.
        report: where everything is noted.
    """

    def __init__(self, engine: Engine, endpoints: DevEndpoints, folder: Path, report: Report) -> None:
        self._engine = engine
        self._report = report
        self._folder = folder
        self._copy = changed_copy(folder / "code")
        self._old = worker_of(endpoints, folder / f"{OLD}.log", ROOT, **{BUILD_SETTING: OLD})
        self._new = worker_of(endpoints, folder / f"{NEW}.log", self._copy, **{BUILD_SETTING: NEW})

    async def under(self, ways: list[Way]) -> None:
        """Replace the old one under each kind of run, and stop it when it has nothing left."""
        target = target_of(parse(apart(2)))
        try:
            for worker in (self._old, self._new):
                worker.start()
                await listens(worker)
            await self._promoted(OLD)
            await releases.freeze(self._engine, target, "a measurement")
            for way in ways:
                await self._promoted(OLD)
                await self._once(way)
            frozen = self._engine.client.get_workflow_handle(freeze_id(target.environment))
            await releases.unfreeze(self._engine, target)
            await _over(frozen)
            self._report.require(
                NEW in await _ran_on(frozen), f"the freeze ended on {await _ran_on(frozen)}, not on the new version"
            )
            await self._idle()
        finally:
            for worker in (self._old, self._new):
                worker.stop()

    async def _once(self, way: Way) -> None:
        began = time.monotonic()
        run = await way.begin()
        done = await _in_the_middle(run)
        seconds = time.monotonic() - began
        was_running = await is_running(run)
        await self._promoted(NEW)
        request = request_for(apart(3))
        beside = await self._engine.look(PlanEnvironment.run, "plan", request.target, request)
        await beside.result()
        trouble = await ended(run)
        try:
            await run.result()
        except WorkflowFailureError as error:
            trouble += f"failed: {getattr(error.cause, 'message', error.cause)}"
        ran_on, beside_on = await _ran_on(run.handle), await _ran_on(beside.handle)
        replays = await self._replays(run.handle)
        end = "failed" if trouble else "done"
        row = (way.name, f"{seconds:.1f} s", done, end, ran_on, replays, beside_on)
        self._report.rows.append(row)
        self._report.require(not trouble, f"{way.name}: {trouble[:_TOLD]}")
        self._report.require(was_running, f"{way.name}: it was over before the worker was replaced")
        self._report.require(ran_on == OLD, f"{way.name}: ran on {ran_on}")
        self._report.require(beside_on == NEW, f"{way.name}: a run begun after the replacement is on {beside_on}")
        self._report.require(replays == "does not replay", f"{way.name}: the new code {replays} it: nothing is shown")

    async def _promoted(self, build_id: str) -> None:
        await promote(self._engine, DEFAULT_DEPLOYMENT, build_id)

    async def _idle(self) -> None:
        """Wait until no run needs the old version, and let its worker stop."""
        deadline = time.monotonic() + ENDS
        while True:
            known = {version.build_id: version for version in await versions(self._engine, DEFAULT_DEPLOYMENT)}
            if known[OLD].runs == 0 or time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_EVERY)
        self._report.require(known[OLD].runs == 0, f"{known[OLD].runs} runs still need the old version")
        self._report.require(known[OLD].workers == known[NEW].workers == 1, f"not one worker each: {known}")
        began = time.monotonic()
        await asyncio.to_thread(self._old.stop, GRACEFUL)
        self._report.require(self._old.returncode == 0, f"the old worker ended with {self._old.returncode}")
        good, words, _ = explained(list(known.values()))
        self._report.require(good, words)
        self._report.notes.append(f"{words}; the old worker stopped in {time.monotonic() - began:.1f} s")

    async def _replays(self, handle: WorkflowHandle[Any, Any]) -> str:
        """What the new code does with the history of a run."""
        path = self._folder / "history.json"
        path.write_text((await handle.fetch_history()).to_json())
        command = [sys.executable, "-c", _REPLAY, str(path)]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=self._copy, capture_output=True, text=True, timeout=ENDS, check=False
        )
        # Before it, Temporal's client may have said something there, too.
        return done.stdout.strip().rpartition("\n")[2] or done.stderr[-_TOLD:]


async def _in_the_middle(run: Run[Any]) -> str:
    """Wait until some of a run's steps are done and one is under way; how many of how many are done."""
    deadline = time.monotonic() + ENDS
    while True:
        states = [step.state for step in (await run.progress()).steps]
        middle = "done" in states and "running" in states
        if middle or not await is_running(run) or time.monotonic() > deadline:
            return f"{states.count('done')} of {len(states)}"
        await asyncio.sleep(LOOK_EVERY)


async def _over(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait for an end, whatever it is."""
    try:
        await handle.result()
    except WorkflowFailureError:
        return


async def _ran_on(handle: WorkflowHandle[Any, Any]) -> str:
    """Every version that a run was on, in order."""
    events = json.loads((await handle.fetch_history()).to_json())["events"]
    found = [event.get("workflowTaskCompletedEventAttributes", {}).get("deploymentVersion", {}) for event in events]
    return ", ".join(dict.fromkeys(version["buildId"] for version in found if version))
