"""What an answer means: whether something is up, and what is wrong if it is not. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blueprint.environment.dns_values import canonical
from blueprint.health.contract import Check, Records, Zone

DAY = 86_400.0
_LONGEST = 300
"""Characters of a trouble: results are kept in histories."""
_MOST_NAMED = 3
"""Record sets of a zone that are named one by one."""
_COMPARED = ("A", "AAAA", "CNAME", "MX", "SRV")
"""Types whose values are compared. Of texts it counts that there are any: each resolver quotes them its own way."""
_FOLLOWED = ("ALIAS", "NS")
"""Types that show in other answers than their own."""


@dataclass(frozen=True)
class Looked:
    """What DNS answers about a record set."""

    values: tuple[str, ...] = ()
    trouble: str = ""
    """Why there is no answer."""


@dataclass(frozen=True)
class Answer:
    """What HTTP answers."""

    seconds: float
    status: int = 0
    body: str = ""
    trouble: str = ""
    """Why there is no answer."""


def check(name: str, seconds: float, trouble: str = "", certificate_seconds: float | None = None) -> Check:
    """The check of that name: up if there is no trouble.

    Args:
        name: see `Check.name`.
        seconds: that it took.
        trouble: what is wrong; cut to a line.
        certificate_seconds: see `Check`.
    """
    line = " ".join(trouble.split())[:_LONGEST]
    return Check(
        name=name, up=not line, seconds=round(seconds, 3), trouble=line, certificate_seconds=certificate_seconds
    )


# -- names -------------------------------------------------------------------------------------------------------


def zone_check(zone: Zone, looked: Sequence[Looked], balancer: Sequence[str], seconds: float) -> Check:
    """Whether a zone answers as it is declared.

    Args:
        zone: what is declared.
        looked: the answer about each of its record sets, in order.
        balancer: the load balancer's addresses.
        seconds: that all answers took.
    """
    pairs = zip(zone.records, looked, strict=True)
    troubles = [trouble for records, found in pairs if (trouble := _records_trouble(records, found, balancer))]
    more = f" and {len(troubles) - _MOST_NAMED} more" if len(troubles) > _MOST_NAMED else ""
    return check(f"dns/{zone.name}", seconds, "; ".join(troubles[:_MOST_NAMED]) + more)


def _records_trouble(records: Records, found: Looked, balancer: Sequence[str]) -> str:
    asked = f"{records.name} {records.type}"
    if found.trouble:
        return f"{asked}: {found.trouble}"
    if records.type not in _COMPARED:
        return "" if found.values or records.type in _FOLLOWED else f"{asked}: no such record"
    family = [address for address in balancer if (":" in address) == (records.type == "AAAA")]
    wanted = _written_alike(records.type, records.values or family)
    answered = _written_alike(records.type, found.values)
    return "" if answered == wanted else f"{asked} is {_listed(answered)}, not {_listed(wanted)}"


def _written_alike(type: str, values: Sequence[str]) -> list[str]:
    return sorted({canonical(type, value, "", 0) for value in values})


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "nothing"


# -- certificates ------------------------------------------------------------------------------------------------


def certificate_check(name: str, seconds: float, left: float | None, trouble: str, days: int) -> Check:
    """Whether a name's certificate is valid, and will be for a while.

    Args:
        name: "tls/<name>".
        seconds: that the handshake took.
        left: seconds until the certificate ends; None if there was no good one.
        trouble: what was wrong with it.
        days: for which it has to be valid still.
    """
    if not trouble and left is not None and left < days * DAY:
        trouble = f"the certificate ends in {max(0, int(left // DAY))} days: it was not renewed"
    return check(name, seconds, trouble, left)


# -- requests ----------------------------------------------------------------------------------------------------


def response_check(name: str, answer: Answer) -> Check:
    """Whether a GET was answered well."""
    return check(name, answer.seconds, _status_trouble(answer))


def graphql_check(answer: Answer) -> Check:
    """Whether GraphQL answered what was asked: it says 200 to errors, too."""
    return check("graphql", answer.seconds, _status_trouble(answer) or _graphql_trouble(answer.body))


def echo_check(sent: str, received: Sequence[str], seconds: float, trouble: str) -> Check:
    """Whether a WebSocket sent back what it was sent, whatever else it said.

    Args:
        sent: what.
        received: what it said.
        seconds: from the handshake to the echo.
        trouble: why it ended before.
    """
    if any(sent in text for text in received):
        return check("websocket", seconds)
    return check("websocket", seconds, trouble or "what was sent did not come back")


def _status_trouble(answer: Answer) -> str:
    if answer.trouble:
        return answer.trouble
    return "" if 200 <= answer.status < 300 else f"it answers {answer.status}"


def _graphql_trouble(body: str) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return "it answers with something else than JSON"
    if not isinstance(told, Mapping):
        return "it answers with something else than a result"
    match told.get("errors"):
        case [{"message": str(message)}, *_]:
            return f"it answers with an error: {message}"
        case list(errors) if errors:
            return "it answers with an error"
    data = told.get("data")
    return "" if isinstance(data, Mapping) and data.get("__typename") else "it does not answer what was asked"
