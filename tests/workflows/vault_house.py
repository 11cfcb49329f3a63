"""A vault with a worker, and time that passes at once where a test wants it."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from temporalio.api.common.v1 import TimeSkippingConfig
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from blueprint.backup.site import BackupSite
from starters.engine import Engine, Run
from tests.workflows.house import UI, House
from tests.workflows.vault import Vault
from workflows.identity import ENVIRONMENT, NEEDS_OPERATOR
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS

CANCELLED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
HEARD = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


class Skipping(Interceptor):
    """Time passes at once for the runs that begin while it is on."""

    def __init__(self) -> None:
        self.on = False

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Called by the client."""
        return _Starting(next, self)


def skipping_engine(home: House, identity: str | None = None) -> Engine:
    """An engine whose runs do not wait for timers.

    Args:
        home: whose worker they have.
        identity: how Temporal calls its client; by process and host if absent.
    """
    skipping = Skipping()
    skipping.on = True
    connecting = Client.connect(home.address, plugins=[EnginePlugin()], interceptors=[skipping], identity=identity)
    return Engine(home.run(connecting), UI, home.task_queue)


class _Starting(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, skipping: Skipping) -> None:
        super().__init__(next)
        self._skipping = skipping

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        if self._skipping.on:
            input.time_skipping_config = TimeSkippingConfig(enabled=True)
        return await super().start_workflow(input)


class VaultHouse:
    """A vault with a worker.

    Args:
        home: a `House`, for its loop.
        vault: the vault.
        client: connected.
        queue: where its worker listens.
        skipping: of the client.
    """

    def __init__(self, home: House, vault: Vault, client: Client, queue: str, skipping: Skipping) -> None:
        self.home = home
        self.vault = vault
        self.engine = Engine(client, UI, queue)
        self._client = client
        self._skipping = skipping

    @contextmanager
    def skipping(self) -> Iterator[None]:
        """Runs that begin in here do not wait for timers."""
        self._skipping.on = True
        try:
            yield
        finally:
            self._skipping.on = False

    def begin(self, run: Any, input: Any, id: str = "") -> Run[Any]:
        """Start a workflow, by default under an id of its own."""

        async def start() -> Run[Any]:
            handle = await self._client.start_workflow(
                run,
                input,
                id=id or f"vault-{uuid.uuid4().hex}",
                task_queue=self.engine.task_queue,
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(ENVIRONMENT, self.vault.site.target.environment),
                        SearchAttributePair(NEEDS_OPERATOR, False),
                    ]
                ),
            )
            return Run(handle, "")

        return self.home.run(start())

    def follow(self, id: str) -> Run[Any]:
        """The newest run of an id."""
        return Run(self._client.get_workflow_handle(id), "")

    def result(self, run: Run[Any]) -> Any:
        """What a run gives."""
        return self.home.run(run.result())

    def ends(self, run: Run[Any], output: type[Any]) -> tuple[str, str, Any]:
        """Code, message and output of a run that fails; of one without details the output is None."""
        try:
            self.home.run(run.result())
        except WorkflowFailureError as error:
            if isinstance(error.cause, ApplicationError):
                details = error.cause.details
                told = output.model_validate(details[0]) if details else None
                return error.cause.type or "", error.cause.message, told
            return (*self.home.failure(run), None)
        raise AssertionError("the run did not fail")

    def events(self, run: Run[Any]) -> list[int]:
        """Types of the events in a run's history."""
        return [event.event_type for event in self.home.run(run.handle.fetch_history()).events]

    def timers(self, run: Run[Any]) -> list[float]:
        """Seconds of the timers that a run has started."""
        timers = [event.timer_started_event_attributes for event in self.home.run(run.handle.fetch_history()).events]
        return [timer.start_to_fire_timeout.ToTimedelta().total_seconds() for timer in timers if timer.timer_id]

    def cancel(self, run: Run[Any]) -> None:
        """Cancel a run, and wait until it has heard of it and said what becomes of its activities."""
        self.home.run(run.cancel())
        deadline = time.monotonic() + 20
        while True:
            types = self.events(run)
            if CANCELLED in types and HEARD in types[types.index(CANCELLED) :]:
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def until_timers(self, run: Run[Any], times: int) -> None:
        """Wait until a run has started so many timers."""
        deadline = time.monotonic() + 20
        while len(self.timers(run)) < times:
            assert time.monotonic() < deadline, times
            time.sleep(0.05)

    def gate(self, start: str) -> threading.Event:
        """Calls that begin so take until this is set."""
        self.vault.gates[start] = threading.Event()
        return self.vault.gates[start]

    def until_called(self, start: str, times: int = 1) -> None:
        """Wait until a call was made so many times."""
        deadline = time.monotonic() + 20
        while len(self.vault.named(start)) < times:
            assert time.monotonic() < deadline, self.vault.calls
            time.sleep(0.02)


@contextmanager
def vault_house(home: House, vault: Vault, queue: str = "") -> Iterator[VaultHouse]:
    """A worker that has a vault in place of the real activities, beside the house's own worker.

    Args:
        home: a `House`, for its loop and its connection.
        vault: the vault.
        queue: where its worker listens; a queue of its own if empty.
    """
    queue = queue or f"vault-{uuid.uuid4().hex[:8]}"
    skipping = Skipping()

    async def start() -> tuple[Client, Worker, asyncio.Future[None]]:
        client = await Client.connect(home.address, plugins=[EnginePlugin()], interceptors=[skipping])
        worker = Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=vault.activities)
        return client, worker, asyncio.ensure_future(worker.run())

    async def stop() -> None:
        await worker.shutdown()
        await working

    client, worker, working = home.run(start())
    try:
        yield VaultHouse(home, vault, client, queue, skipping)
    finally:
        home.run(stop())


Vaults = Callable[[BackupSite], VaultHouse]
"""Gives a house of a vault for an environment."""
