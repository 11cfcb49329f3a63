"""Versions of a secret: the payload, numbered from 1."""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from emulator.errors import invalid_arguments, not_found, precondition_failed, quotas_exceeded
from emulator.paging import page
from emulator.products.secret_manager.api import RETENTION_S, SECRETS, TABLE, check_types, expired, find, usable
from emulator.products.secret_manager.secrets import seconds
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_PROJECT, Document, public

LARGEST = 64 * 1024
"""Bytes of one version's payload, decoded."""
VERSIONS_QUOTA = 20
"""Versions of one secret, deleted ones apart."""


@SECRETS.post("/secrets/{secret_id}/versions", call_ms=299)
def create_version(call: Call) -> Answer:
    """Add a version, which is the latest from now on."""
    check_types(call, data=str, description=str, disable_previous=bool, data_crc32=int)
    secret = usable(call)
    data, crc = _payload(call, secret)
    kept = [version for version in secret["_versions"] if version["status"] != "scheduled_for_deletion"]
    if len(kept) >= VERSIONS_QUOTA:
        raise quotas_exceeded("SecretManagerVersions", VERSIONS_QUOTA, len(kept))
    now = call.world.timestamp()
    for version in secret["_versions"]:
        if version["latest"]:
            version["latest"] = False
            if call.body.get("disable_previous") and version["status"] == "enabled":
                version.update(status="disabled", updated_at=now)
    version = {
        "revision": len(secret["_versions"]) + 1,
        "secret_id": secret["id"],
        "status": "enabled",
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
        "description": call.body.get("description") or "",
        "latest": True,
        "ephemeral_properties": _ephemeral(call, secret["ephemeral_policy"]),
        "deletion_requested_at": None,
        "region": secret["region"],
        "_data": data,
        "_crc": crc,
    }
    secret["_versions"].append(version)
    _store(call, secret)
    return public(version)


@SECRETS.get("/secrets/{secret_id}/versions", call_ms=51)
def list_versions(call: Call) -> Answer:
    """Versions, the newest first."""
    secret = find(call)
    for version in secret["_versions"]:
        _age(call, secret, version)
    wanted = set(call.args("status")) - {"unknown_status"}
    found = [version for version in reversed(secret["_versions"]) if not wanted or version["status"] in wanted]
    return page(call, found, "versions")


@SECRETS.get("/secrets/{secret_id}/versions/{revision}", call_ms=46)
def get_version(call: Call) -> Answer:
    """One version, without its payload."""
    return public(_version(call, find(call)))


@SECRETS.patch("/secrets/{secret_id}/versions/{revision}", call_ms=172)
def update_version(call: Call) -> Answer:
    """Change the description."""
    check_types(call, description=str)
    secret = usable(call)
    version = _version(call, secret)
    if call.body.get("description") is not None:
        version["description"] = call.body["description"]
    return _changed(call, secret, version)


@SECRETS.delete("/secrets/{secret_id}/versions/{revision}", call_ms=95)
def delete_version(call: Call) -> Answer:
    """Schedule a version for deletion; for a week it can be restored."""
    secret = usable(call)
    version = _version(call, secret)
    if version["status"] != "scheduled_for_deletion":
        version.update(status="scheduled_for_deletion", deletion_requested_at=call.world.timestamp())
        _changed(call, secret, version)
    return None


@SECRETS.post("/secrets/{secret_id}/versions/{revision}/restore")
def restore_version(call: Call) -> Answer:
    """Take a deletion back."""
    secret = usable(call)
    version = _version(call, secret)
    version.update(status="enabled", deletion_requested_at=None)
    return _changed(call, secret, version)


@SECRETS.post("/secrets/{secret_id}/versions/{revision}/enable")
def enable_version(call: Call) -> Answer:
    """Allow access again."""
    return _switch(call, "enabled")


@SECRETS.post("/secrets/{secret_id}/versions/{revision}/disable")
def disable_version(call: Call) -> Answer:
    """Refuse access from now on."""
    return _switch(call, "disabled")


@SECRETS.get("/secrets/{secret_id}/versions/{revision}/access", call_ms=74)
def access_version(call: Call) -> Answer:
    """The payload of one version."""
    return _access(call, usable(call))


