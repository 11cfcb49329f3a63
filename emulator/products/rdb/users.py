"""The users of an instance, and the rules for names and passwords."""

from __future__ import annotations

import re

from emulator.errors import ApiError, already_exists, invalid_arguments, not_found
from emulator.paging import page
from emulator.products.rdb.model import INSTANCES, PREFIX, instance_of, running_instance_of
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("rdb", PREFIX)

NAME = re.compile(r"[a-zA-Z0-9_$-]{1,63}")
SYSTEM_NAMES = re.compile(r"(_rdb|pg_)\w*|postgres|template[01]")


def check_name(argument: str, name: str) -> None:
    """Refuse names that PostgreSQL or Scaleway keeps for itself, or does not take (400)."""
    if not NAME.fullmatch(name) or SYSTEM_NAMES.fullmatch(name):
        raise invalid_arguments((argument, "constraint", f"{name!r} cannot be used as a name"))


def check_password(password: str) -> None:
    """Refuse passwords that break Scaleway's rule (400): 8 to 128 characters of four kinds."""
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^a-zA-Z0-9]")
    if not 8 <= len(password) <= 128 or not all(re.search(kind, password) for kind in kinds):
        rule = "must be 8 to 128 characters with a lower and an upper case letter, a digit and a special character"
        raise invalid_arguments(("password", "constraint", rule))


def named(documents: list[Document], name: str) -> Document | None:
    """The document of that name."""
    return next((document for document in documents if document["name"] == name), None)


def ordered(call: Call, documents: list[Document]) -> list[Document]:
    """Those of the name that was asked for, or all, by name and in the order that was asked for."""
    wanted = call.arg("name")
    found = [document for document in documents if not wanted or document["name"] == wanted]
    descending = (call.arg("order_by") or "").endswith("_desc")
    return sorted(found, key=lambda document: str(document["name"]), reverse=descending)


def user_of(instance: Document, name: str) -> Document:
    """The user of that name; 404 if there is none."""
    user = named(instance["_users"], name)
    if user is None:
        raise not_found("user", name)
    return user


def _shown(user: Document) -> Document:
    return {"name": user["name"], "is_admin": user["is_admin"]}


@product.get("/instances/{instance_id}/users", call_ms=158)
def list_users(call: Call) -> Answer:
    """Users, without passwords."""
    return page(call, ordered(call, instance_of(call)["_users"]), "users", show=_shown)


@product.post("/instances/{instance_id}/users", call_ms=178)
def create_user(call: Call) -> Answer:
    """Make a user."""
    instance, name = running_instance_of(call), str(call.body.get("name") or "")
    check_name("name", name)
    check_password(str(call.body.get("password") or ""))
    if named(instance["_users"], name):
        raise already_exists("user", name, "user name must be unique")
    user = {"name": name, "is_admin": bool(call.body.get("is_admin")), "_password": call.body["password"]}
    instance["_users"].append(user)
    call.world.put(INSTANCES, instance)
    return _shown(user)


@product.patch("/instances/{instance_id}/users/{name}", call_ms=277)
def update_user(call: Call) -> Answer:
    """Change a user's password or whether it is an administrator."""
    instance = running_instance_of(call)
    user = user_of(instance, call.params["name"])
    if call.body.get("password") is not None:
        check_password(str(call.body["password"]))
        user["_password"] = call.body["password"]
    if call.body.get("is_admin") is not None:
        user["is_admin"] = bool(call.body["is_admin"])
    call.world.put(INSTANCES, instance)
    return _shown(user)


@product.delete("/instances/{instance_id}/users/{name}", call_ms=163)
def delete_user(call: Call) -> Answer:
    """Drop a user, who must hold no privilege and own no database."""
    instance = running_instance_of(call)
    user = user_of(instance, call.params["name"])
    owns = any(database["owner"] == user["name"] for database in instance["_databases"])
    holds = any(users.get(user["name"], "none") != "none" for users in instance["_privileges"].values())
    if owns or holds:
        raise ApiError(409, {"message": "User cannot be dropped because some objects depend on it"})
    instance["_users"].remove(user)
    for users in instance["_privileges"].values():
        users.pop(user["name"], None)
    call.world.put(INSTANCES, instance)
    return None
