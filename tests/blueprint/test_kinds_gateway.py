"""What the gateway of a file becomes."""

from __future__ import annotations

from typing import Any

from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.kinds import KINDS
from blueprint.resource import Resource, ref

OPS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"
CI = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB11DSvFGi6Rh34/UAkk6MvuII1+Bu5H9Rh4oh5wIa7I"


def resources(keys: dict[str, str], **gateway: Any) -> dict[str, Resource]:
    """The gateway's resources."""
    file = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24", "gateway": gateway}, "ssh_keys": keys}
    return {item.key: item for item in resources_of(parse(file)) if KINDS[item.kind].product == "gateway"}


def bastion(keys: dict[str, str], allowed: list[str]) -> Resource:
    """The bastion for these keys and networks."""
    return resources(keys, bastion={"allowed": allowed})["gateway_bastion.main"]


def test_every_network_has_its_way_out() -> None:
    """A gateway needs no word in the file; a bastion does."""
    found = resources({})

    assert set(found) == {"gateway_ip.main", "gateway.main", "gateway_network.main"}
    assert found["gateway.main"].fields == {"type": "VPC-GW-S", "smtp": False, "ip_id": ref("gateway_ip.main")}
    assert found["gateway_network.main"].name == "gw-lssm-prod/pn-lssm-prod-core"
    assert found["gateway_network.main"].fields["push_default_route"] is True


def test_writes_to_one_gateway_take_turns() -> None:
    """All its parts have its name as the first part of theirs: that is the turn's name."""
    parts = [item for item in resources({"ops": OPS}, bastion={"allowed": ["203.0.113.0/24"]}).values() if item.parent]

    assert {KINDS[item.kind].serial for item in parts} == {"gateway"}
    assert {item.name.split("/")[0] for item in parts} == {"gw-lssm-prod"}


def test_bastion_is_the_same_in_any_order() -> None:
    """Neither networks nor keys have an order, and a key's comment says nothing."""
    one = bastion({"ops": f"{OPS} ops@laptop", "ci": CI}, ["203.0.113.0/24", "198.51.100.7"])
    other = bastion({"ci": CI, "ops": OPS}, ["198.51.100.7", "203.0.113.0/24"])

    assert one.fields == other.fields
    assert one.fields["allowed"] == ["198.51.100.7/32", "203.0.113.0/24"]


def test_bastion_follows_the_keys() -> None:
    """Another key under the same name is another bastion, and it waits until the keys are there."""
    before, after = bastion({"ops": OPS}, ["203.0.113.0/24"]), bastion({"ops": CI}, ["203.0.113.0/24"])

    assert before.fields["ssh_keys"] != after.fields["ssh_keys"]
    assert {"gateway.main", "gateway_network.main", "ssh_key.ops"} == set(after.dependencies())
