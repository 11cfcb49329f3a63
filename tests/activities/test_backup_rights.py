"""Backups of buckets with a key of no more than what backups take, and with less."""

from __future__ import annotations

import pytest

from activities.backup.objects.objects import Objects
from activities.registry import Clouds
from activities.settings import ScalewaySettings
from blueprint.backup.contract import ScratchObjectsInput
from blueprint.errors import PermissionDenied
from blueprint.permissions import OBJECT_SETS
from emulator.world import DEFAULT_PROJECT
from tests.activities.conftest import NO_TEMPORAL, Control
from tests.activities.objects.bucket import DRILL, LIVE, STORE, Bucket, run

IAM = "/iam/v1alpha1"
KEPT = ("SCW_API_URL", "SCW_DEFAULT_PROJECT_ID", "SCW_DEFAULT_ORGANIZATION_ID", "AWS_ENDPOINT_URL_S3")
"""Settings that say where Scaleway is."""


def restricted(bucket: Bucket, *sets: str) -> Bucket:
    """The same bucket for a worker with the key of an application that has these permission sets."""
    call = bucket.emulator.call
    application = call("POST", f"{IAM}/applications", json={"name": "engine", "description": ""})["id"]
    policy = {"name": "engine", "description": "", "application_id": application}
    rules = [{"permission_set_names": list(sets), "project_ids": [DEFAULT_PROJECT]}]
    call("POST", f"{IAM}/policies", json={**policy, "rules": rules})
    key = call("POST", f"{IAM}/api-keys", json={"application_id": application, "description": ""})
    settings = {
        "SCW_ACCESS_KEY": key["access_key"],
        "SCW_SECRET_KEY": key["secret_key"],
        **{name: bucket.emulator.endpoints["environment"][name] for name in KEPT},
    }
    bucket.clouds = Clouds(ScalewaySettings.model_validate(settings), NO_TEMPORAL)
    bucket.objects = Objects(bucket.clouds)
    return bucket


def whole(bucket: Bucket) -> None:
    """A backup, a restore aside, and the removal of what that made, as a drill has it."""
    entry = bucket.back_up()
    bucket.restore(entry, into=STORE, into_prefix=DRILL, sample=1)
    run(bucket.objects.remove, ScratchObjectsInput(site=bucket.site, bucket=LIVE, id=entry.id, into_prefix=DRILL))


def test_with_all_of_it(emulator: Control) -> None:
    """It is backed up, restored, and tidied."""
    bucket = Bucket(emulator)
    bucket.put("report")
    whole(restricted(bucket, *OBJECT_SETS))
    assert not [key for key in bucket.contents(STORE) if key.startswith(DRILL)]


@pytest.mark.parametrize("name", OBJECT_SETS)
def test_with_one_less(emulator: Control, name: str) -> None:
    """The one that is missing is named."""
    bucket = Bucket(emulator)
    bucket.put("report")
    restricted(bucket, *(other for other in OBJECT_SETS if other != name))
    with pytest.raises(PermissionDenied) as refused:
        whole(bucket)
    assert f"the permission set {name}" in str(refused.value)
