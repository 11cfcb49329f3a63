"""What crosses the borders between client, workflows and activities: names that match, values that survive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

from activities.backup.registry import backup_activities
from activities.planning import Planning
from activities.registry import Clouds
from activities.steps import Steps
from activities.temporal_client import TemporalBridge
from blueprint import contract
from blueprint.backup import contract as backup
from blueprint.contract import ActivityType, InventoryOutput, StepInput, StepOutput, Target
from blueprint.plan import Change
from blueprint.resource import Observed
from starters.temporal_server import TemporalServer
from tests.workflows.house import House, settings_for
from tests.workflows.vault import Vault, site_of
from workflows import identity, messages
from workflows.backup import messages as backup_messages
from workflows.messages import ChangeInput, ChangeOutput, Progress, StepProgress
from workflows.plugin import DATA_CONVERTER
from workflows.registry import WORKFLOWS

ACTIVITIES = [value for value in vars(contract).values() if isinstance(value, ActivityType)]
TARGET = Target(org="a", env="b", region="fr-par", zone="fr-par-1")


def models(module: Any) -> Iterator[type[BaseModel]]:
    """The models that a module defines."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module.__name__:
            yield value


def test_every_activity_has_a_function() -> None:
    """Of the very name, taking and giving what the contract says; and no function is without a contract."""
    functions = {}
    for owner in (Planning, Steps):
        for value in vars(owner).values():
            if definition := getattr(value, "__temporal_activity_definition", None):
                functions[definition.name] = definition
    assert set(functions) == {kind.name for kind in ACTIVITIES}
    for kind in ACTIVITIES:
        assert functions[kind.name].arg_types == [kind.takes]
        assert functions[kind.name].ret_type is kind.gives


def test_every_backup_activity_has_a_function(home: House) -> None:
    """The same for backups, and for what stands in for them in tests."""
    kinds = [value for value in vars(backup).values() if isinstance(value, ActivityType)]
    clouds = Clouds(settings_for(home.api), TemporalBridge(home.client, asyncio.new_event_loop()))
    for functions in (backup_activities(clouds), Vault(site_of()).activities):
        found: dict[str, Any] = {
            definition.name: definition
            for function in functions
            if (definition := getattr(function, "__temporal_activity_definition", None))
        }
        assert set(found) == {kind.name for kind in kinds}
        for kind in kinds:
            assert found[kind.name].arg_types == [kind.takes]
            assert found[kind.name].ret_type is kind.gives


def test_workflows_take_one_model_and_give_one() -> None:
    """A field more in either breaks no run; a second argument would."""
    names = []
    for workflow in WORKFLOWS:
        definition: Any = vars(workflow)["__temporal_workflow_definition"]
        names.append(definition.name)
        [argument] = definition.arg_types
        assert issubclass(argument, BaseModel)
        assert issubclass(definition.ret_type, BaseModel)
    assert len(set(names)) == len(names)


def test_updates_and_queries_have_descriptions() -> None:
    """Temporal's UI shows them: whoever clicks has nothing else to go by. One JSON argument is all that it sends."""
    for workflow in WORKFLOWS:
        definition: Any = vars(workflow)["__temporal_workflow_definition"]
        for update in definition.updates.values():
            assert update.description
            assert len(update.arg_types or []) <= 1
            assert update.validator
        for query in definition.queries.values():
            assert query.description
    steered: Any = vars(WORKFLOWS[0])["__temporal_workflow_definition"]
    assert set(steered.updates) == {"retry", "skip", "abort", "approve", "reject"}
    assert set(steered.queries) == {"progress"}


@pytest.mark.parametrize("model", [*models(contract), *models(messages), *models(backup), *models(backup_messages)])
def test_no_secret_type_crosses(model: type[BaseModel]) -> None:
    """Such a value would arrive as stars: a reference to its place crosses instead."""
    for name, field in model.model_fields.items():
        assert field.annotation not in (SecretStr, SecretBytes), name


@pytest.mark.parametrize(
    "value",
    [
        StepInput(target=TARGET, step="x", changes=(Change(key="a.b", kind="a", name="b", action="create"),)),
        StepOutput(outputs={"a.b": {"id": "1", "port": 5432, "none": None}}),
        InventoryOutput(objects=(Observed(kind="a", name="b", id="c", health="failed", inputs={"x": [1]}),)),
        ChangeInput(request=contract.PlanInput(target=TARGET, environment={"a": {"b": [None, 1.5, "ü"]}})),
        ChangeOutput(counts={"keep": 1}, fingerprint="f"),
        Progress(phase="changing", steps=(StepProgress(id="x", started=1.5), StepProgress(id="y", state="parked"))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_survive(value: BaseModel) -> None:
    """Only what was set is written, and what comes back is the same: defaults included, and after a second trip."""
    converter = DATA_CONVERTER.payload_converter
    [back] = converter.from_payloads(converter.to_payloads([value]), [type(value)])
    assert back == value
    [copy] = converter.from_payloads(converter.to_payloads([back.model_copy(update=vars(back))]), [type(value)])
    assert copy == value


def test_what_the_server_knows(home: House, temporal: TemporalServer) -> None:
    """The search attributes exist there, so that starting a run is never refused for them."""

    async def registered() -> dict[str, int]:
        request = ListSearchAttributesRequest(namespace=temporal.namespace)
        return dict((await home.client.operator_service.list_search_attributes(request)).custom_attributes)

    known = home.run(registered())
    for attribute in identity.SEARCH_ATTRIBUTES:
        assert known[attribute.name] == attribute.indexed_value_type


def test_ids() -> None:
    """All that changes an environment shares one id, which is the lock; what only reads never does."""
    assert identity.turn_id("a-b") == "environment/a-b"
    assert len({identity.look_id("plan", "a-b", unique) for unique in "xy"} | {identity.turn_id("a-b")}) == 3
    assert len({turn("a-b") for turn in (identity.turn_id, identity.backup_turn, identity.drill_turn)}) == 3
