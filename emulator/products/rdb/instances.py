"""Instances: create, read, change, upgrade, restart, delete."""

from __future__ import annotations

import copy
from datetime import datetime

from emulator.errors import invalid_arguments, precondition_failed, transient_state
from emulator.paging import matching, page
from emulator.products import ipam
from emulator.products.account import organization_of
from emulator.products.rdb import catalogue
from emulator.products.rdb.endpoints import load_balancer_endpoint, move_endpoints, private_endpoint
from emulator.products.rdb.model import (
    INITIALIZING_AFTER,
    INSTANCES,
    PREFIX,
    READ_REPLICAS,
    READY_AFTER,
    SETTINGS_AFTER,
    become,
    initial_notes,
    instance_of,
    ready_instance_of,
    replicas_of,
    show,
    show_change,
)
from emulator.products.rdb.users import check_password
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, hook

product = Product("rdb", PREFIX)

DELETED_AFTER = 15.0
UPGRADED_AFTER = 393.0
GROWN_AFTER = 30.0
"""A larger volume of the same kind needs no new node."""
COPIED_AFTER = 246.0
RESTARTED_AFTER = 15.0
LOGS_POLICY_AFTER = 18.0

DAY_HOURS = 24
RETENTION_DAYS = 7
DELETABLE = {"ready", "error", "locked", "disk_full", "autohealing"}
UPGRADES = (
    "node_type",
    "enable_ha",
    "high_availability_mode",
    "volume_size",
    "volume_type",
    "upgradable_version_id",
    "major_upgrade_workflow",
    "enable_encryption",
)


@product.post("/instances", call_ms=729)
def create_instance(call: Call) -> Answer:
    """Order an instance. Without endpoints of its own it gets a public one, open to everybody, when it is ready."""
    body, world = call.body, call.world
    version = catalogue.engine_version(str(body.get("engine") or ""))
    node = catalogue.node_type(str(body.get("node_type") or ""))
    volume = catalogue.volume(node, str(body.get("volume_type") or "lssd"), int(body.get("volume_size") or 0))
    project = str(body.get("project_id") or body.get("organization_id") or DEFAULT_PROJECT)
    settings = list(body.get("init_settings") or [])
    catalogue.check_settings(version["name"], settings, "available_init_settings")
    if body.get("user_name"):
        check_password(str(body.get("password") or ""))
    specs = list(body.get("init_endpoints") or [{"load_balancer": {}}])
    private = [spec["private_network"] for spec in specs if "private_network" in spec]
    if len(private) > 1:
        raise invalid_arguments(("init_endpoints", "constraint", "at most one private network"))
    now = world.timestamp()
    key = world.new_id()
    instance: Document = {
        "id": key,
        "name": body.get("name") or f"rdb-{key[:8]}",
        "organization_id": organization_of(world, project),
        "project_id": project,
        "region": call.params["region"],
        "status": "provisioning",
        "engine": version["name"],
        "upgradable_version": catalogue.upgradable_versions(version["name"]),
        "endpoints": [],
        "tags": body.get("tags") or [],
        "settings": [],
        "init_settings": settings,
        "backup_schedule": {
            "frequency": DAY_HOURS,
            "retention": RETENTION_DAYS,
            "disabled": bool(body.get("disable_backup")),
        },
        "backup_same_region": bool(body.get("backup_same_region")),
        "is_ha_cluster": wants_ha(body),
        "node_type": node.name,
        "volume": volume,
        "logs_policy": {"max_age_retention": 30, "total_disk_retention": None},
        "encryption": {"enabled": bool((body.get("encryption") or {}).get("enabled"))},
        "maintenances": [],
        "created_at": now,
        **initial_notes(str(body.get("user_name") or ""), str(body.get("password") or "")),
    }
    instance["endpoints"] = [private_endpoint(call, spec, instance) for spec in private]
    schedule_backups(world, instance)
    provision(world, instance, READY_AFTER, public=any("load_balancer" in spec for spec in specs))
    return show(world, instance)


def wants_ha(body: Document) -> bool:
    """Whether a request asks for a standby node, in the old form or in the new."""
    mode = body.get("high_availability_mode")
    return bool(body.get("is_ha_cluster")) or mode in {"single_zone", "multiple_zone"}


def schedule_backups(world: World, instance: Document) -> None:
    """Note when the next automatic backup is due: `frequency` hours after the instance was made."""
    created = datetime.fromisoformat(instance["created_at"]).timestamp()
    frequency = instance["backup_schedule"]["frequency"]
    instance["_next_backup"] = world.timestamp(created + frequency * 3600)


