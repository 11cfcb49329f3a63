"""What a server goes through: on, off, reboot, gone. The API's state, not that of the software inside.

Every action answers at once with a task that says nothing; clients poll the server's `state`.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.products import block
from emulator.products.instance import images, ips, private_nics, server_volumes, snapshots, volumes
from emulator.products.instance.api import INSTANCE, constraint, find, now, task, unusable
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, hook

TABLE = "instance.servers"

NODE_SECONDS = 5
BOOT_SECONDS = 15
STOP_SECONDS = 47
STOP_IN_PLACE_SECONDS = 36
REBOOT_DOWN_SECONDS = 33
REBOOT_SECONDS = 38
TERMINATE_SECONDS = 5

PLATFORMS = {"fr-par-1": "14", "fr-par-2": "15", "nl-ams-1": "23", "nl-ams-2": "24", "pl-waw-1": "40"}
"""`location.platform_id` of the zones where it is known."""
MACHINE = {"cluster_id": "2", "hypervisor_id": "101", "node_id": "1"}
"""The rest of `location`: every zone has one machine, on which all its servers run."""
ALLOWED_ACTIONS = {
    "stopped": ["poweron", "backup"],
    "running": ["poweroff", "terminate", "reboot", "stop_in_place", "backup"],
    "stopped in place": ["poweron", "reboot", "terminate", "backup"],
    "starting": ["stop_in_place", "backup"],
    "stopping": ["stop_in_place", "backup"],
}
MUST_BE_ON = ("poweroff", "reboot", "stop_in_place", "terminate")


def allowed_actions(server: Document) -> list[str]:
    """`allowed_actions` of a server: none while a volume is on its way."""
    return [] if server["_attaching"] else list(ALLOWED_ACTIONS.get(server["state"], []))


def _enter(world: World, server: Document, state: str, detail: str) -> None:
    server.update(state=state, state_detail=detail, modification_date=now(world))
    world.put(TABLE, server)


def power_on(world: World, server: Document) -> None:
    """Start a stopped server."""
    server["_boots"] += 1
    _enter(world, server, "starting", "allocating node")
    world.later(NODE_SECONDS, TABLE, server["id"], run="instance.node_allocated")
    world.later(BOOT_SECONDS, TABLE, server["id"], run="instance.running")


def power_off(world: World, server: Document) -> None:
    """Stop a server and give its node back."""
    _enter(world, server, "stopping", "stopping")
    world.later(STOP_SECONDS, TABLE, server["id"], run="instance.stopped")


def stop_in_place(world: World, server: Document) -> None:
    """Stop a server that keeps its node (and goes on costing money)."""
    _enter(world, server, "stopping", "stopping in place")
    world.later(STOP_IN_PLACE_SECONDS, TABLE, server["id"], run="instance.stopped_in_place")


def reboot(world: World, server: Document) -> None:
    """Stop a server and start it on the same node."""
    server["_boots"] += 1
    _enter(world, server, "stopping", "rebooting")
    world.later(REBOOT_DOWN_SECONDS, TABLE, server["id"], change={"state": "starting"}, run="instance.modified")
    world.later(REBOOT_SECONDS, TABLE, server["id"], run="instance.running")


def terminate(world: World, server: Document) -> None:
    """Delete a server with its local volumes. Its addresses are free at once; its block volumes survive it."""
    for ip in ips.of_server(world, server["id"]):
        ips.detach(world, ip)
    for held in server["_volumes"].values():
        if volume := world.find(volumes.TABLE, held["id"]):
            volume.update(state="deleting", modification_date=now(world))
            world.put(volumes.TABLE, volume)
    _enter(world, server, "stopping", "terminating")
    world.later(TERMINATE_SECONDS, TABLE, server["id"], run="instance.terminated")


def remove(world: World, server: Document, *, delete_local: bool) -> None:
    """Forget a server and free everything that it held."""
    for nic in private_nics.of_server(world, server["id"]):
        private_nics.remove(world, nic)
    for ip in ips.of_server(world, server["id"]):
        ips.detach(world, ip)
    server_volumes.release(world, server, delete_local=delete_local)
    world.remove(TABLE, server["id"])


@hook("instance.node_allocated")
def _node_allocated(world: World, server: Document, _data: Document) -> None:
    if server["state"] == "starting":
        server["location"] = {
            "zone_id": server["zone"],
            "platform_id": PLATFORMS.get(server["zone"], "1"),
            **MACHINE,
        }
        _enter(world, server, "starting", "provisioning node")


@hook("instance.running")
def _running(world: World, server: Document, _data: Document) -> None:
    if server["dynamic_ip_required"] and not ips.of_server(world, server["id"]):
        server["_dynamic_ip"] = ips.dynamic(world, server["zone"])
    _enter(world, server, "running", "booting kernel")


@hook("instance.stopped")
def _stopped(world: World, server: Document, _data: Document) -> None:
    server.update(location=None, _dynamic_ip=None)
    _enter(world, server, "stopped", "")


@hook("instance.stopped_in_place")
def _stopped_in_place(world: World, server: Document, _data: Document) -> None:
    _enter(world, server, "stopped in place", "stopped in place")


@hook("instance.terminated")
def _terminated(world: World, server: Document, _data: Document) -> None:
    remove(world, server, delete_local=True)


ACTIONS: dict[str, Callable[[World, Document], None]] = {
    "poweron": power_on,
    "poweroff": power_off,
    "stop_in_place": stop_in_place,
    "reboot": reboot,
    "terminate": terminate,
}


def _check(server: Document, action: str) -> None:
    if action in MUST_BE_ON and server["protected"]:
        raise unusable("server is protected", "protected_resource")
    if action == "poweron" and server["state"] not in ("stopped", "stopped in place"):
        raise unusable("server should be stopped")
    if action in MUST_BE_ON and server["state"] not in ("running", "stopped in place"):
        raise unusable("server should be running")


@INSTANCE.post("/servers/{server_id}/action", call_ms=274)
def server_action(call: Call) -> Answer:
    """Do something to a server: poweron, poweroff, stop_in_place, reboot, terminate or backup."""
    server, action = find(call, "server", call.params["server_id"]), str(call.body.get("action"))
    path = f"/servers/{server['id']}"
    if action == "backup":
        image = _backup(call.world, server, call.body.get("name") or f"{server['name']}-backup")
        return Reply({"task": task(call.world, server["zone"], f"{path}/action", f"/images/{image['id']}")}, 202)
    if action not in ACTIONS:
        raise constraint("action", f"value must be one of {', '.join([*ACTIONS, 'backup'])}")
    _check(server, action)
    ACTIONS[action](call.world, server)
    return Reply({"task": task(call.world, server["zone"], f"{path}/action", path)}, 202)


@INSTANCE.get("/servers/{server_id}/action")
def list_server_actions(call: Call) -> Answer:
    """What can be done to a server now."""
    return {"actions": allowed_actions(find(call, "server", call.params["server_id"]))}


def _backup(world: World, server: Document, name: str) -> Document:
    """An image of all volumes of a server as they are."""
    owned_by = {"organization": server["organization"], "project": server["project"]}
    taken: dict[str, str] = {}
    for key, held in server["_volumes"].items():
        volume = server_volumes.find(world, server["zone"], held["id"])
        label = f"{name}_snap_{key}"
        if server_volumes.kind_of(volume) == server_volumes.NETWORK:
            taken[key] = block.make_snapshot(world, volume, name=label, project_id=server["project"])["id"]
        else:
            taken[key] = snapshots.take(world, volume, label, owned_by)["id"]
    image = images.make(world, server["zone"], owned_by, name, server["arch"], taken.pop("0"))
    image["extra_volumes"] = {key: images.part(world, image, snapshot_id) for key, snapshot_id in taken.items()}
    image["from_server"] = server["id"]
    return image
