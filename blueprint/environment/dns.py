"""DNS zones and records."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Hostname, Matching

RecordType = Literal["A", "AAAA", "ALIAS", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"]


class Record(Section):
    """One record set: all values that one name has of one type.

    Either `type` and `values`, or `target`.
    """

    name: Annotated[
        str, Matching(r"@|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\*", "a name below the zone, or @", limit=253)
    ] = "@"
    """Name below the zone; @ is the zone itself."""
    type: RecordType | None = None
    """Type. With `target` left out: A, and AAAA if the load balancer has IPv6."""
    values: list[str] = Field(default=[])
    """Values, in the notation of a zone file."""
    target: Literal["load_balancer"] | None = None
    """Points the name at the load balancer's addresses."""
    ttl: int = Field(default=3600, ge=60, le=2_592_000)
    """Seconds for which answers may be remembered."""
    priority: int | None = Field(default=None, ge=0, le=65535)
    """Preference of MX and SRV records, the lowest first."""


class RecordSet(NamedTuple):
    """A record set as DNS has it."""

    name: str
    """Name below the zone; "" is the zone itself, as in Scaleway's API."""
    type: RecordType
    ttl: int
    priority: int
    values: tuple[str, ...]
    """Empty if `target` says where the value comes from."""
    target: Literal["load_balancer"] | None


class Zone(Section):
    """A DNS zone; protected. Its NS records belong to Scaleway and are left alone.

    Zones carry no tags, so one that is taken out of the file is not known any more and stays, with its records: empty
    it first, and delete it in Scaleway's console.
    """

    domain: Hostname | None = None
    """The registered domain that the zone is part of; the last two labels of its name if left out."""
    records: list[Record] = Field(default=[])
    """Record sets."""

    def record_sets(self, *, ipv6: bool) -> list[RecordSet]:
        """The record sets that exist.

        Args:
            ipv6: whether the load balancer has an IPv6 address.
        """
        found: list[RecordSet] = []
        for record in self.records:
            name = "" if record.name == "@" else record.name
            types: list[RecordType] = [record.type] if record.type else ["A", "AAAA"] if ipv6 else ["A"]
            for type_ in types:
                found.append(
                    RecordSet(name, type_, record.ttl, record.priority or 0, tuple(record.values), record.target)
                )
        return found


def split_zone(name: str, zone: Zone) -> tuple[str, str]:
    """The registered domain and the subdomain of a zone, as Scaleway's API asks for them: ("lssm.tech", "stg")."""
    domain = zone.domain or ".".join(name.split(".")[-2:])
    return domain, name.removesuffix(domain).removesuffix(".")


def full_name(record: str, zone: str) -> str:
    """The fully qualified name of a record."""
    return zone if record in {"", "@"} else f"{record}.{zone}"
