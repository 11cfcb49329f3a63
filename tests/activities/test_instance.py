"""The kinds of Instances against the local Scaleway."""

from __future__ import annotations

import time
from typing import Any

import pytest

from activities.cloud import Cloud
from blueprint.errors import FailedState, Refused
from tests.activities.conftest import Control
from tests.activities.site import Site, persistently, ready, with_ids

INSTANCE = "/instance/v1/zones/fr-par-1"
BLOCK = "/block/v1/zones/fr-par-1"
KINDS = (
    *("vpc", "private_network", "gateway_ip", "gateway", "gateway_network", "ssh_key"),
    *("security_group", "security_group_rules", "server", "volume", "private_nic", "user_data", "server_power"),
)
OF_A_NODE = ("server", "volume", "private_nic", "user_data", "server_power")


def file(count: int = 1, rules: Any = (), group: Any = None, **core: Any) -> Any:
    """An environment with nodes of role core."""
    backend = {"rules": list(rules), **(group or {})}
    return {
        "security_groups": {"backend": backend, "other": {}},
        "nodes": {"core": {"count": count, **core}},
    }


LOCAL: dict[str, Any] = {"type": "dev1-s", "volume": {"type": "l_ssd", "size": "20GB"}}
NETWORK: dict[str, Any] = {"type": "PLAY2-PICO", "volume": {"type": "sbs_volume", "size": "30GB"}}
RULES = [
    {"direction": "outbound", "action": "drop", "protocol": "udp", "ports": "100-200"},
    {"ports": 22, "network": "198.51.100.7"},
    {"protocol": "icmp", "network": "2001:db8::/32"},
]


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """Nothing yet."""
    return Site(cloud, KINDS)


def server_of(emulator: Control) -> Any:
    """The one server as the API shows it."""
    (server,) = emulator.call("GET", f"{INSTANCE}/servers")["servers"]
    return server


CHANGES: list[tuple[Any, Any, dict[str, str]]] = [
    (file(), file(2), dict.fromkeys((f"{kind}.core-02" for kind in OF_A_NODE), "create")),
    (file(), file(rules=RULES), {"security_group_rules.backend": "update"}),
    (file(rules=RULES), file(rules=RULES[::-1]), {"security_group_rules.backend": "update"}),
    (
        file(),
        file(group={"inbound": "accept", "outbound": "drop", "block_smtp": False, "description": "x"}),
        {"security_group.backend": "update"},
    ),
    (file(), file(group={"stateful": False}), {"security_group.backend": "update"}),
    (file(), file(security_group="other"), {"server.core-01": "update"}),
    (file(), file(cloud_init={"packages": ["curl"]}), {"user_data.core-01": "update"}),
    (
        file(**NETWORK),
        file(**NETWORK | {"volume": {"type": "sbs_volume", "size": "40GB"}}),
        {"volume.core-01": "update"},
    ),
    (file(**LOCAL), file(**LOCAL | {"type": "DEV1-S"}), {}),
    *(
        (
            file(**before),
            file(**after),
            {
                **{f"{kind}.core-01": "replace" for kind in ("server", "volume", "private_nic")},
                **{f"{kind}.core-01": "create" for kind in ("user_data", "server_power")},
            },
        )
        for before, after in (
            (LOCAL, LOCAL | {"type": "DEV1-M"}),
            (LOCAL, LOCAL | {"image": "ubuntu_noble"}),
            (LOCAL, LOCAL | {"volume": {"type": "l_ssd", "size": "15GB"}}),
            ({"type": "DEV1-M"}, LOCAL | {"type": "DEV1-M"}),
        )
    ),
]


@pytest.mark.parametrize(("before", "after", "changes"), CHANGES)
def test_every_change_is_made_and_nothing_is_left(
    site: Site, emulator: Control, before: Any, after: Any, changes: Any
) -> None:
    """From one file to another and back to nothing: no volume, address or reserved address stays."""
    site.apply(before)
    assert not site.plan(before).changes

    plan = site.apply(after)
    assert {change.key: change.action for change in plan.changes} == changes
    assert not site.plan(after).changes

    site.apply(after, destroy=True)
    assert emulator.call("GET", "/_emulator/resources") == {}


