"""Public gateway: its address, its attachment to the private network, its SSH bastion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from blueprint.environment import Environment
from blueprint.kinds.kind import Kind
from blueprint.kinds.vpc import PRIVATE_NETWORK
from blueprint.resource import Resource, ref

GATEWAY_IP = "gateway_ip.main"
GATEWAY = "gateway.main"
GATEWAY_NETWORK = "gateway_network.main"


def _ips(environment: Environment) -> Iterable[Resource]:
    yield Resource(key=GATEWAY_IP, kind="gateway_ip", name=environment.names.gateway)


def _gateways(environment: Environment) -> Iterable[Resource]:
    gateway = environment.network.gateway
    yield Resource(
        key=GATEWAY,
        kind="gateway",
        name=environment.names.gateway,
        fields={"type": gateway.type.upper(), "smtp": gateway.smtp, "ip_id": ref(GATEWAY_IP)},
    )


def _networks(environment: Environment) -> Iterable[Resource]:
    yield Resource(
        key=GATEWAY_NETWORK,
        kind="gateway_network",
        name=f"{environment.names.gateway}/{environment.names.private_network}",
        parent=GATEWAY,
        fields={"private_network_id": ref(PRIVATE_NETWORK), "masquerade": True, "push_default_route": True},
    )


def _bastions(environment: Environment) -> Iterable[Resource]:
    if bastion := environment.network.gateway.bastion:
        yield Resource(
            key="gateway_bastion.main",
            kind="gateway_bastion",
            name=f"{environment.names.gateway}/bastion",
            parent=GATEWAY,
            fields={
                "port": bastion.port,
                "allowed": sorted(bastion.allowed),
                "ssh_keys": _digest(environment.ssh_keys.values()),
            },
            inputs={"ssh_keys": [environment.names.ssh_key(name) for name in environment.ssh_keys]},
            # The network first: machines need their way out sooner than people need their way in.
            depends_on=(GATEWAY_NETWORK, *(f"ssh_key.{name}" for name in environment.ssh_keys)),
        )


def _digest(public_keys: Iterable[str]) -> str:
    """16 hexadecimal digits that stand for a set of keys; their comments do not count."""
    keys = sorted(" ".join(key.split()[:2]) for key in public_keys)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


KINDS = (
    Kind(
        name="gateway_ip",
        title="public address of the gateway",
        product="gateway",
        resources=_ips,
        permission_sets=("VPCGatewayFullAccess",),
        settles=False,
        tells_more=True,
        lingers=False,
    ),
    Kind(
        name="gateway",
        title="public gateway",
        product="gateway",
        resources=_gateways,
        permission_sets=("VPCGatewayFullAccess",),
        immutable={"ip_id": "a gateway keeps the address that it was made with"},
        serial="gateway",
    ),
    Kind(
        name="gateway_network",
        title="gateway network",
        product="gateway",
        resources=_networks,
        permission_sets=("VPCGatewayFullAccess", "PrivateNetworksReadOnly"),
        parent="gateway",
        immutable={"private_network_id": "an attachment cannot move to another private network"},
        serial="gateway",
    ),
    Kind(
        name="gateway_bastion",
        title="SSH bastion",
        product="gateway",
        resources=_bastions,
        permission_sets=("VPCGatewayFullAccess", "SSHKeysReadOnly"),
        parent="gateway",
        dies_with_parent=True,
        serial="gateway",
    ),
)
