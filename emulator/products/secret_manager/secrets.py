"""Secrets: names, paths, protection, and a week in which a deletion can be taken back."""

from __future__ import annotations

import re

from emulator.errors import already_exists, invalid_arguments, precondition_failed
from emulator.paging import page
from emulator.products.secret_manager.api import (
    RETENTION_S,
    SECRETS,
    TABLE,
    TYPES,
    check_types,
    expired,
    find,
    save,
    usable,
)
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_PROJECT, Document, public

NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
LONGEST_TTL_S = 365 * 24 * 3600


@SECRETS.post("/secrets", call_ms=143)
def create_secret(call: Call) -> Answer:
    """Make a secret without versions. Its name is unique among those that are not deleted, per path."""
    check_types(call, name=str, description=str, path=str, tags=list, type=str, protected=bool, ephemeral_policy=dict)
    body, world = call.body, call.world
    kind = body.get("type") or "opaque"
    if kind not in TYPES:
        kind = "opaque" if kind == "unknown_type" else _refuse("type")
    now = world.timestamp()
    secret: Document = {
        "id": world.new_id(),
        "project_id": body.get("project_id") or DEFAULT_PROJECT,
        "name": _name(body.get("name")),
        "status": "ready",
        "created_at": now,
        "updated_at": now,
        "tags": list(body.get("tags") or []),
        "version_count": 0,
        "description": body.get("description") or "",
        "managed": False,
        "type": kind,
        "protected": bool(body.get("protected")),
        "path": _path(body.get("path")),
        "ephemeral_policy": _policy(body.get("ephemeral_policy")),
        "used_by": [],
        "deletion_requested_at": None,
        "key_id": body.get("key_id"),
        "region": call.params["region"],
        "_versions": [],
    }
    _refuse_taken(call, secret)
    return public(world.put(TABLE, secret))


@SECRETS.get("/secrets", call_ms=85)
def list_secrets(call: Call) -> Answer:
    """Secrets by name, path, tags, type or project; the deleted ones only if `scheduled_for_deletion` says so."""
    found = _chosen(call, deleted=bool(call.flag("scheduled_for_deletion")))
    if path := call.arg("path"):
        found = [secret for secret in found if secret["path"] == _path(path)]
    if name := call.arg("name"):
        found = [secret for secret in found if secret["name"] == name]
    if (ephemeral := call.flag("ephemeral")) is not None:
        found = [secret for secret in found if bool(secret["ephemeral_policy"]) is ephemeral]
    field, _, direction = (call.arg("order_by") or "name_asc").rpartition("_")
    found.sort(key=lambda secret: str(secret.get(field) or ""), reverse=direction == "desc")
    return page(call, found, "secrets")


@SECRETS.get("/secrets/browse")
def browse_secrets(call: Call) -> Answer:
    """The secrets and folders right below a path."""
    prefix = _path(call.arg("prefix"))
    below = prefix.rstrip("/") + "/"
    items: dict[tuple[str, str], Document] = {}
    for secret in _chosen(call, deleted=False):
        dates = {"created_at": secret["created_at"], "updated_at": secret["updated_at"]}
        if secret["path"] == prefix:
            details = {name: secret[name] for name in ("id", "tags", "version_count", "protected", "type")}
            details["ephemeral_policy"] = secret["ephemeral_policy"]
            items["secret", secret["name"]] = {"name": secret["name"], **dates, "secret": details}
        elif secret["path"].startswith(below):
            folder = secret["path"][len(below) :].split("/")[0]
            items.setdefault(("folder", folder), {"name": folder, **dates, "folder": {}})
    ordered = sorted(items.values(), key=lambda item: item["name"], reverse=call.arg("order_by") == "name_desc")
    return {**page(call, ordered, "items"), "current_path": prefix}


@SECRETS.get("/secrets/{secret_id}", call_ms=49)
def get_secret(call: Call) -> Answer:
    """One secret, deleted or not."""
    return public(find(call))


@SECRETS.patch("/secrets/{secret_id}", call_ms=159)
def update_secret(call: Call) -> Answer:
    """Change name, tags, description, path or ephemeral policy."""
    check_types(call, name=str, description=str, path=str, tags=list, ephemeral_policy=dict)
    secret = usable(call)
    changes: Document = {name: call.body[name] for name in ("tags", "description") if call.body.get(name) is not None}
    if call.body.get("name") is not None:
        changes["name"] = _name(call.body["name"])
    if call.body.get("path") is not None:
        changes["path"] = _path(call.body["path"])
    if call.body.get("ephemeral_policy") is not None:
        changes["ephemeral_policy"] = _policy(call.body["ephemeral_policy"])
    _refuse_taken(call, {**secret, **changes})
    secret.update(changes)
    return public(save(call, secret))


