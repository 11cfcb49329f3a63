"""Records as Scaleway keeps them: names relative to their zone, data in its full form, and what is refused.

The rules come from recorded answers and from what Terraform's provider has to undo when it reads records back
(scaleway/terraform-provider-scaleway, `internal/services/domain`): a target without a final dot is taken as relative to
the zone, texts are quoted, and the priority of MX and SRV records is part of their data.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from emulator.errors import ApiError
from emulator.world import Document

TYPES = frozenset(
    {"A", "AAAA", "ALIAS", "CAA", "CNAME", "DNAME", "DS", "HINFO", "HTTPS", "LOC", "MX", "NAPTR", "NS", "PTR", "RP"}
) | {"SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI"}
TARGETS = frozenset({"CNAME", "NS", "MX", "ALIAS", "PTR", "DNAME", "SRV"})
"""Types whose data ends in the name of another host."""
CONFIGS = ("geo_ip_config", "http_service_config", "weighted_config", "view_config")
"""How an answer may depend on who asks; at most one of them per record."""

SHORTEST_TTL, LONGEST_TTL, DEFAULT_TTL = 60, 2_592_000, 3600
LONGEST_NAME = 253


def refused(reason: str) -> ApiError:
    """400 in the form of the DNS API: a message, no type."""
    return ApiError(400, {"message": f"invalid argument: {reason}"})


def relative_name(name: str, zone: str) -> str:
    """A record's name as the API shows it: "" for the zone itself, else without the zone's own name."""
    name = name.strip().lower()
    full = name.rstrip(".")
    if name in ("", "@") or full == zone:
        return ""
    return full.removesuffix(f".{zone}")


def full_data(kind: str, data: str, priority: int, zone: str) -> tuple[str, int]:
    """A record's data and priority as the API shows them.

    Args:
        kind: the type, in capitals.
        priority: as sent, 0 if not; taken where the data does not carry one itself.

    Raises:
        ApiError: 400, the data does not fit the type.
    """
    data = data.strip()
    if not data:
        raise refused("data is required")
    if kind in ("A", "AAAA"):
        return _address(kind, data), priority
    if kind == "TXT":
        return (data if data.startswith('"') else f'"{data}"'), priority
    if kind not in TARGETS:
        return data, priority
    *fields, target = data.split()
    if not target.endswith("."):
        target = f"{target}.{zone}." if target != "@" else f"{zone}."
    wanted = {"MX": 1, "SRV": 3}.get(kind, 0)
    if len(fields) == wanted - 1:
        fields.insert(0, str(priority))
    if len(fields) != wanted or not all(field.isdigit() for field in fields):
        raise refused(f"{data} is not the data of a {kind} record")
    return " ".join([*fields, target]), int(fields[0]) if fields else priority


def _address(kind: str, data: str) -> str:
    try:
        address = ipaddress.ip_address(data)
    except ValueError:
        raise refused(f"{data} is not an IP address") from None
    if address.version != (4 if kind == "A" else 6):
        raise refused(f"{data} is not the address of a {kind} record")
    return data


def new_record(sent: Document, zone: str) -> Document:
    """A record of a request in its stored form, without `id` and `updated_at`.

    Raises:
        ApiError: 400 for an unknown type, a TTL out of range, data that does not fit, two configurations at once.
    """
    kind = str(sent.get("type") or "").upper()
    if kind not in TYPES:
        raise refused(f"{sent.get('type')} is not a record type")
    ttl = int(sent.get("ttl") or DEFAULT_TTL)
    if not SHORTEST_TTL <= ttl <= LONGEST_TTL:
        raise refused(f"ttl must be between {SHORTEST_TTL} and {LONGEST_TTL}")
    name = relative_name(str(sent.get("name") or ""), zone)
    if len(name) + len(zone) + 1 > LONGEST_NAME or any(not 0 < len(label) <= 63 for label in name.split(".") if name):
        raise refused(f"{name} is not a record name")
    data, priority = full_data(kind, str(sent.get("data") or ""), int(sent.get("priority") or 0), zone)
    if kind == "CNAME" and not name:
        raise refused("cname can not be used in root zone, you can use alias")
    record: dict[str, Any] = {
        "comment": sent.get("comment"),
        "data": data,
        "name": name,
        "priority": priority,
        "ttl": ttl,
        "type": kind,
    }
    configs = {key: sent[key] for key in CONFIGS if sent.get(key)}
    if len(configs) > 1:
        raise refused("only one of " + ", ".join(CONFIGS) + " can be set")
    return record | configs


def check_together(records: Iterable[Document]) -> None:
    """Refuse what the records of one zone may not be together: a CNAME beside anything else, the same record twice.

    Raises:
        ApiError: 400.
    """
    by_name: dict[str, list[Document]] = {}
    seen: set[tuple[str, str, str]] = set()
    for record in records:
        by_name.setdefault(record["name"], []).append(record)
        identity = (record["name"], record["type"], record["data"])
        if identity in seen:
            raise refused(f"record {record['name']} {record['type']} {record['data']} already exists")
        seen.add(identity)
    for name, together in by_name.items():
        if len(together) > 1 and any(record["type"] == "CNAME" for record in together):
            raise refused(f"{name} is a cname, it can not be used with other records")


def matches(record: Document, fields: Document, zone: str) -> bool:
    """Whether a record is meant by `id_fields`: name and type, and data and TTL where given."""
    kind = str(fields.get("type") or "").upper()
    if record["type"] != kind or record["name"] != relative_name(str(fields.get("name") or ""), zone):
        return False
    if fields.get("ttl") and record["ttl"] != fields["ttl"]:
        return False
    if not fields.get("data"):
        return True
    sent = str(fields["data"])
    return record["data"] in (sent, full_data(kind, sent, record["priority"], zone)[0])
