"""Servers: create, look up, change, delete. Nothing runs before the action `poweron`."""

from __future__ import annotations

import re
from typing import Any

from emulator.products import marketplace
from emulator.products.instance import (
    catalogue,
    images,
    ips,
    placement_groups,
    power,
    private_nics,
    security_groups,
    server_volumes,
)
from emulator.products.instance.api import (
    INSTANCE,
    constraint,
    find,
    list_of_strings,
    lookup,
    matching,
    now,
    owner,
    page,
    unusable,
)
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, World, public

TABLE = "instance.servers"
BOOT_TYPES = ("local", "rescue", "bootscript")
PASSWORD_KEYS = ("admin_password_encryption_ssh_key_id", "admin_password_encrypted_value")
"""A list shows neither of them, and only GET the second."""


def show(world: World, server: Document) -> Document:
    """A server as the API shows it, with what it holds embedded."""
    group = world.find(security_groups.TABLE, server["_security_group"])
    placement = world.find(placement_groups.TABLE, server["_placement_group"] or "")
    addresses = [ips.on_server(ip, server["mac_address"]) for ip in ips.of_server(world, server["id"])]
    if server["_dynamic_ip"]:
        addresses.append(server["_dynamic_ip"])
    return {
        **public(server),
        "image": public(server["_image"]) if server["_image"] else None,
        "volumes": server_volumes.show(world, server),
        "public_ip": addresses[0] if addresses else None,
        "public_ips": addresses,
        "security_group": {"id": group["id"], "name": group["name"]} if group else None,
        "allowed_actions": power.allowed_actions(server),
        # Inside a server a group never counts as respected, whatever the group itself says.
        "placement_group": {**public(placement), "policy_respected": False} if placement else None,
        "private_nics": [public(nic) for nic in private_nics.of_server(world, server["id"])],
    }


def _show_without(world: World, server: Document, *keys: str) -> Document:
    return {key: value for key, value in show(world, server).items() if key not in keys}


def _changed(world: World, server: Document, status: int = 200) -> Reply:
    return Reply({"server": _show_without(world, server, PASSWORD_KEYS[1])}, status)


def _hostname(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9-]+", "-", name).strip("-").lower()[:63] or "server"


def _blank(world: World, zone: str, name: str, owned_by: dict[str, str], commercial_type: str) -> Document:
    server_id, created = world.new_id(), now(world)
    tail = world.random.getrandbits(24)
    return {
        "id": server_id,
        "name": name,
        "arch": catalogue.server_type(zone, commercial_type)["arch"],
        "commercial_type": commercial_type,
        "boot_type": "local",
        **owned_by,
        "hostname": _hostname(name),
        "tags": [],
        "state": "stopped",
        "protected": False,
        "state_detail": "",
        "mac_address": f"de:00:01:{tail >> 16:02x}:{tail >> 8 & 255:02x}:{tail & 255:02x}",
        "routed_ip_enabled": True,
        "ipv6": None,
        "extra_networks": [],
        "dynamic_ip_required": False,
        "enable_ipv6": False,
        "private_ip": None,
        "creation_date": created,
        "modification_date": created,
        "bootscript": None,
        "location": None,
        "maintenances": [],
        "zone": zone,
        "filesystems": [],
        "end_of_service": False,
        "dns": f"{server_id}.pub.instances.scw.cloud",
        "admin_password_encryption_ssh_key_id": None,
        "admin_password_encrypted_value": None,
        "_image": None,
        "_volumes": {},
        "_attaching": [],
        "_security_group": None,
        "_placement_group": None,
        "_user_data": {},
        "_dynamic_ip": None,
        "_boots": 0,
    }


def _image(call: Call, server: Document, given: Document) -> Document | None:
    """The image that a request names, checked against the server's architecture; None if it names none."""
    key = call.body.get("image")
    if not key:
        return None
    root = (given.get("0") or {}).get("volume_type")
    kind = marketplace.LOCAL if root == server_volumes.LOCAL else marketplace.NETWORK
    image = images.resolve(call.world, server["zone"], str(key), server["arch"], kind)
    if image["arch"] != server["arch"]:
        raise constraint("image", f"{image['arch']} image cannot run on {server['commercial_type']}")
    return image


