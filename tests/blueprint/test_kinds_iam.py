"""What applications and SSH keys in the file ask for."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource

MINIMAL: dict[str, Any] = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"
APPLICATION = Observed(
    kind="application", name="lssm-prod-backend", id="a1", fields={"description": ""}, outputs={"id": "a1"}
)


def resources(snippet: dict[str, Any]) -> dict[str, Resource]:
    """IAM's resources of a file, and the secrets they need."""
    found = resources_of(parse(MINIMAL | snippet))
    kinds = ("application", "policy", "api_key", "ssh_key", "secret")
    return {resource.key: resource for resource in found if resource.kind in kinds}


def test_application_alone() -> None:
    """Without policies and key it is just that."""
    assert set(resources({"applications": {"backend": {}}})) == {"application.backend"}


def test_rules_have_no_order() -> None:
    """Neither among each other nor within."""
    one = [
        {"permission_sets": ["ObjectStorageReadOnly", "GenerativeApisModelAccess"]},
        {"permission_sets": ["IAMReadOnly"], "scope": "organization"},
    ]
    other = [
        {"permission_sets": ["IAMReadOnly"], "scope": "organization"},
        {"permission_sets": ["GenerativeApisModelAccess", "ObjectStorageReadOnly"]},
    ]

    found = [resources({"applications": {"backend": {"policies": rules}}})["policy.backend"] for rules in (one, other)]
    assert found[0] == found[1]
    assert found[0].fields["rules"] == [
        ["organization", "IAMReadOnly"],
        ["project", "GenerativeApisModelAccess", "ObjectStorageReadOnly"],
    ]


def test_ssh_key_without_its_comment() -> None:
    """The API drops it, so it must make no difference."""
    (key,) = resources({"ssh_keys": {"ops": f"{PUBLIC_KEY} ops@laptop"}}).values()

    assert (key.name, key.fields["public_key"]) == ("lssm-prod-ops", PUBLIC_KEY)


@pytest.mark.parametrize(
    ("settings", "existing", "action"),
    [
        (True, {"expires": None, "lives_forever": True, "kept": True}, "keep"),
        (True, {"expires": "2027-01-31", "lives_forever": False, "kept": True}, "replace"),
        ({"expires": "2027-01-31"}, {"expires": "2027-01-31", "lives_forever": False, "kept": True}, "keep"),
        ({"expires": "2027-03-31"}, {"expires": "2027-01-31", "lives_forever": False, "kept": True}, "update"),
        (True, {"expires": None, "lives_forever": True, "kept": False}, "replace"),
        (True, {"application_id": "a2", "expires": None, "lives_forever": True, "kept": True}, "replace"),
    ],
    ids=["same", "no longer expires", "same day", "another day", "secret half lost", "of another application"],
)
def test_api_key(settings: Any, existing: dict[str, Any], action: str) -> None:
    """What the API can change is an update; what it cannot replaces the key."""
    wanted = resources({"applications": {"backend": {"api_key": settings}}})
    secret = wanted.pop("secret.backend-api-key")
    place = Observed(kind="secret", name=secret.name, id="s1", fields=secret.fields, protected=True)
    key = Observed(kind="api_key", name="lssm-prod-backend", id="SCW1", fields={"application_id": "a1"} | existing)

    plan = make_plan("lssm-prod", [secret, *wanted.values()], [place, APPLICATION, key])
    assert "api_key.backend" in plan.kept if action == "keep" else plan.changes[0].action == action
