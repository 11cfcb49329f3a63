"""Account v3: the projects of an organization."""

from __future__ import annotations

from emulator.errors import permissions_denied
from emulator.paging import matching, page
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_ORGANIZATION, DEFAULT_PROJECT, Document, World, public, seed

PROJECTS = Product("account", "/account/v3/projects")
PRODUCTS = [PROJECTS]


@seed
def default_project(world: World) -> None:
    """Every organization has a project of its own id."""
    now = world.timestamp()
    world.put("account.projects", _project(world, DEFAULT_PROJECT, "default", "", now))


def _project(world: World, key: str, name: str, description: str, now: str) -> Document:
    return {
        "id": key,
        "name": name,
        "organization_id": DEFAULT_ORGANIZATION,
        "created_at": now,
        "updated_at": now,
        "description": description,
        "qualification": {"architecture_type": "unknown_architecture_type"},
    }


def organization_of(world: World, project_id: str) -> str:
    """The organization that owns a project.

    Raises:
        ApiError: 403 permissions_denied if there is no such project.
    """
    found = world.find("account.projects", project_id)
    if found is None:
        raise permissions_denied("project", "read")
    return str(found["organization_id"])


@PROJECTS.post("", call_ms=578)
def create_project(call: Call) -> Answer:
    """Make a project."""
    document = _project(
        call.world,
        call.world.new_id(),
        call.body.get("name") or f"prj-{call.world.new_id()[:8]}",
        call.body.get("description") or "",
        call.world.timestamp(),
    )
    call.world.put("account.projects", document)
    return {**public(document), "qualification": None}


@PROJECTS.get("", call_ms=1058)
def list_projects(call: Call) -> Answer:
    """Projects by name, organization or ids."""
    found = matching(call, call.world.all("account.projects"), names="exact")
    if ids := call.args("project_ids"):
        found = [document for document in found if document["id"] in ids]
    return page(call, found, "projects")


@PROJECTS.get("/{project_id}", call_ms=209)
def get_project(call: Call) -> Answer:
    """One project."""
    return public(call.require("account.projects", call.params["project_id"], "project_id"))


@PROJECTS.delete("/{project_id}", call_ms=1604)
def delete_project(call: Call) -> Answer:
    """Remove an empty project."""
    call.require("account.projects", call.params["project_id"], "project_id")
    call.world.remove("account.projects", call.params["project_id"])
    return None
