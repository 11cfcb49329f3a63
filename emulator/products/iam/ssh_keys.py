"""SSH keys: what instances and the bastion of a gateway let in."""

from __future__ import annotations

import base64
import binascii
import hashlib

from emulator.errors import invalid_arguments
from emulator.paging import matching
from emulator.products.account import organization_of
from emulator.products.iam.api import IAM, change, listing, select
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_PROJECT, Document, public

BITS = {
    "ssh-ed25519": 256,
    "ecdsa-sha2-nistp256": 256,
    "ecdsa-sha2-nistp384": 384,
    "ecdsa-sha2-nistp521": 521,
    "sk-ssh-ed25519@openssh.com": 256,
    "sk-ecdsa-sha2-nistp256@openssh.com": 256,
}


@IAM.post("/ssh-keys", call_ms=279)
def create_ssh_key(call: Call) -> Answer:
    """Register a public key; its comment is dropped."""
    public_key, fingerprint = _parse(call.body.get("public_key"))
    project_id = call.body.get("project_id") or DEFAULT_PROJECT
    now = call.world.timestamp()
    document: Document = {
        "id": call.world.new_id(),
        "name": call.body.get("name") or f"key-{call.world.new_id()[:8]}",
        "public_key": public_key,
        "fingerprint": fingerprint,
        "created_at": now,
        "updated_at": now,
        "organization_id": organization_of(call.world, project_id),
        "project_id": project_id,
        "disabled": False,
    }
    return public(call.world.put("iam.ssh_keys", document))


@IAM.get("/ssh-keys", call_ms=80)
def list_ssh_keys(call: Call) -> Answer:
    """Keys by name, project or state."""
    found = select(call, matching(call, call.world.all("iam.ssh_keys")))
    if (disabled := call.flag("disabled")) is not None:
        found = [key for key in found if key["disabled"] is disabled]
    return listing(call, found, "ssh_keys")


@IAM.get("/ssh-keys/{ssh_key_id}", call_ms=66)
def get_ssh_key(call: Call) -> Answer:
    """One key."""
    return public(_key(call))


@IAM.patch("/ssh-keys/{ssh_key_id}", call_ms=90)
def update_ssh_key(call: Call) -> Answer:
    """Rename, disable or enable a key."""
    key = _key(call)
    change(call, key, "name", "disabled")
    return public(call.world.put("iam.ssh_keys", key))


@IAM.delete("/ssh-keys/{ssh_key_id}", call_ms=90)
def delete_ssh_key(call: Call) -> Answer:
    """Forget a key."""
    call.world.remove("iam.ssh_keys", _key(call)["id"])
    return None


def _key(call: Call) -> Document:
    return call.require("iam.ssh_keys", call.params["ssh_key_id"], "ssh_key")


def _parse(text: object) -> tuple[str, str]:
    """The key without its comment, and its fingerprint: size, MD5 and kind."""
    words = text.split() if isinstance(text, str) else []
    try:
        kind, blob = words[0], base64.b64decode(words[1], validate=True)
        named = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode()
        bits = BITS[kind] if kind in BITS else _rsa_bits(blob)
    except (IndexError, KeyError, ValueError, binascii.Error, UnicodeDecodeError):
        kind, named, bits, blob = "", "-", 0, b""
    if kind != named or bits < 256:
        raise invalid_arguments(("public_key", "format", "must be an SSH public key"))
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    pairs = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    return f"{kind} {words[1]}", f"{bits} MD5:{pairs} ({kind})"


def _rsa_bits(blob: bytes) -> int:
    """The size of an RSA key's modulus, its third field."""
    rest = blob
    field = b""
    for _ in range(3):
        size = int.from_bytes(rest[:4], "big")
        field, rest = rest[4 : 4 + size], rest[4 + size :]
    return int.from_bytes(field, "big").bit_length()