@SECRETS.delete("/secrets/{secret_id}", call_ms=76)
def delete_secret(call: Call) -> Answer:
    """Schedule a secret for deletion; for a week it can be restored, and its name is free at once."""
    secret = find(call)
    if secret["protected"]:
        raise precondition_failed("protected_resource", "secret is protected")
    if not secret["deletion_requested_at"]:
        save(call, secret)
        secret["deletion_requested_at"] = secret["updated_at"]
    return None


@SECRETS.post("/secrets/{secret_id}/restore")
def restore_secret(call: Call) -> Answer:
    """Take a deletion back."""
    secret = find(call)
    _refuse_taken(call, secret)
    secret["deletion_requested_at"] = None
    return public(save(call, secret))


@SECRETS.post("/secrets/{secret_id}/protect")
def protect_secret(call: Call) -> Answer:
    """Refuse deletions from now on."""
    secret = usable(call)
    secret["protected"] = True
    return public(save(call, secret))


@SECRETS.post("/secrets/{secret_id}/unprotect")
def unprotect_secret(call: Call) -> Answer:
    """Allow deletions again."""
    secret = usable(call)
    secret["protected"] = False
    return public(save(call, secret))


@SECRETS.post("/secrets/{secret_id}/add-owner")
def add_owner(call: Call) -> Answer:
    """Note which product uses the secret."""
    secret = usable(call)
    product = call.body.get("product")
    if not product:
        raise invalid_arguments(("product", "required", ""))
    if product not in secret["used_by"]:
        secret["used_by"].append(product)
    save(call, secret)
    return None


@SECRETS.get("/tags")
def list_tags(call: Call) -> Answer:
    """Every tag in use."""
    tags = sorted({tag for secret in _chosen(call, deleted=False) for tag in secret["tags"]})
    return page(call, tags, "tags", show=str)


@SECRETS.get("/secret-types")
def list_types(call: Call) -> Answer:
    """Every type of secret."""
    return page(call, TYPES, "types", show=str)


def _chosen(call: Call, *, deleted: bool) -> list[Document]:
    """The region's secrets, deleted or not, of the project, tags and type that the call asks for."""
    found = [
        secret
        for secret in call.world.where(TABLE, region=call.params["region"])
        if bool(secret["deletion_requested_at"]) is deleted
        and not expired(call, secret["deletion_requested_at"], RETENTION_S)
    ]
    if project := call.arg("project_id"):
        found = [secret for secret in found if secret["project_id"] == project]
    if tags := set(call.args("tags")):
        found = [secret for secret in found if tags <= set(secret["tags"])]
    if (kind := call.arg("type")) in TYPES:
        found = [secret for secret in found if secret["type"] == kind]
    return found


def _refuse(argument: str) -> str:
    raise invalid_arguments((argument, "constraint", "invalid value"))


def _refuse_taken(call: Call, secret: Document) -> None:
    place = {name: secret[name] for name in ("region", "project_id", "path", "name")}
    for other in call.world.where(TABLE, **place):
        if other["id"] != secret["id"] and not other["deletion_requested_at"]:
            raise already_exists("secret", other["id"], "a secret of this name exists in this path")


def _name(text: str | None) -> str:
    if not text:
        raise invalid_arguments(("name", "required", ""))
    if not NAME.fullmatch(text):
        raise invalid_arguments(("name", "format", "letters, digits, hyphens, underscores and dots only"))
    return text


def _path(text: str | None) -> str:
    """The path without the slash at its end; the root is "/"."""
    if not text:
        return "/"
    if not text.startswith("/") or "//" in text:
        raise invalid_arguments(("path", "format", "must be an absolute path"))
    return text.rstrip("/") or "/"


def _policy(policy: Document | None) -> Document | None:
    if not policy:
        return None
    if policy.get("action") not in ("delete", "disable"):
        _refuse("ephemeral_policy.action")
    ttl = policy.get("time_to_live")
    if ttl is not None and not 1 <= seconds(str(ttl)) <= LONGEST_TTL_S:
        _refuse("ephemeral_policy.time_to_live")
    if ttl is None and not policy.get("expires_once_accessed"):
        raise invalid_arguments(("ephemeral_policy", "constraint", "must expire by time or by access"))
    return {
        "time_to_live": ttl,
        "expires_once_accessed": policy.get("expires_once_accessed"),
        "action": policy["action"],
    }


def seconds(duration: str) -> float:
    """A duration as the API writes it ("3600s", "1.500s"), in seconds; 0 for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", duration)
    return float(match[1]) if match else 0.0