def _basics(call: Call, server: Document) -> None:
    """Set the plain fields that a create or a PATCH names."""
    body = call.body
    if body.get("boot_type") not in (None, *BOOT_TYPES):
        raise constraint("boot_type", f"value must be one of {', '.join(BOOT_TYPES)}")
    for field in ("boot_type", "protected", "dynamic_ip_required", "enable_ipv6"):
        if body.get(field) is not None:
            server[field] = body[field]
    if body.get("tags") is not None:
        server["tags"] = list_of_strings(call, "tags")


def _groups(call: Call, server: Document) -> None:
    """Set the security group and the placement group that a create or a PATCH names."""
    zone = server["zone"]
    if group := call.body.get("security_group"):
        key = group["id"] if isinstance(group, dict) else group
        server["_security_group"] = lookup(call.world, "security_group", key, zone)["id"]
    if "placement_group" in call.body:
        wanted = call.body["placement_group"]
        found = lookup(call.world, "placement_group", wanted, zone)["id"] if wanted else None
        server["_placement_group"] = found


def _wanted_ips(call: Call, server: Document) -> list[Document]:
    wanted = [*(call.body.get("public_ips") or []), *filter(None, [call.body.get("public_ip")])]
    found = [ips.lookup_ip(call.world, server["zone"], str(key)) for key in wanted]
    for ip in found:
        if ip["server"] and ip["server"]["id"] != server["id"]:
            raise unusable("ip is attached to another server", "resource_still_in_use")
    for kind in ips.TYPES:
        if sum(ip["type"] == kind for ip in found) > ips.MOST_OF_A_SERVER:
            raise constraint("public_ips", f"a server has at most {ips.MOST_OF_A_SERVER} addresses of type {kind}")
    return found


@INSTANCE.post("/servers", call_ms=828)
def create_server(call: Call) -> Answer:
    """Make a server, stopped, with its volumes and addresses. Refuses before it stores anything."""
    world, body, zone = call.world, call.body, call.params["zone"]
    commercial_type = str(body.get("commercial_type") or "")
    name = body.get("name") or f"srv-{world.new_id()[:8]}"
    server = _blank(world, zone, name, owner(call), commercial_type)
    given = body.get("volumes") or {}
    server["_image"] = _image(call, server, given)
    planned = server_volumes.plan(world, server, server["_image"], given)
    server_volumes.check_local_size(planned, commercial_type, catalogue.server_type(zone, commercial_type))
    _basics(call, server)
    _groups(call, server)
    addresses = _wanted_ips(call, server)
    for volume in planned:
        server_volumes.attach(world, server, volume.key, volume.make(), boot=volume.boot)
    if server["_security_group"] is None:
        owned_by = {"organization": server["organization"], "project": server["project"]}
        server["_security_group"] = security_groups.default_group(world, zone, owned_by)["id"]
    for ip in addresses:
        ips.attach(world, ip, server)
    world.put(TABLE, server)
    return _changed(world, server, 201)


@INSTANCE.get("/servers", call_ms=114)
def list_servers(call: Call) -> Answer:
    """The servers of the zone, newest first unless `order` says otherwise."""
    found = [server for server in matching(call, "server") if _selected(call, server)]
    field, _, direction = (call.arg("order") or "creation_date_desc").rpartition("_")
    found.sort(key=lambda server: str(server.get(field, "")), reverse=direction == "desc")
    return page(call, found, "servers", lambda server: _show_without(call.world, server, *PASSWORD_KEYS))


