"""Who calls, and may they: keys, projects, policies, and the time that permissions take to spread."""

from __future__ import annotations

import uuid

from emulator.errors import denied_authentication, permissions_denied
from emulator.routing import Answer, Call, Route
from emulator.world import Document, World

WINDOW_MEAN_S = 16.0
WINDOW_MAX_S = 85.0
"""How long permissions flap after a project, key or policy is made: p50 11 s, p90 36 s, max 85 s, and not
monotonically (Scaleway latencies, section 2). An exponential of this mean has that median and that p90."""

PERMISSION_PREFIXES = {
    "account": ("Project", "IAMManager", "OrganizationManager"),
    "block": ("BlockStorage", "Instances"),
    "cockpit": ("Observability",),
    "domain": ("DomainsDNS",),
    "iam": ("IAM", "SSHKeys", "OrganizationManager"),
    "instance": ("Instances",),
    "ipam": ("IPAM", "VPCFull", "VPCRead", "PrivateNetworks"),
    "lb": ("LoadBalancers",),
    "mnq": ("MessagingAndQueuing",),
    "rdb": ("RelationalDatabases",),
    "redis": ("Redis",),
    "secret-manager": ("SecretManager",),
    "vpc": ("VPCFull", "VPCRead", "PrivateNetworks"),
    "vpc-gw": ("VPCGateway",),
}
"""The permission sets that let an application use a product begin with one of these; the key is the path's first
word. Products that are not here (marketplace) are open to every key."""

ORGANIZATION_PRODUCTS = ("account", "iam")
"""What `AllProducts...`, which is about the resources of a project, does not open."""


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
    product = call.path.split("/")[1]
    prefixes = PERMISSION_PREFIXES.get(product)
    if prefixes is None:
        return True
    if product not in ORGANIZATION_PRODUCTS:
        prefixes = ("AllProducts", *prefixes)
    return granted(call.world, key, prefixes, call.method, project_id)


def granted(world: World, key: Document, prefixes: tuple[str, ...], method: str, project_id: str | None = None) -> bool:
    """Whether a policy of the key's application lets it use a product; users' keys may do everything.

    Args:
        prefixes: how the permission sets begin that open the product.
        method: GET for reading, any other for changing.
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
            if any(_allows(name, prefixes, method) for name in rule["permission_set_names"]):
                return True
    return False


def _allows(permission_set: str, prefixes: tuple[str, ...], method: str) -> bool:
    if not permission_set.startswith(prefixes):
        return False
    return method == "GET" or not permission_set.endswith(("ReadOnly", "Read", "SecretAccess"))
