"""What a refusal means: Scaleway's status codes and bodies, told apart by class (Scaleway errors, section 2.3).

Pure: tested as a table of recorded bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blueprint.errors import (
    Busy,
    EngineError,
    Gone,
    OutOfStock,
    PermissionDenied,
    QuotaExceeded,
    Refused,
    StillInUse,
    Throttled,
    Unauthenticated,
    Unavailable,
    Unresolved,
)
from blueprint.permissions import taken_by

FINAL_STATES = ("error", "locked", "failed")
"""A 409 transient_state that names one of these will not pass."""


def classify(status: int, body: Mapping[str, Any] | None, call: str, takes: str = "") -> EngineError:
    """The error that an answer stands for.

    Args:
        status: HTTP status code, 400 or above.
        body: the JSON body; None if there was none or it was not JSON.
        call: "POST /vpc/v2/regions/fr-par/vpcs", for the reader.
        takes: the permission set that the call takes; by default what its path tells.
    """
    body = body or {}
    text = f"{call}: {status} {_message(body)}".rstrip()
    if body.get("type") == "out_of_stock":
        return OutOfStock(
            text, remedy="retry later, or abort, choose another type in the environment file and apply again"
        )
    match status:
        case 401:
            return Unauthenticated(
                text, remedy="check SCW_ACCESS_KEY and SCW_SECRET_KEY of the worker; the key may have expired"
            )
        case 429:
            return Throttled(text)
        case 403:
            return _forbidden(body, text, takes or taken_by(call))
        case 404 | 410:
            return Gone(text)
        case 409:
            return _conflict(body, text)
        case _ if status >= 500 and status != 501:
            return Unavailable(text)
    return _refusal(body, text)


def _refusal(body: Mapping[str, Any], text: str) -> EngineError:
    if body.get("precondition") == "resource_still_in_use" or _says_in_use(body):
        return StillInUse(text, remedy="see what still uses it: `scaleway-infra status` lists what is left")
    if "not resolve to your Load Balancer" in text:
        return Unresolved(text, remedy="see that the registrar delegates the domain to the name servers of its zone")
    if "retry later" in str(body.get("message", "")):
        return Busy(text)
    if body.get("precondition") == "resource_not_usable" or body.get("type") == "transient_state":
        return Busy(text)
    if _says_not_found(body):
        return Gone(text)
    return Refused(text, remedy="mend the object and retry; or abort, correct the environment file and apply again")


def _message(body: Mapping[str, Any]) -> str:
    """The body's own words, with the arguments at fault but never their values."""
    parts = [str(body.get("message") or ""), str(body.get("help_message") or "")]
    details = body.get("details")
    for detail in details if isinstance(details, list) else []:
        if not isinstance(detail, Mapping):
            continue
        if "argument_name" in detail:
            parts.append(f"{detail['argument_name']}: {detail.get('help_message') or detail.get('reason')}")
        elif "quota" in detail:
            parts.append(f"{detail.get('resource')}: {detail.get('current')} of {detail.get('quota')}")
        elif "action" in detail:
            parts.append(f"{detail.get('action')} {detail.get('resource')}")
        elif "field" in detail:
            parts.append(f"{detail['field']}: {detail.get('message')}")
    fields = body.get("fields")
    if isinstance(fields, Mapping):
        parts += [f"{name}: {reasons}" for name, reasons in fields.items()]
    if body.get("current_state"):
        parts.append(f"({body.get('resource')} is {body['current_state']})")
    return "; ".join(part for part in parts if part)


def _says_in_use(body: Mapping[str, Any]) -> bool:
    """Load balancing has no type for it: "operation was rejected because the ip_id is used on a lb"."""
    message = str(body.get("message", ""))
    return message.startswith("operation was rejected because") and " is used on a " in message


def _says_not_found(body: Mapping[str, Any]) -> bool:
    """Some products answer 400 where they mean 404: "lbs not Found"."""
    return str(body.get("message", "")).lower().endswith("not found")


def _forbidden(body: Mapping[str, Any], text: str, takes: str) -> EngineError:
    if body.get("type") == "quotas_exceeded":
        return QuotaExceeded(text, remedy="free some, or ask Scaleway for a higher quota, then retry")
    if _says_not_found(body):
        return Gone(text)
    # Scaleway's answer does not name it.
    lacks = f"the permission set {takes}" if takes else "this permission"
    return PermissionDenied(
        text,
        remedy=f"the key lacks {lacks} (`scaleway-infra iam-policy` prints all that an environment takes), "
        "or the project is another's: check the policy of the key and SCW_DEFAULT_PROJECT_ID",
    )


def _conflict(body: Mapping[str, Any], text: str) -> EngineError:
    if body.get("type") == "transient_state" and body.get("current_state") in FINAL_STATES:
        return Refused(text, remedy="the object is in a state that it does not leave by itself: mend it at Scaleway")
    if body.get("type") == "already_exists":
        return Refused(text, remedy="an object of this name exists elsewhere in the organization; rename one")
    if str(body.get("message", "")).endswith("objects depend on it"):
        return StillInUse(text, remedy="remove what depends on it in the database, then retry")
    return Busy(text)
