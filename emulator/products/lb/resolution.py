"""Which addresses a name has: in the zones of the emulator's own DNS, or as the default name of a load balancer."""

from __future__ import annotations

import re

from emulator.products.lb.resources import IPS
from emulator.world import Document, World

RECORDS = "domain.records"

LONGEST_CHAIN = 8
"""CNAMEs that are followed, one after the other."""

LB_NAME = re.compile(r"(?:.*\.)?(?P<name>[^.]+\.lb\.[^.]+\.scw\.cloud)")


def resolves(world: World, fqdn: str) -> set[str]:
    """The IPv4 and IPv6 addresses of a name, CNAMEs and wildcards followed; empty if it has none.

    The default name of a load balancer's address, and every name below it, has that address.
    """
    names, addresses = {_plain(fqdn)}, set[str]()
    for _ in range(LONGEST_CHAIN):
        names = {alias for name in names for alias in _look_up(world, name, addresses)}
    return addresses


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _look_up(world: World, name: str, addresses: set[str]) -> set[str]:
    """Add the addresses of a name to `addresses`; return the names that it stands for."""
    if default := LB_NAME.fullmatch(name):
        addresses.update(ip["ip_address"] for ip in world.all(IPS) if ip["reverse"] == default["name"])
        return set()
    records = _records(world, name)
    addresses.update(record["data"] for record in records if record["type"] in {"A", "AAAA"})
    return {_target(record) for record in records if record["type"] in {"CNAME", "ALIAS"}}


def _records(world: World, name: str) -> list[Document]:
    """The records of exactly this name, else those of the closest wildcard above it."""
    by_name: dict[str, list[Document]] = {}
    for record in world.all(RECORDS):
        by_name.setdefault(_absolute(record["name"], record["_zone"]), []).append(record)
    labels = name.split(".")
    wildcards = [".".join(["*", *labels[start:]]) for start in range(1, len(labels))]
    return next((by_name[candidate] for candidate in [name, *wildcards] if candidate in by_name), [])


def _absolute(name: str, zone: str) -> str:
    return _plain(f"{name}.{zone}" if name else zone)


def _target(record: Document) -> str:
    """The name in a CNAME: absolute with a dot at its end, else within its zone."""
    data = str(record["data"])
    return _plain(data) if data.endswith(".") else _absolute(data, record["_zone"])
