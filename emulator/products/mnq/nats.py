"""NATS accounts and their credentials, kept so that a project that has them can be described."""

from __future__ import annotations

import hashlib

from emulator.errors import not_found
from emulator.paging import page
from emulator.products.mnq.activation import project_of
from emulator.products.mnq.windows import FLAPPING_CREDENTIALS, flaps, namespace_id
from emulator.routing import Answer, Call, Product
from emulator.world import Document, public

product = Product("mnq", "/mnq/v1beta1/regions/{region}", "namespace", any_project=True)

ACCOUNTS, CREDENTIALS = "mnq.nats_accounts", "mnq.nats_credentials"


def _account(call: Call) -> Document:
    key = call.params["nats_account_id"]
    document = call.world.find(ACCOUNTS, key)
    if document is None:
        raise not_found("namespace", key)
    return document


def _credentials(call: Call) -> Document:
    key = call.params["nats_credentials_id"]
    document = call.world.find(CREDENTIALS, key)
    if document is None:
        raise not_found("credentials", key)
    return document


@product.post("/nats-accounts", call_ms=248)
def create_account(call: Call) -> Answer:
    """A new account; its id is its public key."""
    now = call.world.timestamp()
    account = {
        "created_at": now,
        "endpoint": f"nats://nats.mnq.{call.params['region']}.scaleway.com:4222",
        "id": namespace_id(call.world),
        "name": call.body.get("name") or f"nats-{call.world.new_id()[:8]}",
        "project_id": project_of(call, call.body.get("project_id")),
        "region": call.params["region"],
        "updated_at": now,
        "_since": call.world.now(),
    }
    return public(call.world.put(ACCOUNTS, account))


@product.get("/nats-accounts")
def list_accounts(call: Call) -> Answer:
    """The accounts of a project, or all."""
    project = call.arg("project_id")
    found = [account for account in call.world.all(ACCOUNTS) if project in (None, account["project_id"])]
    return page(call, found, "nats_accounts")


@product.get("/nats-accounts/{nats_account_id}", call_ms=119)
def get_account(call: Call) -> Answer:
    """One account; new ones are not always found."""
    account = _account(call)
    if flaps(call.world, account["_since"], FLAPPING_CREDENTIALS):
        raise not_found("namespace", account["id"])
    return public(account)


@product.patch("/nats-accounts/{nats_account_id}")
def patch_account(call: Call) -> Answer:
    """Rename an account."""
    account = _account(call)
    account["name"] = call.body.get("name") or account["name"]
    account["updated_at"] = call.world.timestamp()
    return public(call.world.put(ACCOUNTS, account))


@product.delete("/nats-accounts/{nats_account_id}", call_ms=355)
def delete_account(call: Call) -> Answer:
    """Delete an account and its credentials."""
    account = _account(call)
    for credentials in list(call.world.where(CREDENTIALS, nats_account_id=account["id"])):
        call.world.remove(CREDENTIALS, credentials["id"])
    call.world.remove(ACCOUNTS, account["id"])
    return None


@product.post("/nats-credentials", call_ms=183)
def create_credentials(call: Call) -> Answer:
    """New credentials; the file is in this answer only."""
    account = call.world.find(ACCOUNTS, str(call.body.get("nats_account_id")))
    if account is None:
        raise not_found("namespace", str(call.body.get("nats_account_id")))
    content = f"-----BEGIN NATS USER SEED-----\n{namespace_id(call.world)}\n------END NATS USER SEED------\n"
    now = call.world.timestamp()
    credentials = {
        "checksum": hashlib.sha256(content.encode()).hexdigest(),
        "created_at": now,
        "credentials": None,
        "id": call.world.new_id(),
        "name": call.body.get("name") or f"nats-credentials-{call.world.new_id()[:8]}",
        "nats_account_id": account["id"],
        "region": call.params["region"],
        "updated_at": now,
        "_since": call.world.now(),
    }
    call.world.put(CREDENTIALS, credentials)
    return public(credentials) | {"credentials": {"content": content, "name": "user.creds"}}


@product.get("/nats-credentials")
def list_credentials(call: Call) -> Answer:
    """The credentials of an account or of a project, or all."""
    account, project = call.arg("nats_account_id"), call.arg("project_id")
    accounts = {row["id"] for row in call.world.all(ACCOUNTS) if project in (None, row["project_id"])}
    found = [row for row in call.world.all(CREDENTIALS) if row["nats_account_id"] in accounts]
    return page(call, [row for row in found if account in (None, row["nats_account_id"])], "nats_credentials")


@product.get("/nats-credentials/{nats_credentials_id}", call_ms=57)
def get_credentials(call: Call) -> Answer:
    """One, without its file."""
    credentials = _credentials(call)
    if flaps(call.world, credentials["_since"], FLAPPING_CREDENTIALS):
        raise not_found("namespace", credentials["nats_account_id"])
    return public(credentials)


@product.delete("/nats-credentials/{nats_credentials_id}", call_ms=197)
def delete_credentials(call: Call) -> Answer:
    """Delete credentials."""
    call.world.remove(CREDENTIALS, _credentials(call)["id"])
    return None
