"""The catalogue's routes, and an instance's logs, metrics and maintenances."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.paging import page
from emulator.products.rdb import catalogue
from emulator.products.rdb.model import INSTANCES, PREFIX, become, in_region, instance_of, ready_instance_of
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, hook, public

product = Product("rdb", PREFIX)

LOGS = "rdb.logs"
LOGS_AFTER = 10.0
LOGS_KEPT = 86_400.0
MAINTAINED_AFTER = 120.0


@product.get("/database-engines", call_ms=210)
def list_engines(call: Call) -> Answer:
    """Database engines, by name and version."""
    found = catalogue.engines(call.params["region"])
    if name := call.arg("name"):
        found = [engine for engine in found if engine["name"].lower() == name.lower()]
    if wanted := call.arg("version"):
        for engine in found:
            engine["versions"] = [version for version in engine["versions"] if version["version"] == wanted]
    return page(call, [engine for engine in found if engine["versions"]], "engines")


@product.get("/node-types")
def list_node_types(call: Call) -> Answer:
    """Node types on offer."""
    region = call.params["region"]
    found = [catalogue.shown_node_type(node, region) for node in catalogue.NODE_TYPES.values()]
    return page(call, found, "node_types")


@product.post("/instances/{instance_id}/prepare-logs")
def prepare_logs(call: Call) -> Answer:
    """Gather the logs of an instance's node for download."""
    instance, world = ready_instance_of(call), call.world
    log: Document = {
        "id": world.new_id(),
        "status": "creating",
        "node_name": f"{instance['name']}-0",
        "download_url": None,
        "expires_at": None,
        "created_at": world.timestamp(),
        "region": instance["region"],
        "_instance_id": instance["id"],
    }
    world.put(LOGS, log)
    world.later(LOGS_AFTER, LOGS, log["id"], run="rdb.logged")
    return {"instance_logs": [public(log)]}


@hook("rdb.logged")
def logged(world: World, log: Document, data: Document) -> None:
    """The logs can be downloaded for a day."""
    log.update(
        status="ready",
        download_url=f"https://s3.{log['region']}.scw.cloud/{log['_instance_id']}/{log['id']}.log",
        expires_at=world.timestamp(world.now() + LOGS_KEPT),
    )
    world.put(LOGS, log)


@product.get("/instances/{instance_id}/logs")
def list_logs(call: Call) -> Answer:
    """The logs that were gathered."""
    instance = instance_of(call)
    return {"instance_logs": [public(log) for log in call.world.where(LOGS, _instance_id=instance["id"])]}


@product.get("/logs/{instance_log_id}")
def get_log(call: Call) -> Answer:
    """One gathered log."""
    return public(in_region(call, LOGS, call.params["instance_log_id"], "instance_log"))


@product.get("/instances/{instance_id}/logs-details")
def list_logs_details(call: Call) -> Answer:
    """The log files on the instance: none are kept here."""
    instance_of(call)
    return {"details": []}


@product.post("/instances/{instance_id}/purge-logs", call_ms=196)
def purge_logs(call: Call) -> Answer:
    """Delete the logs on the instance."""
    instance = ready_instance_of(call)
    for log in list(call.world.where(LOGS, _instance_id=instance["id"])):
        call.world.remove(LOGS, log["id"])
    return None


@product.get("/instances/{instance_id}/metrics")
def get_metrics(call: Call) -> Answer:
    """Metrics: none are measured here."""
    instance_of(call)
    return {"timeseries": []}


@product.post("/instances/{instance_id}/apply-maintenance")
def apply_maintenance(call: Call) -> Answer:
    """Start the pending maintenance of an instance; 404 if there is none."""
    instance, world = ready_instance_of(call), call.world
    for maintenance in instance["maintenances"]:
        if maintenance["status"] == "pending":
            maintenance.update(status="done", closed_at=world.timestamp(), is_applicable=False)
            become(world, instance, "configuring", MAINTAINED_AFTER)
            world.put(INSTANCES, instance)
            shown: Document = maintenance
            return shown
    raise not_found("maintenance", instance["id"])
