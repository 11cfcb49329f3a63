"""Cockpit's kinds against the local Scaleway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.cockpit import (
    AlertManagerLifecycle,
    CockpitTokenLifecycle,
    ContactPointLifecycle,
    DataSourceLifecycle,
)
from activities.kinds.secret import SecretLifecycle
from activities.lifecycle import NO_PARENT, Parent, Scope
from blueprint.errors import Gone, Unavailable
from blueprint.resource import Resource
from tests.activities.conftest import Control, declared, differences

COCKPIT = "/cockpit/v1/regions/fr-par"
SECTION: dict[str, Any] = {
    "data_sources": {"logs": {"type": "logs", "retention_days": 20}},
    "tokens": {"backend": ["write_only_metrics", "write_only_logs"]},
    "alert_manager": True,
    "managed_alerts": True,
    "contact_points": ["ops@lssm.tech"],
}


def resources(**changed: Any) -> dict[str, Resource]:
    """The resources of a file with a monitoring section."""
    return declared({"monitoring": SECTION | changed})


def test_data_source(cloud: Cloud, emulator: Control) -> None:
    """Made, found again after a lost answer, given another retention, deleted."""
    lifecycle = DataSourceLifecycle(cloud)
    wanted = resources()["data_source.logs"]

    emulator.faults({"operation": f"POST {COCKPIT}/data-sources", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    (found,) = lifecycle.find(wanted)
    assert not differences(wanted, found)

    longer = resources(data_sources={"logs": {"type": "logs", "retention_days": 31}})["data_source.logs"]
    changed = differences(longer, found)
    assert [(item.path, item.old, item.new) for item in changed] == [("retention_days", 20, 31)]
    lifecycle.update(longer, found, changed)
    assert not differences(longer, lifecycle.read(found))

    lifecycle.delete(found)
    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.delete(found)


def test_data_sources_of_others_are_foreign(cloud: Cloud, emulator: Control) -> None:
    """Those that Scaleway made, and those of other environments."""
    emulator.call("POST", f"{COCKPIT}/data-sources", {"name": "lssm-stg-logs", "type": "logs"})

    found = {item.name: item.ownership for item in DataSourceLifecycle(cloud).list(NO_PARENT, Scope())}

    assert found == {"Scaleway Metrics": "foreign", "Scaleway Logs": "foreign", "lssm-stg-logs": "foreign"}


def test_token(cloud: Cloud, emulator: Control) -> None:
    """Its secret is safe before it counts as made; a token whose secret was lost is made anew."""
    lifecycle, wanted = CockpitTokenLifecycle(cloud), resources()["cockpit_token.backend"]
    SecretLifecycle(cloud).create(resources()["secret.cockpit-backend"])

    emulator.faults({"operation": f"POST {COCKPIT}/tokens", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    (half,) = lifecycle.list(NO_PARENT, Scope())
    assert [item.path for item in differences(wanted, half)] == ["kept"]
    assert not lifecycle.find(wanted)
    assert not list(lifecycle.list(NO_PARENT, Scope()))

    made = lifecycle.create(wanted)
    (found,) = lifecycle.find(wanted)
    assert found.id == made
    assert not differences(wanted, found)
    secret = json.loads(cloud.secrets.reveal({"$secret": "/lssm/prod", "name": "cockpit-backend"}))
    assert secret["token_id"] == made
    assert secret["secret_key"] not in found.model_dump_json() + wanted.model_dump_json()

    other = resources(tokens={"backend": ["read_only_logs"]})["cockpit_token.backend"]
    assert [item.path for item in differences(other, found)] == ["scopes"]
    lifecycle.delete(found)
    assert not lifecycle.find(wanted)


def test_alert_manager_and_contact_points(cloud: Cloud, emulator: Control) -> None:
    """Enabled with its alerts, told whom to write to, and disabled again."""
    managers, points = AlertManagerLifecycle(cloud), ContactPointLifecycle(cloud)
    wanted = resources()["alert_manager.main"]
    scope = Scope(names=frozenset({wanted.name}))
    assert not list(managers.list(NO_PARENT, scope))

    emulator.faults({"operation": f"POST {COCKPIT}/alert-manager/managed-alerts/enable", "kind": "unavailable"})
    with pytest.raises(Unavailable):
        managers.create(wanted)
    (half,) = managers.list(NO_PARENT, scope)
    assert [item.path for item in differences(wanted, half)] == ["managed_alerts"]
    manager_id = managers.create(wanted)
    (manager,) = managers.list(NO_PARENT, scope)
    assert manager.id == manager_id
    assert not differences(wanted, manager)

    quiet = resources(managed_alerts=False)["alert_manager.main"]
    managers.update(quiet, manager, differences(quiet, manager))
    assert not differences(quiet, managers.read(manager))

    point = resources()["contact_point.ops@lssm.tech"]
    point = point.model_copy(update={"inputs": {"parent_id": manager_id}})
    emulator.faults({"operation": f"POST {COCKPIT}/alert-manager/contact-points", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        points.create(point)
    (found,) = points.find(point)
    assert not differences(point, found)
    assert manager_id in found.uses
    points.delete(found)
    assert not list(points.list(Parent(manager_id, manager.name), Scope()))

    managers.delete(manager)
    assert not list(managers.list(NO_PARENT, scope))


def test_an_alert_manager_that_somebody_else_enabled_is_foreign(cloud: Cloud, emulator: Control) -> None:
    """Neither declared nor beside a data source of ours: it stays. Beside one, leaving it out means disabling it."""
    lifecycle = AlertManagerLifecycle(cloud)
    emulator.call("POST", f"{COCKPIT}/alert-manager/enable", {})
    assert [item.ownership for item in lifecycle.list(NO_PARENT, Scope())] == ["foreign"]

    DataSourceLifecycle(cloud).create(resources()["data_source.logs"])

    assert [item.ownership for item in lifecycle.list(NO_PARENT, Scope())] == ["ours"]


def test_contact_points_of_a_shared_alert_manager_stay(cloud: Cloud, emulator: Control) -> None:
    """An address does not say who wants it: another environment of the project is not to lose it."""
    emulator.call("POST", f"{COCKPIT}/alert-manager/enable", {})
    emulator.call("POST", f"{COCKPIT}/alert-manager/contact-points", {"email": {"to": "ops@lssm.tech"}})
    DataSourceLifecycle(cloud).create(resources()["data_source.logs"])
    points, manager = ContactPointLifecycle(cloud), Parent("id", "manager")
    assert [item.shared for item in points.list(manager, Scope())] == [False]

    emulator.call("POST", f"{COCKPIT}/data-sources", {"name": "lssm-stg-logs", "type": "logs"})

    assert [item.shared for item in points.list(manager, Scope())] == [True]
