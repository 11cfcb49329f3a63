"""What the zones say about a name: exact names, wildcards, aliases, delegations, answers that depend on who asks."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from datetime import datetime

from emulator.products.domain.zones import RECORDS, ZONES, name_of
from emulator.world import Document, World

_LB_NAME = re.compile(r"(?:.*\.)?(?P<name>(?P<id>[^.]+)\.lb\.(?P<region>[a-z]{2}-[a-z]{3})\.scw\.cloud)")
_LB_TTL = 60
_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Answered:
    """One resource record: its full name, type, TTL in seconds and data in zone-file form."""

    name: str
    kind: str
    ttl: int
    data: str


@dataclass
class Lookup:
    """What is known about a name and a type.

    Attributes:
        zone: the zone that answers.
        serial: of its SOA.
        exists: the name is there, if only with other types.
        answers: in the order of the chain of aliases.
        referral: name servers of the sub-domain to ask instead.
    """

    zone: str
    serial: int
    exists: bool = True
    answers: list[Answered] = field(default_factory=list)
    referral: list[Answered] = field(default_factory=list)

    @property
    def delegated(self) -> bool:
        """Whether others answer for this name."""
        return bool(self.referral)


def lookup(world: World, name: str, kind: str, client: str = "127.0.0.1") -> Lookup | None:
    """Look a name up, following aliases as far as this server knows.

    Args:
        name: in lower case, without the final dot.
        kind: the type in capitals, "ANY" for all.

    Returns:
        None if no zone here is responsible for the name.
    """
    first: Lookup | None = None
    answers: list[Answered] = []
    for _ in range(_LONGEST_CHAIN):
        found = _load_balancer(world, name, kind) or _in_zone(world, name, kind, client)
        if found is None:
            break
        first = first or found
        answers += found.answers
        if not found.exists and first is not found:
            break
        if len(found.answers) != 1 or found.answers[0].kind != "CNAME" or kind in ("CNAME", "ANY"):
            break
        name = found.answers[0].data.rstrip(".").lower()
    if first is not None:
        first.answers = answers
    return first


def _in_zone(world: World, name: str, kind: str, client: str) -> Lookup | None:
    zone = _zone_of(world, name)
    if zone is None:
        return None
    zone_name = name_of(zone)
    found = Lookup(zone_name, int(datetime.fromisoformat(zone["updated_at"]).timestamp()))
    records = list(world.where(RECORDS, _zone=zone_name))
    relative = name.removesuffix(zone_name).rstrip(".")
    found.referral = _delegation(records, relative, zone_name, kind)
    if found.referral:
        return found
    owner = _owner(records, relative)
    found.exists = owner is not None
    for record in records:
        if owner is None or record["name"] != owner or not _fits(record, kind):
            continue
        if record["type"] == "ALIAS":
            found.answers += _through_alias(world, name, kind, record, client)
            continue
        found.answers += [Answered(name, record["type"], record["ttl"], data) for data in _data_for(record, client)]
    return found


def _zone_of(world: World, name: str) -> Document | None:
    labels = name.split(".")
    names = (".".join(labels[start:]) for start in range(len(labels)))
    return next((zone for candidate in names if (zone := world.find(ZONES, candidate))), None)


def _owner(records: list[Document], relative: str) -> str | None:
    """The record name that answers for a name: itself, or the wildcard of its closest encloser; None if neither.

    A name that only has names below it exists too, and hides the wildcard (RFC 4592).
    """
    names = {record["name"] for record in records}

    def exists(name: str) -> bool:
        return not name or name in names or any(other.endswith(f".{name}") for other in names)

    if exists(relative):
        return relative
    encloser = relative
    while not exists(encloser):
        encloser = encloser.partition(".")[2]
    wildcard = f"*.{encloser}" if encloser else "*"
    return wildcard if wildcard in names else None


def _delegation(records: list[Document], relative: str, zone: str, kind: str) -> list[Answered]:
    for record in records:
        cut = record["name"]
        below = relative == cut or relative.endswith(f".{cut}")
        if record["type"] == "NS" and cut and below and not (kind == "DS" and relative == cut):
            servers = [r for r in records if r["type"] == "NS" and r["name"] == cut]
            return [Answered(f"{cut}.{zone}", "NS", server["ttl"], server["data"]) for server in servers]
    return []


def _fits(record: Document, kind: str) -> bool:
    if record["type"] == "ALIAS":
        return kind in ("A", "AAAA")
    return record["type"] in (kind, "CNAME") or kind == "ANY"


def _through_alias(world: World, name: str, kind: str, record: Document, client: str) -> list[Answered]:
    """The addresses of an alias's target under the alias's own name."""
    target = lookup(world, str(record["data"]).rstrip(".").lower(), kind, client)
    answers = target.answers if target else []
    return [Answered(name, kind, record["ttl"], answer.data) for answer in answers if answer.kind == kind]


def _data_for(record: Document, client: str) -> list[str]:
    """A record's data for one client; countries are not known here, so `geo_ip_config` gives its default."""
    if config := record.get("view_config"):
        address = ipaddress.ip_address(client)
        for view in config["views"]:
            if address in ipaddress.ip_network(view["subnet"], strict=False):
                return [view["data"]]
    if config := record.get("weighted_config"):
        pool = [entry["ip"] for entry in config["weighted_ips"] for _ in range(int(entry["weight"]))]
        return [_chosen(pool, client)] if pool else []
    if config := record.get("http_service_config"):
        ips = list(config["ips"])
        return ips if config.get("strategy") == "all" else [_chosen(ips, client)]
    if config := record.get("geo_ip_config"):
        return [config.get("default") or record["data"]]
    return [record["data"]]


def _chosen(pool: list[str], client: str) -> str:
    """The same one for the same client, so that answers can be predicted."""
    return pool[int(hashlib.sha256(client.encode()).hexdigest(), 16) % len(pool)]


def _load_balancer(world: World, name: str, kind: str) -> Lookup | None:
    """The names of a load balancer, by its id and by its address, and every name below them."""
    match = _LB_NAME.fullmatch(name)
    if match is None:
        return None
    found = Lookup(f"lb.{match['region']}.scw.cloud", int(world.now()), exists=False)
    for ip in world.all("lb.ips"):
        if match["name"] != ip["reverse"] and match["id"] != ip["lb_id"]:
            continue
        found.exists = True
        address = str(ip["ip_address"]).partition("/")[0]
        own = "AAAA" if ":" in address else "A"
        if kind in (own, "ANY"):
            found.answers.append(Answered(name, own, _LB_TTL, address))
    return found
