"""IAM's kinds against the local Scaleway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.iam import ApiKeyLifecycle, ApplicationLifecycle, PolicyLifecycle, SshKeyLifecycle
from activities.kinds.secret import SecretLifecycle
from activities.lifecycle import NO_PARENT, Lifecycle, Scope
from blueprint.errors import Gone, Unavailable
from blueprint.resource import Observed, Resource, secret
from tests.activities.conftest import Control, declared, differences, resolved

IAM = "/iam/v1alpha1"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB11DSvFGi6Rh34/UAkk6MvuII1+Bu5H9Rh4oh5wIa7I"
RULES = [{"permission_sets": ["ObjectStorageReadOnly", "GenerativeApisModelAccess"]}]


def file(**settings: Any) -> dict[str, Resource]:
    """The resources of a file with the application `backend`."""
    return declared({"applications": {"backend": settings}})


def one(lifecycle: Lifecycle, wanted: Resource) -> Observed:
    """The one object of that name, with all its details."""
    found = lifecycle.list(NO_PARENT, Scope(names=frozenset({wanted.name})))
    (item,) = (item for item in found if item.name == wanted.name)
    return item


@pytest.fixture
def application(cloud: Cloud) -> str:
    """Id of the application `backend`."""
    return ApplicationLifecycle(cloud).create(file()["application.backend"])


def test_application(cloud: Cloud, emulator: Control) -> None:
    """Made, found again after a lost answer, described anew, deleted."""
    lifecycle, wanted = ApplicationLifecycle(cloud), file()["application.backend"]

    emulator.faults({"operation": f"POST {IAM}/applications", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    (found,) = lifecycle.find(wanted)
    assert not differences(wanted, found)

    described = file(description="The API server")["application.backend"]
    changed = differences(described, found)
    assert [difference.path for difference in changed] == ["description"]
    lifecycle.update(described, found, changed)
    assert not differences(described, one(lifecycle, wanted))

    lifecycle.delete(found)
    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.delete(found)


def test_policy(cloud: Cloud, emulator: Control, application: str) -> None:
    """Its rules are compared without order, and a rule that somebody widened is put back."""
    lifecycle = PolicyLifecycle(cloud)
    ids = {"application.backend": application}
    wanted = resolved(file(policies=RULES)["policy.backend"], ids)

    emulator.faults({"operation": f"POST {IAM}/policies", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    (found,) = lifecycle.find(wanted)
    assert not differences(wanted, found)
    assert found.uses == (application,)

    widened = [{"permission_set_names": ["ObjectStorageFullAccess"], "organization_id": cloud.organization_id}]
    emulator.call("PUT", f"{IAM}/rules", {"policy_id": found.id, "rules": widened})
    drifted = one(lifecycle, wanted)
    changed = differences(wanted, drifted)
    assert [(item.path, item.old) for item in changed] == [("rules", [["organization", "ObjectStorageFullAccess"]])]
    lifecycle.update(wanted, drifted, changed)
    assert not differences(wanted, one(lifecycle, wanted))

    organization = [{"permission_sets": ["IAMReadOnly"], "scope": "organization"}, *RULES]
    more = resolved(file(policies=organization)["policy.backend"], ids)
    lifecycle.update(more, found, differences(more, one(lifecycle, wanted)))
    assert not differences(more, one(lifecycle, wanted))

    lifecycle.delete(found)
    assert not lifecycle.find(wanted)


def test_policies_of_others_cost_nothing(cloud: Cloud, emulator: Control, application: str) -> None:
    """Rules are read only for the policies that the file names."""
    lifecycle = PolicyLifecycle(cloud)
    for name in ("one", "two", "three"):
        emulator.call("POST", f"{IAM}/policies", {"name": name, "application_id": application, "rules": []})
    before = emulator.requests()["total"]

    assert len(list(lifecycle.list(NO_PARENT, Scope()))) == 3
    assert emulator.requests()["total"] - before == 1


def test_api_key(cloud: Cloud, emulator: Control, application: str) -> None:
    """The secret half is safe before the key counts as made; a key whose half was lost is made anew."""
    lifecycle = ApiKeyLifecycle(cloud)
    wanted = resolved(file(api_key=True)["api_key.backend"], {"application.backend": application})
    SecretLifecycle(cloud).create(file(api_key=True)["secret.backend-api-key"])

    emulator.faults({"operation": f"POST {IAM}/api-keys", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    lost = one(lifecycle, wanted)
    assert [difference.path for difference in differences(wanted, lost)] == ["kept"]
    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.delete(lost)

    access_key = lifecycle.create(wanted)
    content = json.loads(cloud.secrets.reveal(secret("/lssm/prod", "backend-api-key")))
    assert content["access_key"] == access_key
    assert content["secret_key"]
    assert [item.id for item in lifecycle.find(wanted)] == [access_key]
    item = one(lifecycle, wanted)
    assert not differences(wanted, item)
    assert lifecycle.read(item).outputs == {"id": access_key, "access_key": access_key}
    assert content["secret_key"] not in item.model_dump_json()


def test_api_key_that_expires(cloud: Cloud, application: str) -> None:
    """The last day can be moved."""
    lifecycle, ids = ApiKeyLifecycle(cloud), {"application.backend": application}
    SecretLifecycle(cloud).create(file(api_key=True)["secret.backend-api-key"])
    near, far = (
        resolved(file(api_key={"expires": day})["api_key.backend"], ids) for day in ("2097-01-31", "2098-06-30")
    )

    lifecycle.create(near)
    item = one(lifecycle, near)
    assert not differences(near, item)
    changed = differences(far, item)
    assert [(difference.path, difference.old, difference.new) for difference in changed] == [
        ("expires", "2097-01-31", "2098-06-30")
    ]
    lifecycle.update(far, item, changed)
    assert not differences(far, one(lifecycle, near))


def test_api_key_of_a_person_is_foreign(cloud: Cloud, emulator: Control, application: str) -> None:
    """A key made in the console is neither taken over nor deleted."""
    lifecycle = ApiKeyLifecycle(cloud)
    wanted = resolved(file(api_key=True)["api_key.backend"], {"application.backend": application})
    body = {"application_id": application, "description": "lssm-prod-backend"}
    made = emulator.call("POST", f"{IAM}/api-keys", body)["access_key"]
    SecretLifecycle(cloud).create(file(api_key=True)["secret.backend-api-key"])

    (found,) = lifecycle.find(wanted)

    assert (found.id, found.ownership) == (made, "foreign")


def test_ssh_key(cloud: Cloud, emulator: Control) -> None:
    """Made, found again after a lost answer, enabled again, deleted."""
    lifecycle = SshKeyLifecycle(cloud)
    wanted = declared({"ssh_keys": {"ops": f"{PUBLIC_KEY} ops@laptop"}})["ssh_key.ops"]

    emulator.faults({"operation": f"POST {IAM}/ssh-keys", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    (found,) = lifecycle.find(wanted)
    assert not differences(wanted, found)

    emulator.call("PATCH", f"{IAM}/ssh-keys/{found.id}", {"disabled": True})
    drifted = one(lifecycle, wanted)
    lifecycle.update(wanted, drifted, differences(wanted, drifted))
    assert not differences(wanted, one(lifecycle, wanted))

    other = declared({"ssh_keys": {"ops": OTHER_KEY}})["ssh_key.ops"]
    assert [difference.path for difference in differences(other, found)] == ["public_key"]

    lifecycle.delete(found)
    assert not lifecycle.find(wanted)


def test_ssh_keys_of_others_are_foreign(cloud: Cloud, emulator: Control) -> None:
    """Those that do not have our name, and those of an environment whose name begins like ours."""
    for name in ("laptop", "lssm-prod2-ops"):
        emulator.call("POST", f"{IAM}/ssh-keys", {"name": name, "public_key": PUBLIC_KEY})

    found = SshKeyLifecycle(cloud).list(NO_PARENT, Scope())
    assert {item.ownership for item in found} == {"foreign"}
