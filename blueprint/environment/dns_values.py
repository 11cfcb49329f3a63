"""Values of DNS records, in the one form in which they can be compared, whoever wrote them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

TARGETS = {"ALIAS", "CNAME", "MX", "NS", "SRV"}
"""Types whose data ends in the name of another host."""
_ESCAPED = re.compile(r"\\(.)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def canonical(type_: str, value: str, zone: str, priority: int) -> str:
    """A value in the one form in which file and API are compared.

    Args:
        type_: "MX".
        value: as the file, or the API, has it.
        zone: what a name without a final dot is relative to.
        priority: of MX and SRV; left alone if the value begins with one already.
    """
    if type_ == "AAAA":
        return str(IPv6Address(value))
    if type_ == "TXT":
        # Long texts come as several quoted strings that count as one.
        return _ESCAPED.sub(r"\1", "".join(_QUOTED.findall(value))) if value.startswith('"') else value
    if type_ not in TARGETS:
        return value
    *numbers, target = value.split()
    if len(numbers) < {"MX": 1, "SRV": 3}.get(type_, 0):
        numbers.insert(0, str(priority))
    if not target.endswith("."):
        target = f"{zone}." if target == "@" else f"{target}.{zone}."
    return " ".join([*numbers, target.lower()])


def quoted(text: str) -> str:
    """A text as a zone file has it: `canonical` undoes this."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
