"""DNS zones and the record sets in them.

A record set is what DNS knows it as: all values that one name has of one type. Its values stand here as Scaleway shows
them, so that the two can be compared: targets in full with a final dot, the priority as part of MX and SRV data; but
texts without their quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from blueprint.environment import Environment
from blueprint.environment.dns import RecordSet, full_name, split_zone
from blueprint.environment.dns_values import TARGETS, canonical
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource, ref

CHANGES_IN_A_CALL = 100
"""Record sets that one PATCH changes: the API takes more, but a refusal names no record, so a call stays readable."""


def record_name(zone: str, name: str, type_: str) -> str:
    """Name of a record set, which is its key and id too: "lssm.tech/api/A", "lssm.tech/@/TXT"."""
    return f"{zone}/{name or '@'}/{type_}"


def leading_records(environment: Environment, domain: str) -> set[str]:
    """Keys of the record sets by which a name leads to addresses, CNAME and ALIAS within the zones followed."""
    sets = {(full_name(found.name, zone), found.type): (zone, found) for zone, found in _record_sets(environment)}
    keys: set[str] = set()
    names = [domain]
    while names:
        name = names.pop()
        for type_ in ("A", "AAAA", "CNAME", "ALIAS"):
            zone, found = sets.get((name, type_), ("", None))
            key = f"dns_record.{record_name(zone, found.name, type_)}" if found else ""
            if found and key not in keys:
                keys.add(key)
                if type_ in TARGETS:
                    names.extend(canonical(type_, value, zone, 0).rstrip(".") for value in found.values)
    return keys


def _zones(environment: Environment) -> Iterable[Resource]:
    for name, zone in environment.dns.items():
        domain, subdomain = split_zone(name, zone)
        yield Resource(
            key=f"dns_zone.{name}",
            kind="dns_zone",
            name=name,
            inputs={"domain": domain, "subdomain": subdomain},
            depends_on=(f"dns_zone.{domain}",) if subdomain and domain in environment.dns else (),
        )


def _records(environment: Environment) -> Iterable[Resource]:
    for zone, found in _record_sets(environment):
        name = record_name(zone, found.name, found.type)
        yield Resource(
            key=f"dns_record.{name}",
            kind="dns_record",
            name=name,
            parent=f"dns_zone.{zone}",
            fields={"ttl": found.ttl, "values": _values(found, zone)},
        )


def _values(found: RecordSet, zone: str) -> Sequence[object]:
    if found.target == "load_balancer":
        return [ref("lb_ip.ipv6" if found.type == "AAAA" else "lb_ip.ipv4", "address")]
    return sorted(canonical(found.type, value, zone, found.priority) for value in found.values)


def _record_sets(environment: Environment) -> Iterator[tuple[str, RecordSet]]:
    """Every record set, with its zone."""
    ipv6 = environment.load_balancer is not None and environment.load_balancer.ipv6
    for name, zone in environment.dns.items():
        for found in zone.record_sets(ipv6=ipv6):
            yield name, found


KINDS = (
    Kind(
        name="dns_zone",
        title="DNS zone",
        product="dns",
        resources=_zones,
        permission_sets=("DomainsDNSFullAccess",),
        protected=True,
        lingers=False,
    ),
    Kind(
        name="dns_record",
        title="DNS record set",
        product="dns",
        resources=_records,
        permission_sets=("DomainsDNSFullAccess",),
        parent="dns_zone",
        dies_with_parent=True,
        lingers=False,
        serial="dns",
        # A name that has a CNAME has nothing else.
        makes_way=True,
        batch=CHANGES_IN_A_CALL,
    ),
)
