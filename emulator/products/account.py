"""Account v3: the projects of an organization."""

from __future__ import annotations

from emulator.auth import open_window
from emulator.errors import permissions_denied, precondition_failed, quotas_exceeded
from emulator.paging import matching, page
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_ORGANIZATION, DEFAULT_PROJECT, Document, World, public, seed

PROJECTS = Product("account", "/account/v3/projects")
PRODUCTS = [PROJECTS]

QUOTA = 1000
"""Projects of one organization, the default one apart. Quotas differ by organization (one with 25 was recorded); this
one is generous, so that programs can share an emulator."""

SHORTEST_WINDOW_S = 1.0
"""The owner's own key met few 403s in recorded projects just made (9 of 59), as its client waited about this long
between calls: where time is sped up so far that a window is shorter, there is none."""

DELETED_WITH_PROJECT = ("iam.", "cockpit.", "block.snapshots", "mnq.")
"""What does not stop a project from being deleted: recorded projects went although they held such objects."""

SETTLING_S = 10.0
"""How long the deletion of a project that held deleted secrets is refused with 412."""

ORDERS = {
    "created_at_asc": ("created_at", False),
    "created_at_desc": ("created_at", True),
    "name_asc": ("name", False),
    "name_desc": ("name", True),
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


@seed
def default_project(world: World) -> None:
    """Every organization has a project of its own id."""
    world.put("account.projects", _new(world, DEFAULT_PROJECT, "default", ""))


def _new(world: World, key: str, name: str, description: str) -> Document:
    now = world.timestamp()
    return {
        "id": key,
        "name": name,
        "organization_id": DEFAULT_ORGANIZATION,
        "created_at": now,
        "updated_at": now,
        "description": description,
        "qualification": {"architecture_type": "unknown_architecture_type"},
    }


@PROJECTS.post("", call_ms=578)
def create_project(call: Call) -> Answer:
    """Make a project; the permissions on it flap for a while."""
    own = [document for document in call.world.all("account.projects") if document["id"] != DEFAULT_PROJECT]
    if len(own) >= QUOTA:
        raise quotas_exceeded("UsrProjectsWidth", QUOTA, len(own))
    name = call.body.get("name") or f"prj-{call.world.new_id()[:8]}"
    document = _new(call.world, call.world.new_id(), name, call.body.get("description") or "")
    open_window(call.world, document, SHORTEST_WINDOW_S)
    call.world.put("account.projects", document)
    return {**public(document), "qualification": None}


@PROJECTS.get("", call_ms=1058)
def list_projects(call: Call) -> Answer:
    """Projects by name (exactly), organization or ids."""
    found = matching(call, call.world.all("account.projects"), names="exact")
    if ids := call.args("project_ids"):
        found = [document for document in found if document["id"] in ids]
    field, reverse = ORDERS.get(call.arg("order_by") or "", ORDERS["created_at_asc"])
    found.sort(key=lambda document: str(document[field]), reverse=reverse)
    return page(call, found, "projects")


@PROJECTS.get("/{project_id}", call_ms=209)
def get_project(call: Call) -> Answer:
    """One project."""
    return public(_project(call))


@PROJECTS.patch("/{project_id}")
def update_project(call: Call) -> Answer:
    """Change name and description."""
    document = _project(call)
    for field in ("name", "description"):
        if call.body.get(field) is not None:
            document[field] = call.body[field]
    document["updated_at"] = call.world.timestamp()
    return public(call.world.put("account.projects", document))


@PROJECTS.delete("/{project_id}", call_ms=1604)
def delete_project(call: Call) -> Answer:
    """Remove a project that holds nothing; what Scaleway made in it by itself goes with it."""
    project = _project(call)
    project_id = project["id"]
    if project_id == DEFAULT_PROJECT:
        raise precondition_failed("resource_not_usable", "the default project cannot be deleted")
    doomed = []
    for table, rows in call.world.tables.items():
        for key, document in rows.items():
            if table == "account.projects" or project_id not in (document.get("project_id"), document.get("project")):
                continue
            default = document.get("is_default") is True or document.get("project_default") is True
            if default or document.get("deletion_requested_at"):
                doomed.append((table, key))
            elif not table.startswith(("_", *DELETED_WITH_PROJECT)):
                raise precondition_failed("resource_still_in_use", f"project still has resources: {table} {key}")
    if any(table.startswith("secret.") for table, _ in doomed):
        _wait_for_the_check(call, project)
    for table, key in doomed:
        call.world.remove(table, key)
    call.world.remove("account.projects", project_id)
    call.world.put("_account.deleted_projects", {"id": project_id})
    return None


def _wait_for_the_check(call: Call, project: Document) -> None:
    """Refuse for a while: the search for what is left in the project trips over objects deleted just now.

    Raises:
        ApiError: 412, as recorded of projects whose secrets had just been deleted; the same call works later.
    """
    if "_free_at" not in project:
        project["_free_at"] = call.world.now() + SETTLING_S * call.world.latency
        call.world.put("account.projects", project)
    if project["_free_at"] > call.world.now():
        text = f'an unexpected error happened when checking if project "{project["id"]}" has resources'
        raise precondition_failed("resource_not_usable", f"{text}, please retry later")


def _project(call: Call) -> Document:
    return call.require("account.projects", call.params["project_id"], "project_id")