def provision(world: World, instance: Document, seconds: float, *, public: bool, run: str = "rdb.publish") -> None:
    """Store a new instance and let it become ready after `seconds`, with the settings of its node.

    Args:
        public: whether it then gets a load balancer's endpoint.
        run: the hook called when it is ready.
    """
    if public:
        # Its server listens there before anybody is told.
        instance["_coming"] = load_balancer_endpoint(world, instance["region"])
    world.put(INSTANCES, instance)
    share = seconds / READY_AFTER
    world.later(INITIALIZING_AFTER * share, INSTANCES, instance["id"], change={"status": "initializing"})
    if not instance["settings"]:
        settings = settings_of(
            catalogue.default_settings(instance["engine"], catalogue.node_type(instance["node_type"]))
        )
        world.later(SETTINGS_AFTER * share, INSTANCES, instance["id"], change={"settings": settings})
    become(world, instance, "provisioning", seconds, run=run)


def settings_of(values: dict[str, str]) -> list[Document]:
    """Settings as an instance shows them: by name."""
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def copy_of(world: World, source: Document, name: str, node: catalogue.NodeType, volume: Document) -> Document:
    """A new instance with the contents, settings and tags of another, but neither its endpoints nor its ACL."""
    made: Document = copy.deepcopy(source)
    made.update(
        id=world.new_id(),
        name=name,
        status="provisioning",
        endpoints=[],
        node_type=node.name,
        volume=volume,
        is_ha_cluster=False,
        created_at=world.timestamp(),
        _acl=initial_notes("", "")["_acl"],
        _origin={"instance": source["id"]},
    )
    for note in ("_certificate", "_certificate_key", "_certified", "_privileges_until", "_coming", "_going"):
        made.pop(note, None)
    schedule_backups(world, made)
    return made


@product.get("/instances")
def list_instances(call: Call) -> Answer:
    """Instances of the region by name, tags and project."""
    found = matching(call, call.world.where(INSTANCES, region=call.params["region"]))
    return page(call, ordered(call, found), "instances", show=lambda instance: show(call.world, instance))


def ordered(call: Call, documents: list[Document]) -> list[Document]:
    """Apply order_by (`<field>_asc` or `<field>_desc`; created_at_asc if absent)."""
    field, _, direction = (call.arg("order_by") or "created_at_asc").rpartition("_")
    return sorted(documents, key=lambda document: str(document.get(field) or ""), reverse=direction == "desc")


@product.get("/instances/{instance_id}", call_ms=152)
def get_instance(call: Call) -> Answer:
    """One instance."""
    return show(call.world, instance_of(call))


@product.patch("/instances/{instance_id}", call_ms=203)
def update_instance(call: Call) -> Answer:
    """Change name, tags, backups or logs policy; only a new logs policy keeps the instance busy."""
    instance, body, world = ready_instance_of(call), call.body, call.world
    for field in ("name", "tags", "backup_same_region"):
        if body.get(field) is not None:
            instance[field] = body[field]
    schedule = instance["backup_schedule"]
    if body.get("is_backup_schedule_disabled") is not None:
        schedule["disabled"] = bool(body["is_backup_schedule_disabled"])
    for field, key in (("backup_schedule_frequency", "frequency"), ("backup_schedule_retention", "retention")):
        if body.get(field) is not None:
            if int(body[field]) < 1:
                raise invalid_arguments((field, "constraint", "must be greater than 0"))
            schedule[key] = int(body[field])
    schedule_backups(world, instance)
    policy = {**instance["logs_policy"], **(body.get("logs_policy") or {})}
    if policy != instance["logs_policy"]:
        instance["logs_policy"] = policy
        become(world, instance, "configuring", LOGS_POLICY_AFTER)
    world.put(INSTANCES, instance)
    return show_change(world, instance)


@product.delete("/instances/{instance_id}", call_ms=315)
def delete_instance(call: Call) -> Answer:
    """Delete an instance and its read replicas. Backups and snapshots stay."""
    instance, world = instance_of(call), call.world
    if instance["status"] not in DELETABLE:
        raise transient_state("instance", instance["id"], instance["status"])
    instance["status"] = "deleting"
    world.put(INSTANCES, instance)
    world.later(DELETED_AFTER, INSTANCES, instance["id"], run="rdb.gone", remove=True)
    return show(world, instance)