def _selected(call: Call, server: Document) -> bool:
    """Whether a server passes the filters that only servers have."""
    networks = {*call.args("private_networks"), *call.args("private_network")}
    nics = private_nics.of_server(call.world, server["id"])
    addresses = ips.of_server(call.world, server["id"])
    wanted_ids, state = call.args("servers"), call.arg("state")
    checks: list[tuple[Any, bool]] = [
        (wanted_ids, server["id"] in wanted_ids),
        (state, server["state"] == (state or "").replace("_", " ")),
        (call.arg("commercial_type"), server["commercial_type"] == call.arg("commercial_type")),
        (networks, bool(networks & {nic["private_network_id"] for nic in nics})),
        (call.arg("private_nic_mac_address"), call.arg("private_nic_mac_address") in [n["mac_address"] for n in nics]),
        (call.flag("without_ip"), not addresses and not server["_dynamic_ip"]),
        (call.arg("with_ip"), call.arg("with_ip") in [ip["address"] for ip in addresses]),
    ]
    return all(passes for asked, passes in checks if asked)


def _server(call: Call) -> Document:
    return find(call, "server", call.params["server_id"])


@INSTANCE.get("/servers/{server_id}", call_ms=100)
def get_server(call: Call) -> Answer:
    """One server."""
    return {"server": show(call.world, _server(call))}


@INSTANCE.patch("/servers/{server_id}", call_ms=1168)
def update_server(call: Call) -> Answer:
    """Change what the body names: name, tags, protection, type, groups, addresses, volumes."""
    world, server, body = call.world, _server(call), call.body
    addresses = _wanted_ips(call, server) if "public_ips" in body else None
    if body.get("commercial_type") not in (None, server["commercial_type"]):
        _change_type(server, body["commercial_type"])
    _groups(call, server)
    _basics(call, server)
    if body.get("name"):
        _rename(world, server, body["name"])
    if body.get("volumes") is not None:
        server_volumes.replace(world, server, body["volumes"])
    if addresses is not None:
        for ip in ips.of_server(world, server["id"]):
            if ip not in addresses:
                ips.detach(world, ip)
        for ip in addresses:
            ips.attach(world, ip, server)
    server["modification_date"] = now(world)
    world.put(TABLE, server)
    return _changed(world, server)


def _change_type(server: Document, commercial_type: str) -> None:
    if server["state"] != "stopped":
        raise unusable("server should be stopped")
    if catalogue.server_type(server["zone"], commercial_type)["arch"] != server["arch"]:
        raise constraint("commercial_type", f"{commercial_type} has another architecture than the server")
    server["commercial_type"] = commercial_type


def _rename(world: World, server: Document, name: str) -> None:
    server.update(name=name, hostname=_hostname(name))
    for table in ("instance.volumes", ips.TABLE):
        for held in world.all(table):
            if held["server"] and held["server"]["id"] == server["id"]:
                held["server"] = {"id": server["id"], "name": name}
                world.put(table, held)


@INSTANCE.post("/servers/{server_id}/attach-volume")
def attach_server_volume(call: Call) -> Answer:
    """Attach one more volume, under the next free key."""
    server = _server(call)
    held = server["_volumes"]
    key = str(max((int(key) for key in held), default=-1) + 1)
    spec = {"id": call.body.get("volume_id"), "boot": bool(call.body.get("boot"))}
    server_volumes.replace(call.world, server, {**held, key: spec})
    call.world.put(TABLE, server)
    return _changed(call.world, server)


@INSTANCE.post("/servers/{server_id}/detach-volume")
def detach_server_volume(call: Call) -> Answer:
    """Detach one volume."""
    server = _server(call)
    left = {key: held for key, held in server["_volumes"].items() if held["id"] != call.body.get("volume_id")}
    server_volumes.replace(call.world, server, left)
    call.world.put(TABLE, server)
    return _changed(call.world, server)


@INSTANCE.delete("/servers/{server_id}", call_ms=408)
def delete_server(call: Call) -> Answer:
    """Delete a server that is off, protected or not. Its volumes, local ones too, stay behind."""
    server = _server(call)
    if server["state"] != "stopped":
        raise unusable("instance should be powered off", "resource_still_in_use")
    power.remove(call.world, server, delete_local=False)
    return None
