"""Users: the owner of the organization, who is always there, and its members."""

from __future__ import annotations

from emulator.errors import invalid_arguments, permissions_denied
from emulator.products.iam.api import IAM, change, listing, select
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_ORGANIZATION, Document, World, public, seed

OWNER = "33333333-3333-4333-8333-333333333333"
"""The user in whose name the printed key acts."""


def _user(key: str, now: str, **fields: object) -> Document:
    return {
        "id": key,
        "email": "",
        "username": "",
        "first_name": "",
        "last_name": "",
        "phone_number": "",
        "locale": "en_US",
        "created_at": now,
        "updated_at": now,
        "organization_id": DEFAULT_ORGANIZATION,
        "deletable": True,
        "last_login_at": None,
        "type": "member",
        "two_factor_enabled": False,
        "status": "activated",
        "mfa": False,
        "account_root_user_id": "",
        "tags": [],
        "locked": False,
        **fields,
    }


@seed
def owner(world: World) -> None:
    """Every organization has one owner."""
    now = world.timestamp()
    document = _user(
        OWNER,
        now,
        email="owner@example.com",
        username="owner@example.com",
        type="owner",
        deletable=False,
        last_login_at=now,
        two_factor_enabled=True,
        mfa=True,
        account_root_user_id=OWNER,
    )
    world.put("iam.users", document)


@IAM.post("/users", call_ms=613)
def create_user(call: Call) -> Answer:
    """Make a member."""
    member = call.body.get("member")
    if not isinstance(member, dict) or not member.get("email"):
        raise invalid_arguments(("member.email", "required", ""))
    fields = {
        name: member[name]
        for name in ("email", "first_name", "last_name", "phone_number", "locale")
        if member.get(name)
    }
    fields |= {"username": member.get("username") or member["email"], "tags": list(call.body.get("tags") or [])}
    document = _user(call.world.new_id(), call.world.timestamp(), **fields)
    return public(call.world.put("iam.users", document))


@IAM.get("/users", call_ms=66)
def list_users(call: Call) -> Answer:
    """Users by id, tag, type or second factor."""
    found = select(call, call.world.all("iam.users"), user_ids="id")
    if (kind := call.arg("type")) in ("owner", "member"):
        found = [user for user in found if user["type"] == kind]
    if (mfa := call.flag("mfa")) is not None:
        found = [user for user in found if user["mfa"] is mfa]
    return listing(call, found, "users")


@IAM.get("/users/{user_id}", call_ms=102)
def get_user(call: Call) -> Answer:
    """One user."""
    return public(_find(call))


@IAM.patch("/users/{user_id}", call_ms=168)
def update_user(call: Call) -> Answer:
    """Change profile or tags."""
    user = _find(call)
    change(call, user, "email", "first_name", "last_name", "phone_number", "locale", "tags")
    return public(call.world.put("iam.users", user))


@IAM.post("/users/{user_id}/update-username", call_ms=175)
def update_username(call: Call) -> Answer:
    """Change the name that the user logs in with."""
    user = _find(call)
    if not call.body.get("username"):
        raise invalid_arguments(("username", "required", ""))
    change(call, user, "username")
    return public(call.world.put("iam.users", user))


@IAM.delete("/users/{user_id}", call_ms=300)
def delete_user(call: Call) -> Answer:
    """Remove a member with the member's keys."""
    user = _find(call)
    if not user["deletable"]:
        raise permissions_denied("user", "delete")
    for key in list(call.world.where("iam.api_keys", user_id=user["id"])):
        call.world.remove("iam.api_keys", key["access_key"])
    for group in call.world.all("iam.groups"):
        if user["id"] in group["user_ids"]:
            group["user_ids"].remove(user["id"])
            call.world.put("iam.groups", group)
    call.world.remove("iam.users", user["id"])
    return None


def _find(call: Call) -> Document:
    return call.require("iam.users", call.params["user_id"], "user")
