"""What the parts of IAM share: the product, the form of its objects, lists and expiry dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from emulator.errors import invalid_arguments, quotas_exceeded
from emulator.paging import page
from emulator.routing import Call, Product
from emulator.world import DEFAULT_ORGANIZATION, Document

IAM = Product("iam", "/iam/v1alpha1")

QUOTAS = {
    "IamApiKeys": ("iam.api_keys", 50),
    "IamApplications": ("iam.applications", 100),
    "IamPolicies": ("iam.policies", 50),
}
"""Objects of one organization (Scaleway, per-product limits)."""


def new(call: Call, **fields: Any) -> Document:
    """An object with what all of IAM's have: id, dates, organization, name, description, tags and flags."""
    now = call.world.timestamp()
    return {
        "id": call.world.new_id(),
        "name": call.body.get("name") or f"iam-{call.world.new_id()[:8]}",
        "description": call.body.get("description") or "",
        "created_at": now,
        "updated_at": now,
        "organization_id": DEFAULT_ORGANIZATION,
        "editable": True,
        "deletable": True,
        "managed": False,
        "tags": list(call.body.get("tags") or []),
        **fields,
    }


def change(call: Call, document: Document, *fields: str) -> None:
    """Set the fields that the body names; null leaves a field as it is."""
    for name in fields:
        if call.body.get(name) is not None:
            document[name] = call.body[name]
    document["updated_at"] = call.world.timestamp()


def check_quota(call: Call, name: str) -> None:
    """Refuse one more object than the organization may have.

    Raises:
        ApiError: 403 quotas_exceeded.
    """
    table, quota = QUOTAS[name]
    current = len(call.world.tables.get(table, {}))
    if current >= quota:
        raise quotas_exceeded(name, quota, current)


def select(call: Call, documents: Iterable[Document], **fields: str) -> list[Document]:
    """Apply `tag`, `editable` and the filters given as query parameter -> field, which all match exactly.

    A field that is a list matches if it holds one of the values.
    """
    found = list(documents)
    if tag := call.arg("tag"):
        found = [document for document in found if tag in document["tags"]]
    if (editable := call.flag("editable")) is not None:
        found = [document for document in found if document["editable"] is editable]
    for parameter, field in fields.items():
        if wanted := set(call.args(parameter)):
            found = [document for document in found if wanted & _values(document.get(field))]
    return found


def _values(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) else {str(value)}


def listing(call: Call, documents: Iterable[Document], key: str, **options: Any) -> Document:
    """The page that the call asks for, in the order that it asks for (`created_at_asc` unless told)."""
    order = call.arg("order_by") or "created_at_asc"
    field, _, direction = order.rpartition("_")
    field = {"policy_name": "name"}.get(field, field)
    ordered = sorted(documents, key=lambda document: str(document.get(field) or ""), reverse=direction == "desc")
    return page(call, ordered, key, **options)


def expiry(call: Call) -> str | None:
    """The body's `expires_at` in UTC; None if the key is to live for ever.

    Raises:
        ApiError: 400 if it is not a time or lies in the past.
    """
    text = call.body.get("expires_at")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        raise invalid_arguments(("expires_at", "format", "must be a date and time")) from None
    if moment.timestamp() <= call.world.now():
        raise invalid_arguments(("expires_at", "constraint", "must be in the future"))
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
