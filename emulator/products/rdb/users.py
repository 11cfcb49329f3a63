"""What an instance holds: databases, users and their privileges."""

from __future__ import annotations

import re

from emulator.errors import ApiError, already_exists, invalid_arguments, not_found
from emulator.paging import page
from emulator.products.rdb.model import INSTANCES, PREFIX, SUPERADMIN, instance_of, running_instance_of
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("rdb", PREFIX)

NAME = re.compile(r"[a-zA-Z0-9_$-]{1,63}")
SYSTEM_NAMES = re.compile(r"(_rdb|pg_)\w*|postgres|template[01]")
PERMISSIONS = {"readonly", "readwrite", "all", "custom", "none"}
EMPTY_DATABASE_BYTES = 7_739_059

PRIVILEGE_WRITE = 0.15
"""Seconds within which a second privilege write on the same instance collides with the first."""


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


def _ordered(call: Call, documents: list[Document], field: str = "name") -> list[Document]:
    wanted = call.arg("name")
    found = [document for document in documents if not wanted or document["name"] == wanted]
    descending = (call.arg("order_by") or "").endswith("_desc")
    return sorted(found, key=lambda document: str(document[field]), reverse=descending)


# -- databases -------------------------------------------------------------------------------------------------


@product.get("/instances/{instance_id}/databases", call_ms=173)
def list_databases(call: Call) -> Answer:
    """Databases, by name, owner and whether Scaleway made them."""
    found = _ordered(call, instance_of(call)["_databases"])
    if owner := call.arg("owner"):
        found = [database for database in found if database["owner"] == owner]
    managed = call.flag("managed")
    if managed is not None:
        found = [database for database in found if database["managed"] is managed]
    return page(call, found, "databases", show=lambda database: {**database, "size": EMPTY_DATABASE_BYTES})


@product.post("/instances/{instance_id}/databases", call_ms=374)
def create_database(call: Call) -> Answer:
    """Make a database. Owner and size are known only when it is read back."""
    instance, name = running_instance_of(call), str(call.body.get("name") or "")
    check_name("name", name)
    if named(instance["_databases"], name):
        raise already_exists("database", name, "database name must be unique")
    add_database(instance, name)
    call.world.put(INSTANCES, instance)
    return {"name": name, "managed": True, "owner": "", "size": 0}


def add_database(instance: Document, name: str) -> None:
    """Note a database of Scaleway's own making."""
    instance["_databases"].append({"name": name, "managed": True, "owner": SUPERADMIN})


@product.delete("/instances/{instance_id}/databases/{name}", call_ms=519)
def delete_database(call: Call) -> Answer:
    """Drop a database with its contents and privileges."""
    instance, name = running_instance_of(call), call.params["name"]
    database = named(instance["_databases"], name)
    if database is None:
        raise not_found("database", name)
    instance["_databases"].remove(database)
    instance["_privileges"].pop(name, None)
    call.world.put(INSTANCES, instance)
    return None


# -- users -----------------------------------------------------------------------------------------------------


def _user(instance: Document, name: str) -> Document:
    user = named(instance["_users"], name)
    if user is None:
        raise not_found("user", name)
    return user


def _shown(user: Document) -> Document:
    return {"name": user["name"], "is_admin": user["is_admin"]}


@product.get("/instances/{instance_id}/users", call_ms=158)
def list_users(call: Call) -> Answer:
    """Users, without passwords."""
    return page(call, _ordered(call, instance_of(call)["_users"]), "users", show=_shown)


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
    user = _user(instance, call.params["name"])
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
    user = _user(instance, call.params["name"])
    owns = any(database["owner"] == user["name"] for database in instance["_databases"])
    holds = any(users.get(user["name"], "none") != "none" for users in instance["_privileges"].values())
    if owns or holds:
        raise ApiError(409, {"message": "User cannot be dropped because some objects depend on it"})
    instance["_users"].remove(user)
    for users in instance["_privileges"].values():
        users.pop(user["name"], None)
    call.world.put(INSTANCES, instance)
    return None


# -- privileges ------------------------------------------------------------------------------------------------


@product.get("/instances/{instance_id}/privileges", call_ms=251)
def list_privileges(call: Call) -> Answer:
    """What each user may do in each database; `none` where nothing was granted."""
    instance = instance_of(call)
    pairs = [
        _privilege(database["name"], user["name"], instance["_privileges"].get(database["name"], {}).get(user["name"]))
        for user in sorted(instance["_users"], key=lambda user: str(user["name"]))
        for database in sorted(instance["_databases"], key=lambda database: str(database["name"]))
        if call.arg("user_name", user["name"]) == user["name"]
        and call.arg("database_name", database["name"]) == database["name"]
    ]
    return page(call, pairs, "privileges")


def _privilege(database: str, user: str, permission: str | None) -> Document:
    return {"database_name": database, "user_name": user, "permission": permission or "none"}


@product.put("/instances/{instance_id}/privileges", call_ms=217)
def set_privilege(call: Call) -> Answer:
    """Grant a user a permission in a database.

    Two such writes to one instance at the same time collide in PostgreSQL's catalogue: the second is refused with 409
    "Tuple concurrently updated" (Scaleway errors, recorded 24 times).
    """
    instance, world, body = running_instance_of(call), call.world, call.body
    database, user = str(body.get("database_name") or ""), str(body.get("user_name") or "")
    permission = str(body.get("permission") or "readonly")
    if permission not in PERMISSIONS:
        raise invalid_arguments(("permission", "constraint", f"unknown permission {permission!r}"))
    if named(instance["_databases"], database) is None:
        raise not_found("database", database)
    _user(instance, user)
    if world.now() < instance.get("_privileges_until", 0.0):
        raise ApiError(409, {"message": "Tuple concurrently updated"})
    instance["_privileges_until"] = world.now() + PRIVILEGE_WRITE * world.latency
    instance["_privileges"].setdefault(database, {})[user] = permission
    world.put(INSTANCES, instance)
    return _privilege(database, user, permission)
