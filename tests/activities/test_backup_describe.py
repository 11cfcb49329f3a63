"""The environment's own description, against the local Scaleway and a real Temporal server."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from scaleway.secret.v1beta1 import SecretV1Beta1API
from temporalio.testing import ActivityEnvironment

from activities.backup.describe import Describing
from activities.kinds.schedules import ScheduleLifecycle
from activities.planning import Planning
from activities.temporal_client import TemporalBridge
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, OpenOutput
from blueprint.backup.manifest import EnvironmentContents
from blueprint.backup.site import ENVIRONMENT_ASSET
from blueprint.contract import PlanInput
from blueprint.environment import parse
from blueprint.graph import resources_of
from tests.activities.backup_site import BackupHouse
from tests.activities.conftest import Control

ZONES = "/domain/v2beta1/dns-zones"
ID = "20261126T143005Z-3f2a"
COMMIT = "c" * 40
BY_HAND = {"name": "www", "type": "A", "data": "203.0.113.7", "ttl": 300, "priority": 0, "comment": None}


@pytest.fixture
def house(emulator: Control, bridge: TemporalBridge) -> BackupHouse:
    """A store of an environment that no other test has, with a zone and a secret."""
    house = BackupHouse(emulator, bridge)
    env = f"t{uuid.uuid4().hex[:8]}"
    file: dict[str, Any] = {
        "org": "lssm",
        "env": env,
        "network": {"cidr": "10.0.0.0/24"},
        "dns": {"lssm.tech": {"records": []}, "lssm.example": {"records": []}},
        "schedules": {"drift": {"cron": "0 4 * * *"}},
    }
    target = house.site.target.model_copy(update={"env": env})
    house.site = house.site.model_copy(update={"target": target, "file": file})
    emulator.call("POST", ZONES, {"domain": "lssm.tech", "subdomain": ""})
    emulator.call("PATCH", f"{ZONES}/lssm.tech/records", {"changes": [{"add": {"records": [BY_HAND]}}]})
    secrets = house.clouds.cloud(target).api(SecretV1Beta1API)
    secrets.create_secret(name="api-token", path=f"/lssm/{env}", tags=[], protected=False)
    return house


def described(house: BackupHouse) -> tuple[Entry, EnvironmentContents]:
    """What the activity gives, and what it has written."""
    opened = OpenOutput(recipients=(), locked_for=60.0, commit=COMMIT)
    request = AssetInput(
        site=house.site, asset=ENVIRONMENT_ASSET, id=ID, opened=opened, reason="schedule", by="schedule"
    )
    entry: Entry = ActivityEnvironment().run(Describing(house.clouds).describe, request)
    contents = house.store.manifest(ENVIRONMENT_ASSET, ID).described
    assert contents
    return entry, contents


def test_what_it_takes_to_build_it_elsewhere(house: BackupHouse) -> None:
    """The file, the plan, the release, every record, the places of secrets, the schedules."""
    schedules = ScheduleLifecycle(house.clouds.cloud(house.site.target))
    (wanted,) = [item for item in resources_of(parse(house.site.file)) if item.kind == "schedule"]
    schedule = schedules.create(wanted)

    entry, contents = described(house)

    assert contents.file == house.site.file
    plan = PlanInput(target=house.site.target, environment=house.site.file)
    assert contents.fingerprint == ActivityEnvironment().run(Planning(house.clouds).plan, plan).fingerprint()
    assert contents.commit == entry.commit == COMMIT
    assert {"name": "www", "type": "A", "data": "203.0.113.7", "ttl": 300, "priority": 0} in contents.records[
        "lssm.tech"
    ]
    assert any(record["type"] == "NS" for record in contents.records["lssm.tech"])
    assert contents.records["lssm.example"] == ()
    assert contents.secrets == (f"/lssm/{house.site.target.env}/api-token",)
    assert contents.schedules == (schedule,)
    assert entry.locked_until - entry.ended == pytest.approx(60, abs=5)
    assert house.catalogue(ENVIRONMENT_ASSET).entries == (entry,)
    assert json.dumps(contents.model_dump(mode="json"))


def test_an_attempt_that_was_taken_for_dead(house: BackupHouse) -> None:
    """Twice is once: the first manifest counts."""
    first, _ = described(house)
    assert described(house)[0] == first