@hook("rdb.gone")
def gone(world: World, instance: Document, data: Document) -> None:
    """Addresses are free and read replicas gone with their instance."""
    ipam.release_of(world, instance["id"])
    for replica in replicas_of(world, instance["id"]):
        world.remove(READ_REPLICAS, replica["id"])


@product.post("/instances/{instance_id}/restart", call_ms=320)
def restart_instance(call: Call) -> Answer:
    """Restart the database engine."""
    instance = ready_instance_of(call)
    become(call.world, instance, "restarting", RESTARTED_AFTER)
    return show_change(call.world, instance)


@product.post("/instances/{instance_id}/clone", call_ms=729)
def clone_instance(call: Call) -> Answer:
    """A new instance with the contents of this one, reachable by everybody through a public endpoint."""
    source = ready_instance_of(call)
    node = catalogue.node_type(str(call.body.get("node_type") or source["node_type"]))
    volume = catalogue.volume(node, source["volume"]["type"], source["volume"]["size"])
    made = copy_of(call.world, source, str(call.body.get("name") or source["name"]), node, volume)
    provision(call.world, made, COPIED_AFTER, public=True)
    return show_change(call.world, made)


@product.post("/instances/{instance_id}/upgrade", call_ms=537)
def upgrade_instance(call: Call) -> Answer:
    """Change node type, standby, volume, encryption or engine version: one of these at a time."""
    instance, world = ready_instance_of(call), call.world
    given = [name for name in UPGRADES if call.body.get(name) not in (None, "", 0, False)]
    if len(given) != 1:
        raise invalid_arguments(("upgrade_target", "constraint", "exactly one upgrade target must be given"))
    kind, value = given[0], call.body[given[0]]
    if kind == "major_upgrade_workflow":
        return _major_upgrade(call, instance, value)
    seconds = GROWN_AFTER if kind == "volume_size" else UPGRADED_AFTER
    if kind == "upgradable_version_id":
        catalogue.upgrade_target(instance, str(value))
        raise invalid_arguments((kind, "constraint", "a new major version needs major_upgrade_workflow"))
    if kind in {"enable_ha", "high_availability_mode"}:
        instance["is_ha_cluster"] = value is True or wants_ha({kind: value})
    elif kind == "enable_encryption":
        instance["encryption"] = {"enabled": True}
    else:
        _resize(instance, kind, value)
    become(world, instance, "initializing", seconds, run="rdb.resized")
    return show_change(world, instance)


def _resize(instance: Document, kind: str, value: str | int) -> None:
    volume = instance["volume"]
    node = catalogue.node_type(str(value) if kind == "node_type" else instance["node_type"])
    wanted = int(value) if kind == "volume_size" else volume["size"]
    if wanted < volume["size"]:
        raise invalid_arguments(("volume_size", "constraint", "a volume cannot shrink"))
    instance["volume"] = catalogue.volume(node, str(value) if kind == "volume_type" else volume["type"], wanted)
    instance["node_type"] = node.name


@hook("rdb.resized")
def resized(world: World, instance: Document, data: Document) -> None:
    """The settings of the new node apply, under those that the user set."""
    defaults = catalogue.default_settings(instance["engine"], catalogue.node_type(instance["node_type"]))
    instance["settings"] = settings_of({**defaults, **instance.get("_settings", {})})
    world.put(INSTANCES, instance)


def _major_upgrade(call: Call, source: Document, workflow: Document) -> Answer:
    """A new instance of the newer version, which may take the endpoints over; what is written meanwhile is lost."""
    world = call.world
    version = catalogue.upgrade_target(source, str(workflow.get("upgradable_version_id") or ""))
    if replicas_of(world, source["id"]):
        raise precondition_failed("resource_not_usable", "delete the read replicas first")
    made = copy_of(world, source, source["name"], catalogue.node_type(source["node_type"]), source["volume"])
    made.update(engine=version["name"], upgradable_version=catalogue.upgradable_versions(version["name"]))
    if not workflow.get("with_endpoints"):
        provision(world, made, READY_AFTER, public=True)
    else:
        made["_acl"] = copy.deepcopy(source["_acl"])
        made["_replaces"] = source["id"]
        provision(world, made, READY_AFTER, public=False, run="rdb.replaced")
    return show_change(world, made)


@hook("rdb.replaced")
def replaced(world: World, instance: Document, data: Document) -> None:
    """The endpoints of the old version move to the new one."""
    source = world.find(INSTANCES, instance.pop("_replaces"))
    if source is not None:
        move_endpoints(world, source, instance, source["endpoints"])
