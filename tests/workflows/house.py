"""Everything that a run needs, in one process: a local Scaleway, a client and a worker, on a loop of their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Worker

from activities.settings import ScalewaySettings
from blueprint.contract import PlanInput
from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.plan import Plan
from emulator.app import ACCESS_KEY, SECRET_KEY
from emulator.world import DEFAULT_ORGANIZATION, DEFAULT_PROJECT
from starters.engine import Engine, Run, target_of
from tests.emulator.conftest import Api, running
from worker import make_worker
from workflows.identity import TASK_QUEUE
from workflows.messages import ChangeInput, ChangeOutput, Progress
from workflows.plugin import EnginePlugin

T = TypeVar("T")
PACE = 0.02
"""Factor on the engine's pauses: the emulator answers at once."""
KEYS = ("iam.api_keys", "mnq.sqs_credentials")
"""The emulator's tables of what has a secret half."""
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
UI = "http://ui.test"
"""Where links lead."""


def settings_for(api: Api, **other: Any) -> ScalewaySettings:
    """How a worker reaches this emulator."""
    return ScalewaySettings.model_validate(scaleway_environment(api) | {"SCALEWAY_INFRA_PACE": str(PACE)} | other)


def scaleway_environment(api: Api) -> dict[str, str]:
    """The same as environment variables."""
    return {
        "SCW_ACCESS_KEY": ACCESS_KEY,
        "SCW_SECRET_KEY": SECRET_KEY,
        "SCW_API_URL": api.url,
        "SCW_DEFAULT_PROJECT_ID": DEFAULT_PROJECT,
        "SCW_DEFAULT_ORGANIZATION_ID": DEFAULT_ORGANIZATION,
        "AWS_ENDPOINT_URL_S3": api.emulator.planes["s3"].url,
        "AWS_ENDPOINT_URL_SQS": api.emulator.planes["sqs"].url,
        "SCALEWAY_INFRA_COCKPIT_URL": api.emulator.planes["cockpit"].url,
    }


def small(**sections: Any) -> dict[str, Any]:
    """An environment file with no more than what every environment has, of an organization of its own."""
    org = f"t{uuid.uuid4().hex[:8]}"
    return {"org": org, "env": "test", "network": {"cidr": "10.0.0.0/24"}, "security_groups": {}, **sections}


def keys(data: dict[str, Any]) -> set[str]:
    """Keys of everything that this environment asks for."""
    return {resource.key for resource in resources_of(parse(data))}


def request(data: dict[str, Any], **wishes: Any) -> PlanInput:
    """What a plan of this environment is made of."""
    return PlanInput(target=target_of(parse(data)), environment=data, **wishes)