@SECRETS.get("/secrets-by-path/versions/{revision}/access", call_ms=74)
def access_version_by_path(call: Call) -> Answer:
    """The payload of one version of the secret at a path."""
    name = call.arg("secret_name")
    if not name:
        raise invalid_arguments(("secret_name", "required", ""))
    place = {
        "region": call.params["region"],
        "project_id": call.arg("project_id") or DEFAULT_PROJECT,
        "path": (call.arg("secret_path") or "/").rstrip("/") or "/",
        "name": name,
    }
    for secret in call.world.where(TABLE, **place):
        if not secret["deletion_requested_at"]:
            return _access(call, secret)
    raise not_found("secret", name)


def _access(call: Call, secret: Document) -> Answer:
    version = _version(call, secret)
    if version["status"] != "enabled":
        raise precondition_failed("resource_not_usable", f"version is {version['status']}")
    answer = {
        "secret_id": secret["id"],
        "revision": version["revision"],
        "data": version["_data"],
        "data_crc32": version["_crc"],
        "type": secret["type"],
    }
    ephemeral = version["ephemeral_properties"]
    if ephemeral and ephemeral["expires_once_accessed"]:
        _end(call, secret, version)
    return answer


def _switch(call: Call, status: str) -> Answer:
    secret = usable(call)
    version = _version(call, secret)
    if version["status"] == "scheduled_for_deletion":
        raise precondition_failed("resource_not_usable", "version is scheduled for deletion")
    version["status"] = status
    return _changed(call, secret, version)


def _version(call: Call, secret: Document) -> Document:
    """The version that the path names: a number, "latest" or "latest_enabled"."""
    revision = call.params["revision"]
    if revision not in ("latest", "latest_enabled") and not revision.isdigit():
        raise invalid_arguments(("revision", "format", "must be a number, latest or latest_enabled"))
    versions: list[Document] = secret["_versions"]
    for version in reversed(versions):
        _age(call, secret, version)
        if expired(call, version["deletion_requested_at"], RETENTION_S):
            continue
        matches = {"latest": version["latest"], "latest_enabled": version["status"] == "enabled"}
        if matches.get(revision, str(version["revision"]) == revision):
            return version
    raise not_found("secret_version", revision)


def _age(call: Call, secret: Document, version: Document) -> None:
    """Let the ephemeral policy act once the version's time is over."""
    ephemeral = version["ephemeral_properties"]
    if ephemeral and version["status"] == "enabled" and expired(call, ephemeral["expires_at"], 0):
        _end(call, secret, version)


def _end(call: Call, secret: Document, version: Document) -> None:
    if version["ephemeral_properties"]["action"] == "disable":
        version["status"] = "disabled"
    else:
        version.update(status="scheduled_for_deletion", deletion_requested_at=call.world.timestamp())
    _changed(call, secret, version)


def _changed(call: Call, secret: Document, version: Document) -> Answer:
    version["updated_at"] = call.world.timestamp()
    _store(call, secret)
    return public(version)


def _store(call: Call, secret: Document) -> None:
    secret["version_count"] = len(secret["_versions"])
    call.world.put(TABLE, secret)


def _ephemeral(call: Call, policy: Document | None) -> Document | None:
    if policy is None:
        return None
    ttl = policy["time_to_live"]
    return {
        "expires_at": call.world.timestamp(call.world.now() + seconds(ttl)) if ttl else None,
        "expires_once_accessed": policy["expires_once_accessed"],
        "action": policy["action"],
    }


def _payload(call: Call, secret: Document) -> tuple[str, int | None]:
    """The payload in base64 and its checksum, if the caller sent one.

    Raises:
        ApiError: 400 if it is absent, not base64, too large, damaged or not of the secret's type.
    """
    text = call.body.get("data")
    if not text:
        raise invalid_arguments(("data", "required", ""))
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise invalid_arguments(("data", "format", "must be base64")) from None
    if len(data) > LARGEST:
        raise invalid_arguments(("data", "constraint", f"must be at most {LARGEST} bytes"))
    crc = call.body.get("data_crc32")
    if crc is not None and crc != zlib.crc32(data):
        raise invalid_arguments(("data_crc32", "constraint", "does not match the data"))
    if secret["type"] == "key_value":
        _check_key_value(data)
    return text, crc


def _check_key_value(data: bytes) -> None:
    """Refuse JSON that is not an object of strings, in the words of the real API's schema check."""
    try:
        content = json.loads(data)
    except ValueError:
        return
    names = {dict: "object", list: "array", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    values = list(content.items()) if isinstance(content, dict) else []
    for key, value in values:
        if not isinstance(value, str):
            text = f"- {key}: Invalid type. Expected: string, given: {names[type(value)]}\n"
            raise invalid_arguments(("data", "format", text))