def test_server_boots_once_it_has_all_it_needs(site: Site, emulator: Control) -> None:
    """Private NIC and user data come before power, and no public address at all."""
    wanted = file(cloud_init={"packages": ["curl"], "runcmd": ["systemctl enable lssm"]})
    site.apply(wanted)

    paths = [entry["method"] + " " + entry["path"].rpartition("/")[2] for entry in emulator.requests()["requests"]]
    power = paths.index("POST action")
    assert max(paths.index("POST private_nics"), paths.index("PATCH cloud-init")) < power
    server = server_of(emulator)
    assert (server["state"], server["public_ips"], server["dynamic_ip_required"]) == ("running", [], False)
    content = emulator.call("GET", f"{INSTANCE}/servers/{server['id']}/user_data", None)
    assert content["user_data"] == ["cloud-init"]
    assert set(server["tags"]) == {"managed-by=scaleway-infra", "environment=lssm-prod", "image=debian_bookworm"}
    (volume,) = emulator.call("GET", f"{BLOCK}/volumes")["volumes"]
    assert (volume["name"], volume["tags"]) == (
        "lssm-prod-core-01",
        ["managed-by=scaleway-infra", "environment=lssm-prod"],
    )


def test_changed_cloud_init_leaves_the_machine_alone(site: Site, emulator: Control) -> None:
    """It is written for a next first boot; the server is the same and runs on."""
    site.apply(file())
    before = server_of(emulator)
    changed = site.apply(file(cloud_init={"packages": ["curl"]}))

    assert [difference.path for difference in changed.changes[0].differences] == ["next_first_boot"]
    after = server_of(emulator)
    assert (after["id"], after["state"], after["modification_date"]) == (
        before["id"],
        "running",
        before["modification_date"],
    )


def test_private_nic_tells_its_address_once_it_has_one(site: Site, emulator: Control) -> None:
    """IPAM shows it late; until then the NIC is not ready."""
    site.apply(file(0))
    resources = site.resources(file())
    outputs = {key: {"id": site.one(file(0), key).id} for key in ("private_network.core", "security_group.backend")}
    server_id = site.lifecycles["server"].create(with_ids(resources["server.core-01"], outputs))
    outputs["server.core-01"] = {"id": server_id}
    lifecycle = site.lifecycles["private_nic"]
    lifecycle.create(with_ids(resources["private_nic.core-01"], outputs))
    snapshot = emulator.call("GET", "/_emulator/snapshot")
    for address in snapshot["world"]["tables"]["ipam.ips"].values():
        address["_listed_at"] = time.time() + 1000
    emulator.call("PUT", "/_emulator/snapshot", snapshot)

    nic = site.one(file(), "private_nic.core-01")
    assert (nic.status, nic.health, set(nic.outputs)) == ("without an address", "pending", {"id"})
    emulator.call("PUT", "/_emulator/clock", {"ahead": 1001})
    settled = persistently(lambda: ready(lifecycle, nic))
    assert settled.outputs["host_network"] == settled.outputs["address"] + "/32"
    assert settled.outputs["address"].startswith("10.0.0.")


def test_scaleways_own_rules_do_not_count(site: Site, emulator: Control) -> None:
    """A group that blocks mail shows six rules that nobody declared, and a rule made by hand is a difference."""
    site.apply(file(rules=RULES))
    group = f"{INSTANCE}/security_groups/{site.one(file(), 'security_group.backend').id}"
    assert len(emulator.call("GET", f"{group}/rules")["rules"]) == 6 + len(RULES)

    rule = {"direction": "inbound", "action": "accept", "protocol": "TCP", "ip_range": "0.0.0.0/0", "dest_port_from": 1}
    emulator.call("POST", f"{group}/rules", rule)
    assert [change.key for change in site.plan(file(rules=RULES)).changes] == ["security_group_rules.backend"]
    site.apply(file(rules=RULES))
    assert len(emulator.call("GET", f"{group}/rules")["rules"]) == 6 + len(RULES)


@pytest.mark.parametrize("core", [LOCAL, NETWORK])
def test_lost_answers_double_nothing(site: Site, emulator: Control, core: Any) -> None:
    """Whichever answer about the servers is lost, on the way up or down."""
    lost = 0
    for skip in range(100):
        fault = {"operation": "mutating", "kind": "response_lost", "skip": skip}
        emulator.faults(fault)
        site.apply(file(**core))
        struck = emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"]
        emulator.faults()
        assert not site.plan(file(**core)).changes
        emulator.faults(fault)
        site.apply(file(**core), destroy=True)
        emulator.faults()
        assert emulator.call("GET", "/_emulator/resources") == {}
        lost += struck
        if not struck:
            break
    assert lost >= 14


