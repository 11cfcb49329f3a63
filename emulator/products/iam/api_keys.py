"""API keys: the secret is shown once, in the answer that creates the key."""

from __future__ import annotations

import string

from emulator.auth import open_window
from emulator.errors import not_found
from emulator.products.iam.api import IAM, change, check_quota, expiry, listing, select
from emulator.products.iam.users import OWNER
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_PROJECT, Document, World, public, seed

ALPHABET = string.ascii_uppercase + string.digits
OWNERS_KEY = "SCWLOCAL000000000000"
"""The key that is there at the start, the owner's. Its secret half is any that IAM has not handed out."""


@seed
def owners_key(world: World) -> None:
    """Whoever asks whose key it is that the emulator proposes, is told."""
    world.put("iam.api_keys", _new(world, user_id=OWNER), OWNERS_KEY)


@IAM.post("/api-keys", call_ms=273)
def create_api_key(call: Call) -> Answer:
    """Make a key for an application or a user (the caller, if neither is named)."""
    check_quota(call, "IamApiKeys")
    world, body = call.world, call.body
    application_id, user_id = body.get("application_id"), body.get("user_id")
    if application_id:
        if world.find("iam.applications", application_id) is None:
            raise not_found("application", application_id)
    elif user_id and world.find("iam.users", user_id) is None:
        raise not_found("user", user_id)
    project_id = body.get("default_project_id") or DEFAULT_PROJECT
    if world.find("account.projects", project_id) is None:
        raise not_found("project", project_id)
    secret = world.new_id()
    key = _new(
        world,
        access_key="SCW" + "".join(world.random.choices(ALPHABET, k=17)),
        description=body.get("description") or "",
        expires_at=expiry(call),
        default_project_id=project_id,
        _secret_key=secret,
    )
    key |= {"application_id": application_id} if application_id else {"user_id": user_id or OWNER}
    open_window(world, key)
    world.put("iam.api_keys", key, key["access_key"])
    world.put("_iam.secret_keys", {"access_key": key["access_key"]}, secret)
    _count(world, application_id)
    return {**public(key), "secret_key": secret}


@IAM.get("/api-keys", call_ms=402)
def list_api_keys(call: Call) -> Answer:
    """Keys by bearer, description, access key or expiry."""
    found = select(
        call,
        call.world.all("iam.api_keys"),
        application_id="application_id",
        user_id="user_id",
        access_key="access_key",
        access_keys="access_key",
    )
    if bearer := call.arg("bearer_id"):
        found = [key for key in found if bearer in (key.get("application_id"), key.get("user_id"))]
    if (kind := call.arg("bearer_type")) in ("application", "user"):
        found = [key for key in found if f"{kind}_id" in key]
    if description := call.arg("description"):
        found = [key for key in found if description in key["description"]]
    if (expired := call.flag("expired")) is not None:
        now = call.world.timestamp()
        found = [key for key in found if (key["expires_at"] is not None and key["expires_at"] <= now) is expired]
    return listing(call, found, "api_keys")


@IAM.get("/api-keys/{access_key}", call_ms=173)
def get_api_key(call: Call) -> Answer:
    """One key, without its secret."""
    return public(_key(call))


@IAM.patch("/api-keys/{access_key}")
def update_api_key(call: Call) -> Answer:
    """Change description, default project or expiry."""
    key = _key(call)
    if call.body.get("expires_at") is not None:
        key["expires_at"] = expiry(call)
    change(call, key, "description", "default_project_id")
    return public(call.world.put("iam.api_keys", key, key["access_key"]))


@IAM.delete("/api-keys/{access_key}", call_ms=172)
def delete_api_key(call: Call) -> Answer:
    """Revoke a key: its secret is refused from now on."""
    key = _key(call)
    call.world.remove("iam.api_keys", key["access_key"])
    _count(call.world, key.get("application_id"))
    return None


def _new(world: World, **fields: object) -> Document:
    now = world.timestamp()
    return {
        "access_key": OWNERS_KEY,
        "secret_key": None,
        "description": "",
        "created_at": now,
        "updated_at": now,
        "expires_at": None,
        "default_project_id": DEFAULT_PROJECT,
        "editable": True,
        "deletable": True,
        "managed": False,
        "creation_ip": "127.0.0.1",
        **fields,
    }


def _key(call: Call) -> Document:
    return call.require("iam.api_keys", call.params["access_key"], "access_key")


def _count(world: World, application_id: str | None) -> None:
    application = world.find("iam.applications", application_id) if application_id else None
    if application is not None:
        application["nb_api_keys"] = sum(1 for _ in world.where("iam.api_keys", application_id=application_id))
        world.put("iam.applications", application)
