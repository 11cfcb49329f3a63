"""An environment's way to a Scaleway of its own, for each test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from temporalio.client import Client

from activities.cloud import Cloud
from activities.settings import ScalewaySettings
from activities.temporal_client import TemporalBridge
from blueprint.contract import Target
from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.plan import Difference
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource, resolve
from starters.temporal_server import TemporalServer
from tests.emulator.conftest import running
from workflows.plugin import EnginePlugin

TARGET = Target(org="lssm", env="prod", region="fr-par", zone="fr-par-1")
NO_TEMPORAL: Any = None
"""Only schedules go to Temporal; their tests have a bridge of their own."""
NO_NODES: Any = None
"""Only what is kept inside of machines goes there; its tests have real ones."""


class Control:
    """What a test asks of its emulator besides what Scaleway offers.

    Attributes:
        url: where the API listens.
        endpoints: every address, and the settings that lead there.
    """

    def __init__(self, api: Any) -> None:
        self._api = api
        self.url: str = api.url
        self.endpoints: dict[str, Any] = self._call("GET", "endpoints")

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """Put these faults in force, and no others."""
        self._call("PUT", "faults", {"faults": list(faults)})

    def requests(self) -> dict[str, Any]:
        """The log of requests."""
        log: dict[str, Any] = self._call("GET", "requests")
        return log

    def call(self, method: str, path: str, json: Any = None, query: Any = None) -> Any:
        """What somebody else does at Scaleway: one call that must succeed, and its answer."""
        status, body = self._api.request(method, path, json=json, query=query)
        assert status < 400, body
        return body

    def _call(self, method: str, path: str, json: Any = None) -> Any:
        return self.call(method, f"/_emulator/{path}", json)


@pytest.fixture
def emulator() -> Iterator[Control]:
    """A fresh local Scaleway without latency."""
    with running() as api:
        yield Control(api)


@pytest.fixture
def cloud(emulator: Control) -> Cloud:
    """Scaleway as `lssm-prod` sees it."""
    return make_cloud(emulator)


@pytest.fixture(scope="session")
def bridge(temporal: TemporalServer) -> Iterator[TemporalBridge]:
    """A client on a loop of its own, as a worker has it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    connecting = Client.connect(temporal.address, plugins=[EnginePlugin()])
    yield TemporalBridge(asyncio.run_coroutine_threadsafe(connecting, loop).result(10), loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def make_cloud(emulator: Control, temporal: TemporalBridge = NO_TEMPORAL, target: Target = TARGET) -> Cloud:
    """Scaleway as an environment sees it, with a way to Temporal or none."""
    known = {field.alias for field in ScalewaySettings.model_fields.values()}
    settings = {name: value for name, value in emulator.endpoints["environment"].items() if name in known}
    return Cloud(ScalewaySettings.model_validate(settings), target, temporal, NO_NODES)


def declared(snippet: Mapping[str, Any]) -> dict[str, Resource]:
    """The resources of `lssm-prod` with these sections in its file, by key."""
    environment = parse({"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}, **snippet})
    return {resource.key: resource for resource in resources_of(environment)}


def resolved(resource: Resource, outputs: Mapping[str, str], parent_id: str = "") -> Resource:
    """The resource as a step gets it: with the ids that other resources have, by key."""

    def lookup(key: str, output: str) -> str:
        return outputs[key]

    inputs = resource.inputs | ({"parent_id": parent_id} if parent_id else {})
    return resource.model_copy(update={"fields": resolve(resource.fields, lookup), "inputs": resolve(inputs, lookup)})


def differences(resource: Resource, item: Observed) -> tuple[Difference, ...]:
    """How an object, taken for ours, is not as declared. References in the resource must be resolved already."""
    alone = resource.model_copy(update={"parent": "", "depends_on": (), "inputs": {}})
    plan = make_plan("lssm-prod", [alone], [item.model_copy(update={"ownership": "ours"})])
    return plan.changes[0].differences if plan.changes else ()
