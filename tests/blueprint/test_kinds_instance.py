"""What security groups and nodes of a file become, and in what order they go."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.kinds import KINDS
from blueprint.planner import make_destroy_plan
from blueprint.resource import Observed, Resource, ref

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"


def resources(group: dict[str, Any] | None = None, **core: Any) -> dict[str, Resource]:
    """The resources of one security group and one role."""
    file = {
        "org": "lssm",
        "env": "prod",
        "network": {"cidr": "10.0.0.0/24"},
        "security_groups": {"backend": group or {}},
        "nodes": {"core": core},
        "ssh_keys": {"ops": KEY},
    }
    return {item.key: item for item in resources_of(parse(file)) if KINDS[item.kind].product == "instance"}


def test_a_node_and_its_parts() -> None:
    """Everything about a node ends in its role and number, and is under the server."""
    found = resources(count=2)

    parts = {key for key in found if key.endswith("core-02")}
    assert parts == {f"{kind}.core-02" for kind in ("server", "volume", "private_nic", "user_data", "server_power")}
    assert {found[key].parent for key in parts - {"server.core-02"}} == {"server.core-02"}
    assert found["server.core-02"].name == "lssm-prod-core-02"
    assert found["private_nic.core-02"].name == "lssm-prod-core-02/pn-lssm-prod-core"
    assert "hostname: lssm-prod-core-02\n" in found["user_data.core-02"].inputs["content"]


def test_what_the_first_boot_waits_for() -> None:
    """Its address, its instructions, its firewall, its way out, and the keys of those who may log in."""
    assert set(resources()["server_power.core-01"].dependencies()) == {
        "server.core-01",
        "private_nic.core-01",
        "user_data.core-01",
        "security_group_rules.backend",
        "gateway_network.main",
        "ssh_key.ops",
    }


@pytest.mark.parametrize(
    ("volume", "of_server", "of_volume"),
    [
        (None, None, {}),
        ({"type": "l_ssd", "size": "20GB"}, {"type": "l_ssd", "size": 20 * 10**9}, {}),
        ({"type": "sbs_volume", "size": "20GB"}, {"type": "sbs_volume"}, {"size": 20 * 10**9}),
    ],
)
def test_size_belongs_to_what_can_change_it(volume: Any, of_server: Any, of_volume: Any) -> None:
    """A local volume is as large as its server was made; one on the network grows by itself."""
    found = resources(volume=volume)

    assert found["server.core-01"].fields.get("volume") == of_server
    assert found["volume.core-01"].fields == of_volume


def test_rules_keep_their_order_within_a_direction() -> None:
    """Between directions there is none: incoming ones come first, as the API numbers them."""
    rules = [
        {"direction": "outbound", "ports": 2},
        {"ports": "1-3"},
        {"direction": "outbound", "ports": 1},
        {"protocol": "icmp", "action": "drop"},
    ]
    declared = resources({"rules": rules})["security_group_rules.backend"].fields["rules"]

    shown = [(rule["direction"], rule["protocol"], rule["ports"]) for rule in declared]
    assert shown == [
        ("inbound", "tcp", [1, 3]),
        ("inbound", "icmp", []),
        ("outbound", "tcp", [2, 2]),
        ("outbound", "tcp", [1, 1]),
    ]
    assert resources()["server.core-01"].fields["security_group_id"] == ref("security_group.backend")


def test_what_goes_before_what() -> None:
    """The NIC, then the server, then its volume and its security group; power and user data die with it."""
    found = resources()
    uses = {"server": ("volume.core-01", "security_group.backend"), "private_nic": ("server.core-01",)}
    objects = [
        Observed(kind=item.kind, name=item.name, id=item.key, parent_id=item.parent, uses=uses.get(item.kind, ()))
        for item in found.values()
    ]
    steps = {step.id: step.after for step in make_destroy_plan("lssm-prod", found.values(), objects).steps}

    assert steps == {
        "delete private_nic.core-01": (),
        "delete server.core-01": ("delete private_nic.core-01",),
        "delete volume.core-01": ("delete server.core-01",),
        "delete security_group.backend": ("delete server.core-01",),
    }
