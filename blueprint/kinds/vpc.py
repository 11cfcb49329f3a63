"""VPC, private network and network ACL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blueprint.environment import Environment
from blueprint.environment.network import AclRule
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource, ref

VPC = "vpc.main"
PRIVATE_NETWORK = "private_network.core"

POSTGRESQL_PORT = 5432
REDIS_PORT = 6379
LAST_PORT = 65535
ANYWHERE = "0.0.0.0/0"


def _vpc(environment: Environment) -> Iterable[Resource]:
    yield Resource(key=VPC, kind="vpc", name=environment.names.vpc)


def _private_network(environment: Environment) -> Iterable[Resource]:
    yield Resource(
        key=PRIVATE_NETWORK,
        kind="private_network",
        name=environment.names.private_network,
        fields={"subnet": environment.network.cidr, "vpc_id": ref(VPC)},
    )


def _acl(environment: Environment) -> Iterable[Resource]:
    rules = [rule for guarded in _guarded(environment) for rule in _only_from(environment, *guarded)]
    rules.extend(_declared(rule) for rule in environment.network.acl.rules)
    yield Resource(
        key="vpc_acl.main",
        kind="vpc_acl",
        name=f"{environment.names.vpc}/ipv4",
        parent=VPC,
        fields={"default_policy": environment.network.acl.default, "rules": rules},
    )


def _guarded(environment: Environment) -> Iterable[tuple[str, int, list[str]]]:
    """What only some roles may reach: name, port, roles."""
    everyone = list(environment.nodes)
    if environment.postgresql:
        clients = environment.postgresql.clients
        yield "PostgreSQL", POSTGRESQL_PORT, everyone if clients is None else clients
    if environment.redis:
        clients = environment.redis.clients
        yield "Redis", REDIS_PORT, everyone if clients is None else clients


def _only_from(environment: Environment, what: str, port: int, roles: list[str]) -> Iterable[dict[str, Any]]:
    """Accept the port from the nodes of these roles, and from nobody else.

    The intent of sg-<org>-<env>-db and -redis: security groups do not see private traffic, and managed databases take
    none (Scaleway load balancers, section 6).
    """
    for role in roles:
        for index in range(1, environment.nodes[role].count + 1):
            source = ref(f"private_nic.{role}-{index:02d}", "host_network")
            name = environment.names.node(role, index)
            yield _rule("accept", "tcp", source, environment.network.cidr, port, port, f"{what} from {name}")
    yield _rule("drop", "tcp", ANYWHERE, environment.network.cidr, port, port, f"{what} from nowhere else")


def _declared(rule: AclRule) -> dict[str, Any]:
    low, high = (rule.ports.low, rule.ports.high) if rule.ports else (0, 0)
    if rule.protocol in ("tcp", "udp") and not rule.ports:
        low, high = 1, LAST_PORT
    return _rule(rule.action, rule.protocol, rule.source, rule.destination, low, high, rule.description)


def _rule(
    action: str, protocol: str, source: Any, destination: str, low: int, high: int, description: str
) -> dict[str, Any]:
    """Both bounds always: the API takes a missing upper one for 0 and refuses it (feint issue 648)."""
    return {
        "action": action,
        "protocol": protocol,
        "source": source,
        "destination": destination,
        "ports": [low, high],
        "description": description,
    }


KINDS = (
    Kind(
        name="vpc",
        title="VPC",
        product="vpc",
        resources=_vpc,
        permission_sets=("VPCFullAccess",),
        settles=False,
        lingers=False,
    ),
    Kind(
        name="private_network",
        title="private network",
        product="vpc",
        resources=_private_network,
        permission_sets=("PrivateNetworksFullAccess",),
        immutable={
            "subnet": "the subnet of a private network cannot be changed",
            "vpc_id": "a private network cannot move to another VPC",
        },
        settles=False,
        lingers=False,
    ),
    Kind(
        name="vpc_acl",
        title="network ACL",
        product="vpc",
        resources=_acl,
        permission_sets=("VPCFullAccess",),
        parent="vpc",
        dies_with_parent=True,
        settles=False,
        lingers=False,
    ),
)
