"""Checks of the network, its rules, and the nodes in it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.network import PRIVATE_RANGES, AclRule, SecurityGroupRule
from blueprint.environment.problems import Problem, unknown

EVERYBODY = "0.0.0.0/0"


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of the network and the nodes."""
    if not environment.zone.startswith(f"{environment.region}-"):
        yield Problem(
            ("zone",),
            f"{environment.zone!r} is not in the region {environment.region}; {environment.region}-1 fits",
        )
    yield from _size(environment)
    yield from _bastion(environment)
    yield from _acl(environment)
    for name, group in environment.security_groups.items():
        for index, rule in enumerate(group.rules):
            yield from _ports(rule, ("security_groups", name, "rules", index, "ports"))
    for role, nodes in environment.nodes.items():
        if nodes.security_group not in environment.security_groups:
            message = unknown(nodes.security_group, environment.security_groups, "security_groups")
            yield Problem(("nodes", role, "security_group"), message)
        paths = [written.path for written in nodes.cloud_init.write_files]
        for index, path in enumerate(paths):
            if path in paths[:index]:
                place = ("nodes", role, "cloud_init", "write_files", index, "path")
                yield Problem(place, f"{path} is written twice; one of the two must go")


def _size(environment: Environment) -> Iterator[Problem]:
    """Every node and every managed product takes an address; the network's own and the broadcast one are not free."""
    network = ipaddress.ip_network(environment.network.cidr)
    products = (environment.load_balancer, environment.postgresql, environment.redis, environment.network.gateway)
    needed = sum(role.count for role in environment.nodes.values()) + sum(1 for product in products if product)
    free = network.num_addresses - 2
    if needed > free:
        yield Problem(
            ("network", "cidr"), f"{environment.network.cidr} has {free} free addresses, but {needed} are needed"
        )


def _bastion(environment: Environment) -> Iterator[Problem]:
    bastion = environment.network.gateway.bastion
    if not bastion:
        return
    path = ("network", "gateway", "bastion")
    if not environment.ssh_keys:
        yield Problem(path, "nobody could log in, as ssh_keys is empty; add a key there")
    seen: list[ipaddress.IPv4Network] = []
    for index, text in enumerate(bastion.allowed):
        place = (*path, "allowed", index)
        network = ipaddress.IPv4Network(text)
        if text == EVERYBODY and not bastion.allow_everyone:
            yield Problem(
                place,
                f"{text} lets the whole internet try; the addresses of your office and CI fit, "
                "or allow_everyone: true beside it if that is meant",
            )
        elif network.overlaps(ipaddress.IPv4Network(environment.network.cidr)):
            if text != EVERYBODY:
                yield Problem(
                    place,
                    f"{text} overlaps network.cidr {environment.network.cidr}, "
                    "but the bastion is reached from outside; a public network fits",
                )
        elif any(network.subnet_of(private) for private in PRIVATE_RANGES):
            yield Problem(
                place, f"{text} is private and never seen at the bastion; the public network you come from fits"
            )
        for other in seen:
            if network.overlaps(other):
                yield Problem(place, f"{text} overlaps {other} above; one of the two must go")
        seen.append(network)


def _acl(environment: Environment) -> Iterator[Problem]:
    inside = ipaddress.ip_network(environment.network.cidr)
    acl = environment.network.acl
    for index, rule in enumerate(acl.rules):
        path = ("network", "acl", "rules", index)
        yield from _ports(rule, (*path, "ports"))
        if not any(ipaddress.ip_network(end).overlaps(inside) for end in (rule.source, rule.destination)):
            yield Problem(
                path,
                f"never matches: neither {rule.source} nor {rule.destination} overlaps network.cidr {inside}; "
                "one of the two must",
            )
    if acl.default == "drop" and not any(rule.action == "accept" for rule in acl.rules):
        yield Problem(
            ("network", "acl", "default"),
            "drop, with no rule that accepts, cuts off the nodes too; accept fits, or rules for what may pass",
        )


def _ports(rule: AclRule | SecurityGroupRule, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if rule.ports and rule.protocol not in {"tcp", "udp"}:
        yield Problem(path, f"protocol {rule.protocol} has no ports; protocol: tcp fits, or no ports")
