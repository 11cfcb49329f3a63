"""Instance v2alpha1, as far as current clients mix it into v1: private network interfaces and placement groups."""

from __future__ import annotations

from emulator.products.account import organization_of
from emulator.products.instance import placement_groups, private_nics
from emulator.products.instance.api import find, list_of_strings
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document

INSTANCE_V2 = Product("instance", "/instance/v2alpha1/zones/{zone}")
STATUSES = {"syncing": "attaching", "syncing_error": "syncing"}
"""States of a v1 NIC that have another name here."""


def _utc(moment: str) -> str:
    """A time of Instance v1 as v2alpha1 writes it."""
    return moment.replace("+00:00", "Z")


def _show(call: Call, nic: Document) -> Document:
    server = call.world.find("instance.servers", nic["server_id"]) or {}
    return {
        "id": nic["id"],
        "private_network_id": nic["private_network_id"],
        "project_id": server.get("project"),
        "server_id": nic["server_id"],
        "security_group_id": "",
        "mac_address": nic["mac_address"],
        "status": STATUSES.get(nic["state"], nic["state"]),
        "ip_ids": nic["ipam_ip_ids"],
        "tags": nic["tags"],
        "created_at": _utc(nic["creation_date"]),
        "updated_at": _utc(nic["modification_date"]),
    }


def _interface(call: Call) -> Document:
    return find(call, "private_nic", call.params["private_network_interface_id"])


@INSTANCE_V2.post("/private-network-interfaces")
def create_private_network_interface(call: Call) -> Answer:
    """Join a server to a private network."""
    server = find(call, "server", str(call.body.get("server_id")))
    network = str(call.body.get("private_network_id"))
    ip_ids, tags = list_of_strings(call, "ip_ids"), list_of_strings(call, "tags")
    return _show(call, private_nics.make(call.world, server, network, ip_ids, tags))


@INSTANCE_V2.get("/private-network-interfaces")
def list_private_network_interfaces(call: Call) -> Answer:
    """The interfaces of the zone, newest first unless asked otherwise."""
    found = [_show(call, nic) for nic in call.world.where(private_nics.TABLE, zone=call.params["zone"])]
    for field, values in (("server_id", call.args("server_ids")), ("project_id", call.args("project_id"))):
        found = [interface for interface in found if not values or interface[field] in values]
    if networks := call.args("private_network_ids"):
        found = [interface for interface in found if interface["private_network_id"] in networks]
    if call.arg("order_by", "created_at_desc") == "created_at_desc":
        found.reverse()
    return {"private_network_interfaces": found, "total_count": len(found)}


@INSTANCE_V2.get("/private-network-interfaces/{private_network_interface_id}")
def get_private_network_interface(call: Call) -> Answer:
    """One interface."""
    return _show(call, _interface(call))


@INSTANCE_V2.patch("/private-network-interfaces/{private_network_interface_id}")
def update_private_network_interface(call: Call) -> Answer:
    """Tag an interface."""
    nic = _interface(call)
    if "tags" in call.body:
        nic["tags"] = list_of_strings(call, "tags")
    call.world.put(private_nics.TABLE, nic)
    return _show(call, nic)


@INSTANCE_V2.delete("/private-network-interfaces/{private_network_interface_id}")
def delete_private_network_interface(call: Call) -> Answer:
    """Part a server from a private network."""
    private_nics.remove(call.world, _interface(call))
    return None


def _show_group(group: Document) -> Document:
    return {
        "id": group["id"],
        "project_id": group["project"],
        "name": group["name"],
        "policy_type": group["policy_type"],
        "tags": group["tags"],
        "created_at": _utc(group["_created_at"]),
        "updated_at": _utc(group["_updated_at"]),
        "zone": group["zone"],
    }


def _group(call: Call) -> Document:
    return find(call, "placement_group", call.params["placement_group_id"])


@INSTANCE_V2.post("/placement-groups")
def create_placement_group(call: Call) -> Answer:
    """Make a group."""
    project = call.body.get("project_id") or DEFAULT_PROJECT
    owned_by = {"organization": organization_of(call.world, project), "project": project}
    return _show_group(placement_groups.make(call, owned_by))


@INSTANCE_V2.get("/placement-groups/{placement_group_id}")
def get_placement_group(call: Call) -> Answer:
    """One group."""
    return _show_group(_group(call))


@INSTANCE_V2.patch("/placement-groups/{placement_group_id}")
def update_placement_group(call: Call) -> Answer:
    """Rename a group or change its policy."""
    group = _group(call)
    if call.body.get("policy_type") == "unknown_policy_type":
        del call.body["policy_type"]
    placement_groups.change(call, group)
    return _show_group(group)


@INSTANCE_V2.delete("/placement-groups/{placement_group_id}")
def delete_placement_group(call: Call) -> Answer:
    """Delete a group."""
    placement_groups.dissolve(call, _group(call))
    return None
