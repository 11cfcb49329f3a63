"""Credentials of SQS and SNS: an access key, a secret that is shown once, and three permissions."""

from __future__ import annotations

import hashlib
import string
from typing import Any

from emulator.errors import invalid_arguments, not_found
from emulator.paging import page
from emulator.products.mnq.activation import SERVICES, active, project_of
from emulator.products.mnq.windows import FLAPPING_CREDENTIALS, flaps
from emulator.routing import Answer, Call, Product, Reply
from emulator.world import DEFAULT_PROJECT, Document, public

product = Product("mnq", "/mnq/v1beta1/regions/{region}", "namespace", any_project=True)

PERMISSIONS = ("can_manage", "can_publish", "can_receive")
_KEY_LETTERS = string.ascii_letters + string.digits


def _permissions(sent: dict[str, Any] | None, before: dict[str, bool]) -> dict[str, bool]:
    """Permissions after a request: what it leaves out, or sends as null, stays."""
    given = {key: value for key, value in (sent or {}).items() if key in PERMISSIONS and value is not None}
    return before | {key: bool(value) for key, value in given.items()}


def _without_secret(document: Document) -> Document:
    return public(document) | {"secret_key": ""}


def _require(call: Call, service: str) -> Document:
    key = call.params["credentials_id"]
    document = call.world.find(f"mnq.{service}_credentials", key)
    if document is None:
        raise not_found("credentials", key)
    return document


def _create(call: Call, service: str) -> Answer:
    world = call.world
    project_id = project_of(call, call.body.get("project_id"))
    if not active(world, service, project_id):
        raise not_found(f"Mnq{service.upper()}Namespace", project_id)
    name = call.body.get("name") or f"{service}-credentials-{world.new_id()[:8]}"
    if len(name) > 64:
        raise invalid_arguments(("name", "constraint", "the name must be at most 64 characters long"))
    secret = "".join(world.random.choices(_KEY_LETTERS, k=64))
    now = world.timestamp()
    document = {
        "access_key": "".join(world.random.choices(_KEY_LETTERS, k=20)),
        "created_at": now,
        "id": world.new_id(),
        "name": name,
        "permissions": _permissions(call.body.get("permissions"), dict.fromkeys(PERMISSIONS, False)),
        "project_id": project_id,
        "region": call.params["region"],
        "secret_checksum": hashlib.sha256(secret.encode()).hexdigest(),
        "updated_at": now,
        "_secret_key": secret,
        "_since": world.now(),
    }
    world.put(f"mnq.{service}_credentials", document)
    return public(document) | {"secret_key": secret}


def _list(call: Call, service: str) -> Answer:
    found = call.world.all(f"mnq.{service}_credentials")
    if project := call.arg("project_id"):
        found = [document for document in found if document["project_id"] == project]
    order = call.arg("order_by") or "created_at_asc"
    field = order.rsplit("_", 1)[0]
    found.sort(key=lambda document: str(document.get(field, "")), reverse=order.endswith("_desc"))
    return page(call, found, f"{service}_credentials", show=_without_secret)


def _get(call: Call, service: str) -> Answer:
    document = _require(call, service)
    if flaps(call.world, document["_since"], FLAPPING_CREDENTIALS):
        info = call.world.find(f"mnq.{service}", document["project_id"] or DEFAULT_PROJECT)
        raise not_found("namespace", info["_namespace"] if info else "")
    return _without_secret(document)


def _patch(call: Call, service: str) -> Answer:
    document = _require(call, service)
    document["name"] = call.body.get("name") or document["name"]
    document["permissions"] = _permissions(call.body.get("permissions"), document["permissions"])
    document["updated_at"] = call.world.timestamp()
    call.world.put(f"mnq.{service}_credentials", document)
    return _without_secret(document)


def _delete(call: Call, service: str) -> Answer:
    document = _require(call, service)
    call.world.remove(f"mnq.{service}_credentials", document["id"])
    return Reply(status=204)


def _register(service: str) -> None:
    path = f"/{service}-credentials"

    @product.post(path, call_ms=144)
    def create(call: Call) -> Answer:
        return _create(call, service)

    @product.get(path)
    def list_all(call: Call) -> Answer:
        return _list(call, service)

    @product.get(f"{path}/{{credentials_id}}", call_ms=79)
    def get(call: Call) -> Answer:
        return _get(call, service)

    @product.patch(f"{path}/{{credentials_id}}", call_ms=180)
    def patch(call: Call) -> Answer:
        return _patch(call, service)

    @product.delete(f"{path}/{{credentials_id}}", call_ms=126)
    def delete(call: Call) -> Answer:
        return _delete(call, service)


for _service in SERVICES:
    _register(_service)
