"""What is measured: `scaleway-infra dev` in a folder of its own, and the engine's library connected to it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from bench.emulator import Emulator
from blueprint.contract import PlanInput
from blueprint.environment import parse
from blueprint.plan import Plan
from starters.dev import Dev
from starters.dev_state import DevEndpoints
from starters.engine import Engine, Run, target_of
from workflows.identity import NEEDS_OPERATOR
from workflows.messages import AbortInput, ChangeInput, ChangeOutput
from workflows.plugin import EnginePlugin

_LOOK_EVERY = 0.25
"""Seconds between two looks at whether a run is parked. They cost the worker nothing."""

_TOO_BUSY = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True)
class Outcome:
    """How one apply or destroy ended.

    Attributes:
        seconds: wall time.
        output: what it gave; None if it did not end well.
        trouble: why it did not: the failure, or what parked it.
        workflow_id: its workflow.
        run_id: its run.
    """

    seconds: float
    output: ChangeOutput | None
    trouble: str
    workflow_id: str
    run_id: str


class Stack:
    """Temporal, emulator and worker, as `dev` starts them, each a process of its own on free ports.

    Must be entered in the main thread: the processes end with the thread that started them.

    Args:
        latency: factor on Scaleway's real delays.
        worker_environment: more variables for the worker.
    """

    def __init__(self, latency: float = 0.0, worker_environment: Mapping[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        variables = [f"{name}={value}" for name, value in (worker_environment or {}).items()]
        worker = ["env", *variables, sys.executable, "-m", "worker"]
        self.dev = Dev(
            Path(self._folder.name), port=0, temporal_port=0, ui_port=0, latency=latency, say=_say, worker=worker
        )
        self.emulator: Emulator
        self.engine: Engine

    @property
    def folder(self) -> Path:
        """Where databases and logs are, until the end."""
        return self.dev.state_dir

    @property
    def endpoints(self) -> DevEndpoints:
        """Where everything listens."""
        return self.dev.endpoints

    async def __aenter__(self) -> Stack:
        self.dev.start()
        try:
            self.emulator = Emulator(self.endpoints.api_url)
            client = await Client.connect(self.endpoints.temporal_address, plugins=[EnginePlugin()])
            self.engine = Engine(client, self.endpoints.temporal_ui_url)
            await self.worker_listens()
        except BaseException:
            # Ctrl-C too: nobody else would end what was started.
            self.dev.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dev.stop()
        self._folder.cleanup()

    async def worker_listens(self, patience: float = 60.0) -> None:
        """Wait until a worker polls.

        Raises:
            TimeoutError: none does; the message holds the end of its log.
        """
        deadline = time.monotonic() + patience
        while not await self.engine.has_worker():
            if time.monotonic() > deadline or self.dev.worker.returncode is not None:
                raise TimeoutError(f"no worker:\n{self.dev.worker.last_words()}")
            await asyncio.sleep(0.1)

    async def plan(self, request: PlanInput) -> Plan:
        """What an apply would do."""
        return await self.engine.plan(request)

    async def change(self, request: PlanInput, *, patience: float = 180.0) -> Outcome:
        """Apply, or destroy if the request says so, to the end; a run that parks or takes too long is ended.

        Args:
            request: what to do.
            patience: seconds after which it counts as stuck.
        """
        started = time.monotonic()
        run = await self.begin(request)
        return await self.finish(run, started, patience=patience)

    async def begin(self, request: PlanInput) -> Run[ChangeOutput]:
        """Start an apply, or a destroy if the request says so."""
        start = self.engine.destroy if request.destroy else self.engine.apply
        return await start(ChangeInput(request=request))

    async def finish(self, run: Run[ChangeOutput], started: float, *, patience: float = 180.0) -> Outcome:
        """Wait for a run's end; one that parks, or is not done `patience` seconds after `started`, is ended."""
        ending = asyncio.create_task(run.result())
        trouble = ""
        while not ending.done():
            await asyncio.wait([ending], timeout=_LOOK_EVERY)
            if not ending.done() and not trouble:
                if await self._needs_operator(run):
                    progress = await run.progress()
                    trouble = "parked: " + "; ".join(f"{step.id}: {step.trouble}" for step in progress.parked)
                    await self.engine.abort(run, AbortInput(reason="a measurement waits for nobody"))
                elif time.monotonic() - started > patience:
                    trouble = f"not done after {patience:.0f} s: {await self._unfinished(run)}"
                    await run.handle.terminate("too slow")
        seconds = time.monotonic() - started
        output: ChangeOutput | None = None
        try:
            output = await ending
        except WorkflowFailureError as error:
            trouble = trouble or f"failed: {getattr(error.cause, 'message', error.cause)}"
        return Outcome(seconds, output, trouble, run.handle.id, run.handle.result_run_id or "")

    async def forget_schedules(self) -> None:
        """Delete every Temporal Schedule: the emulator's snapshots do not hold them."""
        async for entry in await self.engine.client.list_schedules():
            await self.engine.client.get_schedule_handle(entry.id).delete()

    async def _needs_operator(self, run: Run[ChangeOutput]) -> bool:
        try:
            description = await run.handle.describe()
        except RPCError as error:
            # The client has asked for ten seconds: the server has too much to do, and is asked again at the next look.
            if error.status not in _TOO_BUSY:
                raise
            return False
        return bool(description.typed_search_attributes.get(NEEDS_OPERATOR))

    async def _unfinished(self, run: Run[ChangeOutput]) -> str:
        """What the server says is under way: it answers even if no worker does."""
        description = await run.handle.describe()
        pending = description.raw_description.pending_activities
        return "; ".join(
            f"{item.activity_type.name} {item.activity_id}, attempt {item.attempt}: {item.last_failure.message}"
            for item in pending
        )


def request_for(data: Mapping[str, Any], *, destroy: bool = False) -> PlanInput:
    """What a plan of this environment is made of; a destroy may take everything along."""
    return PlanInput(
        target=target_of(parse(dict(data))),
        environment=dict(data),
        destroy=destroy,
        allow_destroy=("*",) if destroy else (),
    )


def _say(line: str) -> None:
    print(line, flush=True)
