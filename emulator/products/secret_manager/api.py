"""What secrets and versions share: the product, and finding a secret that is still there."""

from __future__ import annotations

from datetime import datetime

from emulator.errors import invalid_arguments, not_found, precondition_failed
from emulator.routing import Call, Product
from emulator.world import Document

SECRETS = Product("secret-manager", "/secret-manager/v1beta1/regions/{region}")
TABLE = "secret.secrets"

RETENTION_S = 7 * 24 * 3600
"""How long a deleted secret or version can be restored. In real time whatever the latency factor: at 0 a deleted
secret would else be gone at once, and recorded traffic reads deleted secrets."""

TYPES = ("opaque", "certificate", "key_value", "basic_credentials", "database_credentials", "ssh_key")


def find(call: Call) -> Document:
    """The secret that the path names, deleted or not.

    Raises:
        ApiError: 404 if there is none, or the time to restore it is over.
    """
    secret_id = call.params["secret_id"]
    secret = call.require(TABLE, secret_id, "secret")
    if secret["region"] != call.params["region"] or expired(call, secret["deletion_requested_at"], RETENTION_S):
        raise not_found("secret", secret_id)
    return secret


def usable(call: Call) -> Document:
    """The secret that the path names, if it is not deleted.

    Raises:
        ApiError: 404 as `find`; 412 if it is scheduled for deletion.
    """
    secret = find(call)
    if secret["deletion_requested_at"]:
        raise precondition_failed("resource_not_usable", "secret is scheduled for deletion")
    return secret


def expired(call: Call, since: str | None, seconds: float) -> bool:
    """Whether `seconds` have passed since a time as the API writes it; False for None."""
    return since is not None and datetime.fromisoformat(since).timestamp() + seconds <= call.world.now()


def save(call: Call, secret: Document) -> Document:
    """Note that the secret has changed now, and store it."""
    secret["updated_at"] = call.world.timestamp()
    return call.world.put(TABLE, secret)


def check_types(call: Call, **kinds: type) -> None:
    """Refuse body fields of the wrong type; null counts as absent.

    Raises:
        ApiError: 400 invalid_arguments.
    """
    for name, kind in kinds.items():
        value = call.body.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise invalid_arguments((name, "format", f"must be a {kind.__name__}"))
