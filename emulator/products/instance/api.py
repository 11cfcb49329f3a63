"""What all of Instance v1 shares: its prefix, its refusals, its tasks, its pages and its way to write times."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from emulator.errors import ApiError, invalid_arguments, not_found, precondition_failed
from emulator.products.account import organization_of
from emulator.routing import Call, Product, Reply
from emulator.world import DEFAULT_PROJECT, Document, World, hook, public

INSTANCE = Product("instance", "/instance/v1/zones/{zone}")

TASK_ID = "00000000-0000-0000-0000-000000000000"
DEFAULT_PAGE = 50
LARGEST_PAGE = 100


def now(world: World) -> str:
    """The time as Instance v1 writes it: 2026-07-30T12:53:37.984659+00:00."""
    return world.timestamp().replace("Z", "+00:00")


@hook("instance.modified")
def modified(world: World, document: Document, _data: Document | None = None) -> None:
    """Note that an object changed just now."""
    document["modification_date"] = now(world)


def find(call: Call, kind: str, key: str) -> Document:
    """The object of that id in the zone of the call, or 404 naming "instance_<kind>".

    Args:
        kind: "server", "volume", "security_group", ...: the singular of its table's name.
    """
    return lookup(call.world, kind, key, call.params["zone"])


def lookup(world: World, kind: str, key: str, zone: str) -> Document:
    """The object of that id in a zone, or 404 naming "instance_<kind>"."""
    document = world.find(f"instance.{kind}s", str(key))
    if document is None or document["zone"] != zone:
        raise not_found(f"instance_{kind}", str(key))
    return document


def owner(call: Call) -> dict[str, str]:
    """`organization` and `project` of an object that this call creates."""
    project = call.body.get("project") or call.body.get("organization") or DEFAULT_PROJECT
    return {"organization": organization_of(call.world, project), "project": project}


def constraint(argument: str, text: str) -> ApiError:
    """400 invalid_arguments: a value that the API cannot take."""
    return invalid_arguments((argument, "constraint", text))


def validation_error(**fields: str) -> ApiError:
    """400 in the older form of Instance v1: a body of the wrong shape (Scaleway errors 3.2)."""
    body = {"type": "invalid_request_error", "message": "Validation Error"}
    return ApiError(400, {**body, "fields": {name: [text] for name, text in fields.items()}})


def unusable(help_message: str, precondition: str = "resource_not_usable") -> ApiError:
    """400 (not 412) with which Instance v1 refuses an action that does not fit the object's state."""
    return precondition_failed(precondition, help_message, status=400)


def list_of_strings(call: Call, field: str) -> list[str]:
    """A list in the body; absent and null are empty. Refuses anything else."""
    value = call.body.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise validation_error(**{field: "expected a list"})
    return [str(item) for item in value]


def task(world: World, zone: str, href_from: str, href_result: str) -> Document:
    """The task that every asynchronous call answers with. Nobody can look it up: poll the object instead."""
    return {
        "id": TASK_ID,
        "description": "fake task",
        "status": "pending",
        "href_from": href_from,
        "href_result": href_result,
        "started_at": now(world),
        "terminated_at": None,
        "progress": 0,
        "zone": zone,
    }


def matching(call: Call, kind: str) -> list[Document]:
    """The objects of the zone that pass the filters all lists have: project, organization, name, tags."""
    found = [document for document in call.world.all(f"instance.{kind}s") if document["zone"] == call.params["zone"]]
    for owner_field in ("project", "organization"):
        if wanted := call.arg(owner_field):
            found = [document for document in found if document[owner_field] == wanted]
    if name := call.arg("name"):
        found = [document for document in found if name in document["name"]]
    if tags := call.args("tags"):
        found = [document for document in found if set(tags) <= set(document["tags"])]
    return found


def page(call: Call, documents: Iterable[Any], key: str, show: Callable[[Any], Any] = public) -> Reply:
    """`{key: [...]}` for `page` and `per_page`, with the count of all in X-Total-Count."""
    everything = list(documents)
    size = min(max(int(call.arg("per_page") or DEFAULT_PAGE), 1), LARGEST_PAGE)
    start = (max(int(call.arg("page") or 1), 1) - 1) * size
    shown = [show(document) for document in everything[start : start + size]]
    return Reply({key: shown}, headers={"X-Total-Count": str(len(everything))})


def zone_region(zone: str) -> str:
    """The region of a zone: "fr-par" of "fr-par-1"."""
    return zone.rpartition("-")[0]
