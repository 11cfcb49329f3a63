"""The small values of an environment file: names, networks, ports, durations, sizes.

People write them as they say them ("10s", "20GB", "8000-8100"); the models carry numbers.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+)\s?(MB|GB|TB)")
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def wrong(message: str) -> PydanticCustomError:
    """The error of a value that cannot be: what is wrong with it, and what would be right."""
    return PydanticCustomError("wrong", "{message}", {"message": message})


class Matching:
    """Annotation of strings that match the whole of a pattern.

    Args:
        pattern: regular expression.
        expectation: the pattern in words, for errors.
        limit: characters at most.
    """

    def __init__(self, pattern: str, expectation: str, *, limit: int = 63) -> None:
        self.pattern = pattern
        self.expectation = expectation
        self.limit = limit

    def check(self, value: str) -> str:
        """The value, if it fits."""
        if len(value) > self.limit:
            raise wrong(f"{value!r} has {len(value)} characters; at most {self.limit} fit")
        if not re.fullmatch(self.pattern, value):
            raise wrong(f"{value!r} does not fit; expected {self.expectation}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^({self.pattern})$", "maxLength": self.limit}


def parse_network(value: Any) -> str:
    """A network in CIDR notation, such as "10.0.0.0/24"; an address alone means that address."""
    if not isinstance(value, str):
        raise wrong(f"{value!r} is not a network; a /24 such as 10.0.0.0/24 fits")
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        within = ipaddress.ip_interface(value).network
    except ValueError:
        raise wrong(f"{value!r} is not a network; a /24 such as {_nearest_network(value)} fits") from None
    raise wrong(f"{value!r} is an address inside a network; the network itself is {within}")


def _nearest_network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(f"{value.partition('/')[0]}/24", strict=False))
    except ValueError:
        return "10.0.0.0/24"


def parse_duration(value: Any) -> float:
    """Seconds of "500ms", "10s", "5m", "12h" or "7d"; a number is seconds already."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise wrong(f"{value!r} is not a duration; a number and ms, s, m, h or d, such as 10s, fits")
    return float(found[1]) * _DURATION_UNITS[found[2]]


def format_duration(seconds: float) -> str:
    """The shortest way to write a duration: the largest unit that needs no fraction."""
    for unit in ("d", "h", "m", "s"):
        if seconds % _DURATION_UNITS[unit] == 0 and seconds:
            return f"{round(seconds / _DURATION_UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


def parse_size(value: Any) -> int:
    """Bytes of "20GB" (decimal, as Scaleway counts)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise wrong(f"{value!r} is not a size; a number and MB, GB or TB, such as 20GB, fits")
    return int(found[1]) * _SIZE_UNITS[found[2]]


def format_size(size: int) -> str:
    """The shortest way to write a size in bytes."""
    for unit in ("TB", "GB", "MB"):
        if size % _SIZE_UNITS[unit] == 0 and size:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return str(size)


class PortRange(NamedTuple):
    """Ports from `low` to `high`, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def parse_ports(value: Any) -> PortRange:
    """The range of "443", 443 or "8000-8100"."""
    low, _, high = str(value).partition("-")
    if isinstance(value, bool) or not (low.isdecimal() and (high or low).isdecimal()):
        raise wrong(f"{value!r} is not a port or a range of ports; 443 or 8000-8100 fits")
    ports = PortRange(int(low), int(high or low))
    if not 1 <= ports.low <= ports.high <= 65535:
        raise wrong(f"{value!r} is not a range of ports; from low to high, within 1 to 65535, fits")
    return ports


def parse_hostname(value: str) -> str:
    """A host name in its normal form: lower case, without the final dot, so that one name is written one way."""
    name = value.lower().removesuffix(".")
    labels = name.removeprefix("*.").split(".")
    if len(labels) < 2 or len(name) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise wrong(f"{value!r} is not a host name; one such as api.example.org fits")
    if name != value:
        raise wrong(f"{value!r} is not written in the normal form; {name} fits")
    return name


Label = Annotated[
    str, Matching("[a-z0-9]([a-z0-9-]*[a-z0-9])?", "lower-case letters, digits and hyphens between them", limit=40)
]
"""A name that becomes part of the name of an object."""

DomainKey = Annotated[
    str,
    Matching(
        "[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        "<domain>/<what> in lower-case letters, digits and hyphens, such as equitya/files",
    ),
]
"""What belongs to a domain: "<domain>/<what>"."""

CommercialType = Annotated[
    str, Matching("[A-Za-z0-9]+(-[A-Za-z0-9]+)+", "a Scaleway commercial type, such as DEV1-M", limit=40)
]
"""A type from Scaleway's catalogue. Whether the zone has it, only the API knows."""

Hostname = Annotated[str, AfterValidator(parse_hostname), Field(json_schema_extra={"format": "hostname"})]
"""A fully qualified name in lower case, without the final dot."""

Network = Annotated[str, BeforeValidator(parse_network), WithJsonSchema({"type": "string", "format": "cidr"})]
"""An IPv4 or IPv6 network, kept in its normal form."""

Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^({_DURATION.pattern})$"}, {"type": "number"}]}),
]
"""A duration; the models carry seconds."""

Bytes = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^({_SIZE.pattern})$"}, {"type": "integer"}]}),
]
"""A size; the models carry bytes."""

Ports = Annotated[
    PortRange,
    BeforeValidator(parse_ports),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(-\d+)?$"}]}),
]
"""A port or a range of ports."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""One TCP port."""

Email = Annotated[str, Matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an address such as ops@example.org", limit=254)]
"""An e-mail address."""