@pytest.mark.parametrize("core", [LOCAL, NETWORK])
def test_volume_whose_server_somebody_deleted_is_removed(site: Site, emulator: Control, core: Any) -> None:
    """The next apply makes the server anew and takes away what the old one left behind."""
    site.apply(file(**core))
    server = server_of(emulator)
    emulator.call("POST", f"{INSTANCE}/servers/{server['id']}/action", {"action": "poweroff"})
    emulator.call("DELETE", f"{INSTANCE}/servers/{server['id']}")

    plan = site.apply(file(**core))
    assert [change.action for change in plan.changes if change.kind == "volume"].count("delete") == 1
    assert not site.plan(file(**core)).changes
    assert (
        len(
            emulator.call("GET", f"{BLOCK}/volumes")["volumes"] + emulator.call("GET", f"{INSTANCE}/volumes")["volumes"]
        )
        == 1
    )


def test_server_that_never_booted_is_removed_with_its_local_volume(site: Site, emulator: Control) -> None:
    """A run that was aborted before power leaves a server that is off: deleting such a one spares its volume."""
    site.apply(file(0))
    outputs = {"security_group.backend": {"id": site.one(file(0), "security_group.backend").id}}
    site.lifecycles["server"].create(with_ids(site.resources(file(**LOCAL))["server.core-01"], outputs))

    site.apply(file(**LOCAL), destroy=True)
    assert emulator.call("GET", "/_emulator/resources") == {}


def test_server_that_somebody_switched_off_is_switched_on(site: Site, emulator: Control) -> None:
    """Off is a difference from the file."""
    site.apply(file())
    emulator.call("POST", f"{INSTANCE}/servers/{server_of(emulator)['id']}/action", {"action": "poweroff"})

    assert [(c.key, c.action) for c in site.plan(file()).changes] == [("server_power.core-01", "create")]
    site.apply(file())
    assert server_of(emulator)["state"] == "running"


def test_server_that_does_not_start_is_a_failure(site: Site, emulator: Control) -> None:
    """It is off again, and no wait cures that; the next apply tries once more."""
    emulator.faults({"operation": "POST /instance/v1/zones/{zone}/servers/{server_id}/action", "kind": "error_state"})
    with pytest.raises(FailedState, match="stopped"):
        site.apply(file())

    assert [change.key for change in site.plan(file()).changes] == ["server_power.core-01"]
    site.apply(file())
    assert not site.plan(file()).changes


def test_unknown_image_is_refused_with_the_way_out(site: Site) -> None:
    """Before anything is made."""
    with pytest.raises(Refused, match=r"no image 'debian_buzz' for DEV1-M .* choose another image"):
        site.apply(file(image="debian_buzz"))


def test_server_made_by_hand_is_nobodys_until_adopted(site: Site, emulator: Control) -> None:
    """Neither it nor what it holds is touched by a destroy; adopted, it is as declared, image and all."""
    site.apply(file(0))
    body = {"name": "lssm-prod-core-01", "commercial_type": "DEV1-M", "image": "debian_bookworm"}
    server = emulator.call("POST", f"{INSTANCE}/servers", body)["server"]
    data = {"cloud-init": "theirs"}
    emulator.call("PATCH", f"{INSTANCE}/servers/{server['id']}/user_data/cloud-init", data)
    emulator.call("POST", f"{INSTANCE}/servers/{server['id']}/action", {"action": "poweron"})

    conflicts = {change.key for change in site.plan(file()).blocked}
    assert conflicts == {f"{kind}.core-01" for kind in ("server", "volume", "user_data", "server_power")}
    doomed = {change.kind for change in site.plan(file(), destroy=True).changes}
    assert doomed.isdisjoint(OF_A_NODE)

    site.apply(file(), adopt=("*.core-01",))
    assert not site.plan(file()).changes
    assert server_of(emulator)["id"] == server["id"]
    site.apply(file(), destroy=True)
    assert emulator.call("GET", "/_emulator/resources") == {}