class House:
    """A local Scaleway and whoever works on it.

    Attributes:
        api: the emulator.
        engine: the library, connected.
    """

    def __init__(self, api: Api, address: str, task_queue: str, identity: str | None = None) -> None:
        self.api = api
        self._identity = identity
        self.address = address
        self.task_queue = task_queue
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="house", daemon=True)
        self._thread.start()
        self.client = self.run(self._connect())
        self.engine = Engine(self.client, UI, task_queue)
        self._worker: Worker | None = None

    async def _connect(self) -> Client:
        return await Client.connect(self.address, plugins=[EnginePlugin()], identity=self._identity)

    def run(self, call: Coroutine[Any, Any, T], patience: float = 60.0) -> T:
        """The answer of a call on the house's loop."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(patience)

    # -- the worker --------------------------------------------------------------------------------------------

    @contextmanager
    def working(self, **settings: Any) -> Iterator[None]:
        """With a worker of these settings."""
        self.run(self._begin(settings_for(self.api, **settings)))
        try:
            yield
        finally:
            self.run(self._end())

    @contextmanager
    def working_instead(self, **settings: Any) -> Iterator[None]:
        """With a worker of these settings in place of the one that is there."""
        before = self._settings
        self.run(self._end())
        try:
            with self.working(**settings):
                yield
        finally:
            self.run(self._begin(before))

    async def _begin(self, settings: ScalewaySettings) -> None:
        self._settings = settings
        self._worker = make_worker(self.client, settings, task_queue=self.task_queue)
        self._working = asyncio.ensure_future(self._worker.run())

    async def _end(self) -> None:
        assert self._worker
        await self._worker.shutdown()
        await self._working

    def close(self) -> None:
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # -- the world ---------------------------------------------------------------------------------------------

    def fault(self, *operations: str, kind: str, **more: Any) -> None:
        """Let calls go wrong, every time unless `count` says how often, and no others."""
        faults = [{"operation": operation, "kind": kind, "count": None, **more} for operation in operations]
        status, answer = self.api.request("PUT", "/_emulator/faults", {"faults": faults})
        assert status == 200, answer

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self.api.request("DELETE", "/_emulator/faults")

    def requests(self, *, mutating: bool = False) -> list[str]:
        """Operations of the calls so far, in order of their ends."""
        _, answer = self.api.request("GET", "/_emulator/requests?last=20000")
        return [entry["operation"] for entry in answer["requests"] if entry["mutating"] or not mutating]

    def forget_requests(self) -> None:
        """The request log starts again."""
        self.api.request("DELETE", "/_emulator/requests")

    def resources(self) -> dict[str, list[dict[str, Any]]]:
        """What exists, by kind of the emulator, without what Scaleway makes by itself."""
        _, answer = self.api.request("GET", "/_emulator/resources")
        return {kind: found["items"] for kind, found in answer.items()}

    def secret_values(self) -> set[str]:
        """Every value that Secret Manager holds, and the secret half of every key that somebody was given."""
        world = self.api.world
        versions = [version for row in world.tables["secret.secrets"].values() for version in row["_versions"]]
        held = {base64.b64decode(version["_data"]).decode() for version in versions}
        made = [row for name in KEYS for row in world.tables.get(name, {}).values()]
        keys = {row["_secret_key"] for row in made if "_secret_key" in row}
        return {value for value in held if not value.startswith("{")} | keys

    # -- runs --------------------------------------------------------------------------------------------------

    def plan(self, data: dict[str, Any], **wishes: Any) -> Plan:
        """What an apply would do."""
        return self.run(self.engine.plan(request(data, **wishes)))

    def begin(self, data: dict[str, Any], fingerprint: str | None = None, **wishes: Any) -> Run[ChangeOutput]:
        """Begin an apply, or a destroy if the wishes say so."""
        change = ChangeInput(request=request(data, **wishes), fingerprint=fingerprint)
        start = self.engine.destroy if change.request.destroy else self.engine.apply
        return self.run(start(change))

    def apply(self, data: dict[str, Any], **wishes: Any) -> ChangeOutput:
        """Apply, to its end."""
        return self.result(self.begin(data, **wishes))

    def destroy(self, data: dict[str, Any], *allowed: str) -> ChangeOutput:
        """Destroy, to its end."""
        return self.apply(data, destroy=True, allow_destroy=allowed or ("*",))

    def result(self, run: Run[ChangeOutput]) -> ChangeOutput:
        """What a run gives at its end."""
        return self.run(run.result())

    def failure(self, run: Run[Any]) -> tuple[str, str]:
        """Code and message of a run that fails; "cancelled" for one that was."""
        try:
            self.run(run.result())
        except WorkflowFailureError as error:
            cause = error.cause
            while not isinstance(cause, ApplicationError | CancelledError) and cause.__cause__ is not None:
                cause = cause.__cause__
            if isinstance(cause, CancelledError):
                return "cancelled", str(cause)
            assert isinstance(cause, ApplicationError), cause
            return cause.type or "", cause.message
        raise AssertionError("the run did not fail")

    def progress(self, run: Run[Any]) -> Progress:
        """A run, seen from outside."""
        return self.run(run.progress())

    def states(self, run: Run[Any]) -> dict[str, str]:
        """The state of every step."""
        return {step.id: step.state for step in self.progress(run).steps}

    def until(self, run: Run[Any], condition: Callable[[dict[str, str]], bool], patience: float = 20) -> None:
        """Wait until the states of a run's steps are so."""
        deadline = time.monotonic() + patience
        while not condition(states := self.states(run)):
            assert time.monotonic() < deadline, states
            time.sleep(0.05)

    def until_parked(self, run: Run[Any], *steps: str) -> None:
        """Wait until these steps, and no others, are parked and nothing runs."""

        def parked(states: dict[str, str]) -> bool:
            waiting = {step for step, state in states.items() if state == "parked"}
            return waiting == set(steps) and "running" not in states.values()

        self.until(run, parked)

    def works_on(self, run: Run[Any]) -> list[str]:
        """Types of the activities of which an attempt is under way."""
        pending = self.run(run.handle.describe()).raw_description.pending_activities
        return [item.activity_type.name for item in pending if item.state == STARTED]

    def details(self, run: Run[Any]) -> str:
        """What Temporal's UI shows of the run as its current details."""
        metadata = self.run(run.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata))
        assert isinstance(metadata, WorkflowMetadata)
        return metadata.current_details

    def history(self, handle: WorkflowHandle[Any, Any]) -> str:
        """The whole history of a run as text, every payload in the clear."""
        events = json.loads(self.run(handle.fetch_history()).to_json())
        return json.dumps(_in_the_clear(events), ensure_ascii=False)


def _in_the_clear(value: Any) -> Any:
    """JSON of a history with what base64 hides: payloads and their metadata."""
    if isinstance(value, dict):
        return {key: _in_the_clear(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_in_the_clear(child) for child in value]
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return base64.b64decode(value, validate=True).decode() or value
    return value


@contextmanager
def house(address: str, task_queue: str = TASK_QUEUE, identity: str | None = None) -> Iterator[House]:
    """A house without a worker.

    Args:
        address: of Temporal.
        task_queue: where its runs go.
        identity: how Temporal calls client and worker; by process and host if absent.
    """
    with running() as api:
        built = House(api, address, task_queue, identity)
        try:
            yield built
        finally:
            built.close()
