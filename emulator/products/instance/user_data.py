"""User data: what a server reads about itself at boot; key `cloud-init` is the first boot's script."""

from __future__ import annotations

import base64

from emulator.errors import not_found
from emulator.products.instance.api import INSTANCE, constraint, find
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World

LARGEST_CLOUD_INIT = 127_998
LARGEST_VALUE = 65_536
"""Bytes that a key other than cloud-init can hold."""
HOST_KEYS = "ssh-host-fingerprints"
"""Under this key Scaleway's images publish their SSH host keys at each boot (image-tools issue 36)."""


def content(server: Document, key: str) -> bytes | None:
    """The bytes stored under a key of a server, or None."""
    stored = server["_user_data"].get(key)
    return None if stored is None else base64.b64decode(stored)


def store(world: World, server: Document, key: str, value: bytes) -> None:
    """Set a key of a server."""
    server["_user_data"][key] = base64.b64encode(value).decode()
    world.put("instance.servers", server)


def _server(call: Call) -> Document:
    return find(call, "server", call.params["server_id"])


@INSTANCE.get("/servers/{server_id}/user_data")
def list_user_data(call: Call) -> Answer:
    """The keys that are set."""
    return {"user_data": list(_server(call)["_user_data"])}


@INSTANCE.get("/servers/{server_id}/user_data/{key}")
def get_user_data(call: Call) -> Answer:
    """The value of a key, as raw bytes."""
    value = content(_server(call), call.params["key"])
    if value is None:
        raise not_found("instance_user_data", call.params["key"])
    return Reply(value)


@INSTANCE.patch("/servers/{server_id}/user_data/{key}", call_ms=123)
def set_user_data(call: Call) -> Answer:
    """Set a key to the raw body. A running server reads it at its next boot; cloud-init only runs at the first one."""
    server, key = _server(call), call.params["key"]
    limit = LARGEST_CLOUD_INIT if key == "cloud-init" else LARGEST_VALUE
    if len(call.raw) > limit:
        raise constraint("content", f"value must be at most {limit} bytes")
    store(call.world, server, key, call.raw)
    return None


@INSTANCE.delete("/servers/{server_id}/user_data/{key}")
def delete_user_data(call: Call) -> Answer:
    """Forget a key."""
    server = _server(call)
    if server["_user_data"].pop(call.params["key"], None) is None:
        raise not_found("instance_user_data", call.params["key"])
    call.world.put("instance.servers", server)
    return None
