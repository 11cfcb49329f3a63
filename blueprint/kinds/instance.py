"""Instances: security groups, servers and what makes one boot as declared.

A server is made switched off. Its private NIC and its user data are steps of their own, and switching it on waits for
both: a server that boots before it has its NIC gets no address on it (terraform-provider-scaleway issue 1571), and
cloud-init runs at the first boot only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from blueprint.environment import Environment
from blueprint.environment.network import SecurityGroup, SecurityGroupRule
from blueprint.environment.nodes import NodeRole, Volume
from blueprint.kinds.gateway import GATEWAY_NETWORK
from blueprint.kinds.kind import Kind
from blueprint.kinds.vpc import PRIVATE_NETWORK
from blueprint.resource import Resource, ref

NETWORK_VOLUME = "sbs_volume"
DIGEST_LENGTH = 16
"""Hexadecimal digits of a digest."""


# -- security groups ---------------------------------------------------------------------------------------------------


def _security_groups(environment: Environment) -> Iterable[Resource]:
    for name, group in environment.security_groups.items():
        yield Resource(
            key=f"security_group.{name}",
            kind="security_group",
            name=environment.names.security_group(name),
            fields={
                "description": group.description,
                "stateful": group.stateful,
                "inbound": group.inbound,
                "outbound": group.outbound,
                "block_smtp": group.block_smtp,
            },
        )


def _security_group_rules(environment: Environment) -> Iterable[Resource]:
    for name, group in environment.security_groups.items():
        yield Resource(
            key=f"security_group_rules.{name}",
            kind="security_group_rules",
            name=f"{environment.names.security_group(name)}/rules",
            parent=f"security_group.{name}",
            fields={"rules": [_rule(rule) for rule in in_api_order(group)]},
        )


def in_api_order(group: SecurityGroup) -> list[SecurityGroupRule]:
    """The rules, those for incoming traffic first: order counts within a direction only."""
    return sorted(group.rules, key=lambda rule: rule.direction)


def _rule(rule: SecurityGroupRule) -> dict[str, Any]:
    return {
        "direction": rule.direction,
        "action": rule.action,
        "protocol": rule.protocol,
        "network": rule.network,
        "ports": list(rule.ports) if rule.ports else [],
    }


# -- servers -----------------------------------------------------------------------------------------------------------


class _Node(NamedTuple):
    """One node of a role."""

    label: str
    """"core-01": what its resources' keys end in."""
    name: str
    role: NodeRole

    @property
    def server(self) -> str:
        """Key of its server."""
        return f"server.{self.label}"


def _nodes(environment: Environment) -> Iterable[_Node]:
    for name, role in environment.nodes.items():
        for index, node in enumerate(environment.node_names(name), 1):
            yield _Node(f"{name}-{index:02d}", node, role)


def _servers(environment: Environment) -> Iterable[Resource]:
    for node in _nodes(environment):
        yield Resource(
            key=node.server,
            kind="server",
            name=node.name,
            fields={
                "commercial_type": node.role.type.upper(),
                "image": node.role.image,
                "security_group_id": ref(f"security_group.{node.role.security_group}"),
                "dynamic_ip": False,
                **_root_volume(node.role.volume),
            },
            inputs={"volume_size": node.role.volume.size} if node.role.volume else {},
        )


def _root_volume(volume: Volume | None) -> dict[str, Any]:
    """What a server is bound to: the type, and the size where it is part of the hypervisor."""
    if not volume:
        return {}
    return {"volume": {"type": volume.type} | ({} if volume.type == NETWORK_VOLUME else {"size": volume.size})}


def _volumes(environment: Environment) -> Iterable[Resource]:
    for node in _nodes(environment):
        volume = node.role.volume
        yield Resource(
            key=f"volume.{node.label}",
            kind="volume",
            name=node.name,
            parent=node.server,
            fields={"size": volume.size} if volume and volume.type == NETWORK_VOLUME else {},
        )


def _private_nics(environment: Environment) -> Iterable[Resource]:
    for node in _nodes(environment):
        yield Resource(
            key=f"private_nic.{node.label}",
            kind="private_nic",
            name=f"{node.name}/{environment.names.private_network}",
            parent=node.server,
            fields={"private_network_id": ref(PRIVATE_NETWORK)},
        )


def _user_data(environment: Environment) -> Iterable[Resource]:
    for node in _nodes(environment):
        content = node.role.user_data(node.name)
        yield Resource(
            key=f"user_data.{node.label}",
            kind="user_data",
            name=f"{node.name}/cloud-init",
            parent=node.server,
            fields={"next_first_boot": digest(content.encode())},
            inputs={"content": content},
        )


def digest(content: bytes) -> str:
    """The first hexadecimal digits of the SHA-256: they stand for a text, so that plans need not hold it."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


def _power(environment: Environment) -> Iterable[Resource]:
    for node in _nodes(environment):
        yield Resource(
            key=f"server_power.{node.label}",
            kind="server_power",
            name=f"{node.name}/power",
            parent=node.server,
            # What the first boot needs: its address, its instructions, its way out, and who may log in.
            depends_on=(
                f"private_nic.{node.label}",
                f"user_data.{node.label}",
                f"security_group_rules.{node.role.security_group}",
                GATEWAY_NETWORK,
                *(f"ssh_key.{name}" for name in environment.ssh_keys),
            ),
        )


def _kind(name: str, title: str, resources: Callable[[Environment], Iterable[Resource]], **rest: Any) -> Kind:
    rest.setdefault("permission_sets", ("InstancesFullAccess",))
    return Kind(name=name, title=title, product="instance", resources=resources, **rest)


KINDS = (
    _kind("security_group", "security group", _security_groups, settles=False, lingers=False),
    _kind(
        "security_group_rules",
        "security group rules",
        _security_group_rules,
        parent="security_group",
        dies_with_parent=True,
        settles=False,
        lingers=False,
    ),
    _kind(
        "server",
        "server",
        _servers,
        immutable={
            "commercial_type": "a server changes its type only while it is off, and not to every other",
            "image": "a server keeps the image that it was made from",
            "volume": "a root volume cannot be changed for one of another kind, nor a local one resized",
        },
        settles=False,
    ),
    _kind("volume", "root volume", _volumes, permission_sets=("InstancesFullAccess", "BlockStorageFullAccess")),
    _kind(
        "private_nic",
        "private NIC",
        _private_nics,
        permission_sets=("InstancesFullAccess", "PrivateNetworksReadOnly", "IPAMReadOnly"),
        immutable={"private_network_id": "a NIC cannot move to another private network"},
        lingers=False,
    ),
    _kind("user_data", "user data", _user_data, dies_with_parent=True, settles=False, lingers=False),
    _kind("server_power", "power of a server", _power, dies_with_parent=True, lingers=False),
)
