"""The gateway's kinds against the local Scaleway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.gateway import GatewayBastionLifecycle
from blueprint.errors import Busy, NotReady, Refused
from tests.activities.conftest import Control
from tests.activities.site import Site, persistently, with_ids

GATEWAYS = "/vpc-gw/v2/zones/fr-par-1"
OPS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"
CI = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB11DSvFGi6Rh34/UAkk6MvuII1+Bu5H9Rh4oh5wIa7I"
KINDS = ("vpc", "private_network", "gateway_ip", "gateway", "gateway_network", "gateway_bastion", "ssh_key")


def file(bastion: Mapping[str, Any] | None = None, keys: Mapping[str, str] | None = None, **gateway: Any) -> Any:
    """An environment with a gateway, and with a bastion unless it is None."""
    if bastion is not None:
        gateway["bastion"] = {"allowed": ["203.0.113.0/24", "198.51.100.7"], **bastion}
    return {"network": {"cidr": "10.0.0.0/24", "gateway": gateway}, "ssh_keys": dict(keys or {"ops": OPS})}


@pytest.fixture
def site(cloud: Cloud) -> Site:
    """Nothing yet."""
    return Site(cloud, KINDS)


def gateway_of(emulator: Control) -> Any:
    """The one gateway as the API shows it."""
    (gateway,) = emulator.call("GET", f"{GATEWAYS}/gateways")["gateways"]
    return gateway


CHANGES = [
    file({"port": 61022}),
    file({"allowed": ["203.0.113.0/24"]}),
    file({"port": 61022, "allowed": ["198.51.100.7"]}, smtp=True, type="vpc-gw-m"),
    file({}, keys={"ops": OPS, "ci": CI}),
    file({}, keys={"ops": CI}),
    file(),
]


@pytest.mark.parametrize("after", CHANGES)
def test_every_change_is_made_and_nothing_is_left(site: Site, emulator: Control, after: Any) -> None:
    """From one file to another, and back to nothing: no reserved address, no gateway, no key stays."""
    site.apply(file({}))
    assert not site.plan(file({})).changes

    site.apply(after)
    assert not site.plan(after).changes

    site.apply(after, destroy=True)
    assert emulator.call("GET", "/_emulator/resources") == {}


def test_gateway_leads_out_and_nobody_in(site: Site, emulator: Control) -> None:
    """It masquerades, is the default route, keeps our address, and its bastion is shut."""
    site.apply(file())

    gateway = gateway_of(emulator)
    (network,) = gateway["gateway_networks"]
    assert (network["masquerade_enabled"], network["push_default_route"]) == (True, True)
    assert gateway["bastion_enabled"] is False
    assert gateway["ipv4"]["address"] == site.one(file(), "gateway_ip.main").outputs["address"]


def test_bastion_is_restricted_before_it_is_enabled(site: Site, emulator: Control, cloud: Cloud) -> None:
    """An enabled bastion that lets the whole internet in does not exist for a moment."""
    site.apply(file())
    outputs = {key: {"id": site.one(file(), key).id} for key in ("gateway.main", "gateway_network.main")}
    bastion = with_ids(site.resources(file({}))["gateway_bastion.main"], outputs)
    lifecycle = GatewayBastionLifecycle(cloud)

    with pytest.raises(NotReady):
        lifecycle.create(bastion)
    gateway = gateway_of(emulator)
    assert (gateway["bastion_enabled"], sorted(gateway["bastion_allowed_ips"])) == (False, bastion.fields["allowed"])

    persistently(lambda: lifecycle.create(bastion))
    assert gateway_of(emulator)["bastion_enabled"] is True
    assert emulator.requests()["operations"]["POST /vpc-gw/v2/zones/{zone}/gateways/{gateway_id}/refresh-ssh-keys"] == 1


def test_bastion_forgets_a_key_only_after_it_has_gone(site: Site) -> None:
    """Keys are taken over as the project has them, so that a refresh before the deletion would keep the old one."""
    before, after = file({}, keys={"ops": OPS, "ci": CI}), file({}, keys={"ops": OPS})
    site.apply(before)
    change = next(change for change in site.plan(after).changes if change.key == "gateway_bastion.main")
    assert change.resource
    assert change.observed
    lifecycle, item = site.lifecycles["gateway_bastion"], change.observed
    resource = with_ids(change.resource, {"gateway.main": {"id": item.id}})

    def refresh() -> None:
        lifecycle.update(resource, item, change.differences)

    with pytest.raises(NotReady):
        refresh()
    with pytest.raises(Busy, match="lssm-prod-ci"):
        refresh()
    site.lifecycles["ssh_key"].delete(site.one(before, "ssh_key.ci"))
    persistently(refresh)
    assert not site.plan(after).changes


def test_lost_answers_double_nothing(site: Site, emulator: Control) -> None:
    """Whichever answer is lost, on the way up or down."""
    lost = 0
    for skip in range(100):
        emulator.faults({"operation": "mutating", "kind": "response_lost", "skip": skip})
        site.apply(file({}))
        struck = emulator.call("GET", "/_emulator/faults")["faults"][0]["fired"]
        emulator.faults()
        assert not site.plan(file({})).changes
        emulator.faults({"operation": "mutating", "kind": "response_lost", "skip": skip})
        site.apply(file({}), destroy=True)
        emulator.faults()
        assert emulator.call("GET", "/_emulator/resources") == {}
        lost += struck
        if not struck:
            break
    assert lost >= 9


def test_gateway_made_by_hand_is_adopted_with_its_address(site: Site, emulator: Control) -> None:
    """Its own address becomes ours with it; no second one is reserved."""
    body = {"name": "gw-lssm-prod", "type": "VPC-GW-S", "enable_bastion": True, "tags": ["theirs"]}
    emulator.call("POST", f"{GATEWAYS}/gateways", body)

    conflicts = {change.key for change in site.plan(file({})).blocked}
    assert {"gateway_ip.main", "gateway.main"} <= conflicts
    site.apply(file({}), adopt=("gateway*",))

    assert not site.plan(file({})).changes
    assert len(emulator.call("GET", f"{GATEWAYS}/ips")["ips"]) == 1
    assert gateway_of(emulator)["bastion_port"] == 61000


def test_smaller_type_is_refused(site: Site) -> None:
    """At once, instead of trying for an hour what the API calls a matter of its state."""
    site.apply(file(type="VPC-GW-M"))

    with pytest.raises(Refused, match="smaller"):
        site.apply(file(type="VPC-GW-S"))
