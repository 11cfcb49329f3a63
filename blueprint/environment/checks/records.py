"""Checks of DNS records, one by one, against each other, and against what they point at."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from blueprint.environment.dns import Record, Zone, full_name
from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem

Path = tuple[str | int, ...]

_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def _is_ipv4(value: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(value))
    except ValueError:
        return False


def _is_ipv6(value: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(value))
    except ValueError:
        return False


def _is_host(value: str) -> bool:
    return bool(_HOST.fullmatch(value)) and not _is_ipv4(value)


_VALUES: dict[str, tuple[Callable[[str], object], str]] = {
    "A": (_is_ipv4, "an IPv4 address such as 203.0.113.7"),
    "AAAA": (_is_ipv6, "an IPv6 address such as 2001:db8::7"),
    "ALIAS": (_is_host, "a host name such as target.example.org."),
    "CNAME": (_is_host, "a host name such as target.example.org."),
    "NS": (_is_host, "a host name such as ns1.example.org."),
    "MX": (_is_host, "a host name such as mail.example.org., with its preference in priority,"),
    "SRV": (
        re.compile(r"\d+ \d+ \S+").fullmatch,
        "weight, port and host such as 10 443 sip.example.org., with the priority in priority,",
    ),
    "CAA": (re.compile(r'\d+ [a-z]+ "[^"]*"').fullmatch, 'flags, tag and value such as 0 issue "letsencrypt.org"'),
}


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of the zones and their records."""
    for zone_name, zone in environment.dns.items():
        if zone.domain and zone_name != zone.domain and not zone_name.endswith(f".{zone.domain}"):
            message = f"{zone_name} is not part of {zone.domain}; the registered domain that it ends with fits"
            yield Problem(("dns", zone_name, "domain"), message)
        for index, record in enumerate(zone.records):
            path: Path = ("dns", zone_name, "records", index)
            yield from _source(record, path, environment)
            yield from _place(record, path, zone_name, environment)
            yield from _values(record, path)
        yield from _conflicts(zone_name, zone, ipv6=_has_ipv6(environment))


def zone_of(domain: str, environment: Environment) -> str | None:
    """The innermost zone that a name belongs to."""
    zones = [zone for zone in environment.dns if domain == zone or domain.endswith(f".{zone}")]
    return max(zones, key=len, default=None)


def leading_to_load_balancer(environment: Environment) -> set[str]:
    """Names that resolve to the load balancer, CNAME and ALIAS records within the zones followed."""
    leading: set[str] = set()
    aliases: dict[str, str] = {}
    for zone_name, zone in environment.dns.items():
        for record in zone.records:
            name = full_name(record.name, zone_name)
            if record.target == "load_balancer" and zone_of(name, environment) == zone_name:
                leading.add(name)
            elif record.type in {"CNAME", "ALIAS"} and record.values:
                value = record.values[0].lower()
                aliases[name] = value.removesuffix(".") if value.endswith(".") else f"{value}.{zone_name}"
    for name in aliases:
        seen, target = {name}, aliases[name]
        while target in aliases and target not in seen:
            seen.add(target)
            target = aliases[target]
        if target in leading:
            leading.add(name)
    return leading


def _has_ipv6(environment: Environment) -> bool:
    return environment.load_balancer is not None and environment.load_balancer.ipv6


def _source(record: Record, path: Path, environment: Environment) -> Iterator[Problem]:
    """Either values of a type, or a target."""
    if record.target is None:
        if record.type is None:
            yield Problem((*path, "type"), "required, unless target says where the name leads")
        if not record.values:
            yield Problem((*path, "values"), "required, unless target says where the name leads")
        return
    if record.values:
        yield Problem((*path, "values"), f"target: {record.target} gives the values already; one of the two must go")
    if environment.load_balancer is None:
        yield Problem((*path, "target"), "there is no load balancer to lead to; declare load_balancer, or give values")
    elif record.type == "AAAA" and not environment.load_balancer.ipv6:
        yield Problem((*path, "type"), "the load balancer has no IPv6 address; load_balancer.ipv6: true gives it one")
    elif record.type not in {None, "A", "AAAA"}:
        yield Problem((*path, "type"), f"{record.type} cannot lead to addresses; A or AAAA fits, or no type for both")


def _place(record: Record, path: Path, zone_name: str, environment: Environment) -> Iterator[Problem]:
    name = full_name(record.name, zone_name)
    if record.name == zone_name or record.name.endswith(f".{zone_name}"):
        relative = record.name.removesuffix(zone_name).removesuffix(".") or "@"
        yield Problem(
            (*path, "name"), f"{record.name!r} would become {name}; names are below the zone: {relative} fits"
        )
    inner = zone_of(name, environment)
    if inner and inner != zone_name and record.type != "NS":
        yield Problem((*path, "name"), f"{name} belongs to the zone {inner}, which hides it here; declare it there")
    if record.name == "@" and record.type == "CNAME":
        yield Problem((*path, "type"), f"the zone {zone_name} itself cannot be a CNAME; ALIAS fits")
    if record.name == "@" and record.type == "NS":
        yield Problem((*path, "type"), f"the name servers of {zone_name} are Scaleway's own; remove the record")


def _values(record: Record, path: Path) -> Iterator[Problem]:
    if record.type in _VALUES:
        fits, expectation = _VALUES[record.type]
        for index, value in enumerate(record.values):
            if not fits(value):
                message = f"{value!r} is not a value of {record.type}; {expectation} fits"
                yield Problem((*path, "values", index), message)
    for index, value in enumerate(record.values):
        if value in record.values[:index]:
            yield Problem((*path, "values", index), f"{value!r} is given twice; once is enough")
    if record.type in {"CNAME", "ALIAS"} and len(record.values) > 1:
        yield Problem((*path, "values"), f"{record.type} leads to one name; {len(record.values)} are given")
    if record.type in {"MX", "SRV"} and record.priority is None:
        yield Problem((*path, "priority"), f"required for {record.type}; 10 fits if there is only one")
    if record.type not in {"MX", "SRV"} and record.priority is not None:
        yield Problem((*path, "priority"), "only MX and SRV records have one; remove it")


def _conflicts(zone_name: str, zone: Zone, *, ipv6: bool) -> Iterator[Problem]:
    """One record set per name and type; nothing beside a CNAME (RFC 1034, 3.6.2)."""
    seen: dict[str, dict[str, int]] = {}
    for index, record in enumerate(zone.records):
        path: Path = ("dns", zone_name, "records", index)
        types = seen.setdefault(record.name, {})
        for type_ in [found.type for found in zone.model_copy(update={"records": [record]}).record_sets(ipv6=ipv6)]:
            name = full_name(record.name, zone_name)
            if type_ in types:
                message = f"{name} has a record of type {type_} already (records[{types[type_]}]); join their values"
                yield Problem(path, message)
            elif types and "CNAME" in {type_, *types}:
                other = "CNAME" if "CNAME" in types else next(iter(types))
                message = (
                    f"{name} has a record of type {other} (records[{types[other]}]), "
                    "and a CNAME allows no other beside it; one of the two must go"
                )
                yield Problem(path, message)
            types.setdefault(type_, index)
