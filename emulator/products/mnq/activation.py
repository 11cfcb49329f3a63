"""SQS and SNS are switched on per project; one row of "mnq.sqs" or "mnq.sns" for each project that has it."""

from __future__ import annotations

from emulator.errors import already_exists, not_found, permissions_denied
from emulator.products.mnq.windows import namespace_id
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, public

product = Product("mnq", "/mnq/v1beta1/regions/{region}", "namespace", any_project=True)

SERVICES = ("sqs", "sns")


def active(world: World, service: str, project_id: str) -> bool:
    """Whether the project has the service."""
    return world.find(f"mnq.{service}", project_id) is not None


def project_of(call: Call, sent: str | None) -> str:
    """The project that a call names, or the default one.

    Raises:
        ApiError: 403, there is no such project.
    """
    project_id = sent or DEFAULT_PROJECT
    if project_id != DEFAULT_PROJECT and call.world.find("account.projects", project_id) is None:
        raise permissions_denied("namespace", "read")
    return project_id


def _disabled(call: Call, service: str, project_id: str) -> Document:
    region = call.params["region"]
    return {
        "created_at": None,
        "project_id": project_id,
        "region": region,
        f"{service}_endpoint_url": f"https://{service}.mnq.{region}.scaleway.com",
        "status": "disabled",
        "updated_at": None,
    }


def _activate(call: Call, service: str) -> Answer:
    project_id = project_of(call, call.body.get("project_id"))
    if active(call.world, service, project_id):
        label = service.upper()
        raise already_exists(f"Mnq{label}Namespace", project_id, f"{label} is already enabled on this project")
    now = call.world.timestamp()
    info = _disabled(call, service, project_id) | {
        "status": "enabled",
        "created_at": now,
        "updated_at": now,
        "_namespace": namespace_id(call.world),
    }
    return public(call.world.put(f"mnq.{service}", info, project_id))


def _info(call: Call, service: str) -> Answer:
    project_id = project_of(call, call.arg("project_id"))
    info = call.world.find(f"mnq.{service}", project_id)
    if info is None:
        return _disabled(call, service, project_id)
    return public(info)


def _deactivate(call: Call, service: str) -> Answer:
    project_id = call.body.get("project_id") or DEFAULT_PROJECT
    if not active(call.world, service, project_id):
        raise not_found(f"Mnq{service.upper()}Namespace", project_id)
    for table in (f"mnq.{service}_credentials", f"{service}.queues"):
        for row in list(call.world.where(table, project_id=project_id)):
            call.world.remove(table, row["id"])
    call.world.remove(f"mnq.{service}", project_id)
    return _disabled(call, service, project_id)


def _register(service: str) -> None:
    @product.post(f"/activate-{service}", call_ms=175)
    def activate(call: Call) -> Answer:
        return _activate(call, service)

    @product.get(f"/{service}-info", call_ms=74)
    def info(call: Call) -> Answer:
        return _info(call, service)

    @product.post(f"/deactivate-{service}", call_ms=231)
    def deactivate(call: Call) -> Answer:
        return _deactivate(call, service)


for _service in SERVICES:
    _register(_service)
