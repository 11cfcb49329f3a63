"""Who calls, and may they: keys, projects, policies, and the time that permissions take to spread."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from emulator.errors import denied_authentication, permissions_denied
from emulator.permissions import opening
from emulator.routing import Answer, Call, Route
from emulator.world import Document, World

WINDOW_MEAN_S = 16.0
WINDOW_MAX_S = 85.0
"""How long permissions flap after a project, key or policy is made: p50 11 s, p90 36 s, max 85 s, and not
monotonically (Scaleway latencies, section 2). An exponential of this mean has that median and that p90."""


def open_window(world: World, document: Document, shortest: float = 0.0) -> None:
    """Note on a new document how long the permissions that depend on it will flap.

    Args:
        shortest: a window that the latency factor leaves shorter than these seconds is none.
    """
    length = min(world.random.expovariate(1 / WINDOW_MEAN_S), WINDOW_MAX_S) * world.latency
    document["_flaps_until"] = world.now() + (length if length >= shortest else 0.0)


def flaps(world: World, document: Document) -> bool:
    """Whether the permissions that depend on this document are missing at this very moment."""
    return bool(document.get("_flaps_until", 0) > world.now() and world.random.random() < 0.5)


def authenticate(world: World, token: str) -> Document | None:
    """The API key that was made in IAM and owns this secret; None for the owner's own.

    Every well-formed secret that IAM has not handed out passes for the owner's, as a local program's key need not be
    registered anywhere.

    Raises:
        ApiError: 401 without a token, for a malformed one, and for a key that is deleted or expired.
    """
    try:
        uuid.UUID(token)
    except ValueError:
        raise denied_authentication() from None
    handed_out = world.find("_iam.secret_keys", token)
    if handed_out is None:
        return None
    key = world.find("iam.api_keys", handed_out["access_key"])
    if key is None or (key["expires_at"] and key["expires_at"] <= world.timestamp()):
        raise denied_authentication()
    return key


def authorize(route: Route, key: Document | None, call: Call) -> None:
    """Refuse what the key may not do, or what concerns a project that does not exist.

    Raises:
        ApiError: 403 permissions_denied.
    """
    denied = permissions_denied(route.resource, "read" if call.method == "GET" else "write")
    project_id = (
        call.body.get("project_id") or call.body.get("project") or call.arg("project_id") or call.arg("project")
    )
    if key is not None and (flaps(call.world, key) or not _granted(key, call, project_id)):
        raise denied
    if isinstance(project_id, str):
        project = call.world.find("account.projects", project_id)
        if flaps(call.world, project) if project else not route.any_project:
            raise denied


def hide_orphans(route: Route, call: Call, answer: Answer) -> None:
    """Refuse to show an object of a project that has been deleted.

    Raises:
        ApiError: 403 permissions_denied, as recorded for snapshots that outlived their project.
    """
    if call.method != "GET" or not isinstance(answer, dict):
        return
    for document in (answer, *(value for value in answer.values() if isinstance(value, dict))):
        project_id = document.get("project_id") or document.get("project")
        if isinstance(project_id, str) and call.world.find("_account.deleted_projects", project_id):
            raise permissions_denied(route.resource, "read")


def _granted(key: Document, call: Call, project_id: str | None) -> bool:
    sets = opening(call.method, call.path)
    return sets is None or granted(call.world, key, sets, project_id)


def granted(world: World, key: Document, sets: Collection[str], project_id: str | None = None) -> bool:
    """Whether a policy of the key's application grants it one of these permission sets; users' keys have them all.

    Args:
        project_id: the project that the call is about; None if it does not say, then a rule on any project will do.
    """
    if not key.get("application_id"):
        return True
    principals = {key["application_id"]}
    principals.update(g["id"] for g in world.all("iam.groups") if key["application_id"] in g["application_ids"])
    for policy in world.all("iam.policies"):
        principal = policy.get("application_id") or policy.get("group_id")
        if principal not in principals or flaps(world, policy):
            continue
        for rule in world.where("iam.rules", _policy_id=policy["id"]):
            if project_id and project_id not in rule.get("project_ids", [project_id]):
                continue
            if not set(sets).isdisjoint(rule["permission_set_names"]):
                return True
    return False
