"""Placement groups: whether servers stand far apart or close together."""

from __future__ import annotations

from emulator.products.instance.api import (
    INSTANCE,
    constraint,
    find,
    list_of_strings,
    matching,
    now,
    owner,
    page,
    unusable,
)
from emulator.routing import Answer, Call, Reply
from emulator.world import Document, public

TABLE = "instance.placement_groups"
MODES = ("optional", "enforced")
TYPES = ("max_availability", "low_latency")


def _checked(call: Call) -> None:
    for field, allowed in (("policy_mode", MODES), ("policy_type", TYPES)):
        if call.body.get(field) not in (None, *allowed):
            raise constraint(field, f"value must be one of {', '.join(allowed)}")


def make(call: Call, owned_by: dict[str, str]) -> Document:
    """Store the group that a call describes."""
    _checked(call)
    created = now(call.world)
    return call.world.put(
        TABLE,
        {
            "id": call.world.new_id(),
            "name": call.body.get("name") or f"pg-{call.world.new_id()[:8]}",
            **owned_by,
            "policy_mode": call.body.get("policy_mode") or MODES[0],
            "policy_type": call.body.get("policy_type") or TYPES[0],
            "policy_respected": True,
            "tags": list_of_strings(call, "tags"),
            "zone": call.params["zone"],
            "_created_at": created,
            "_updated_at": created,
        },
    )


def change(call: Call, group: Document) -> None:
    """Set the fields that a PATCH names; 400 as long as a server of the group is on."""
    _checked(call)
    members = call.world.where("instance.servers", _placement_group=group["id"])
    if any(server["state"] != "stopped" for server in members):
        raise unusable("All instances must be powered off to change a group properties.")
    for field in ("name", "policy_mode", "policy_type"):
        if call.body.get(field) is not None:
            group[field] = call.body[field]
    if "tags" in call.body:
        group["tags"] = list_of_strings(call, "tags")
    group["_updated_at"] = now(call.world)
    call.world.put(TABLE, group)


def dissolve(call: Call, group: Document) -> None:
    """Delete a group; its servers stay, without one."""
    for server in call.world.where("instance.servers", _placement_group=group["id"]):
        server["_placement_group"] = None
        call.world.put("instance.servers", server)
    call.world.remove(TABLE, group["id"])


@INSTANCE.post("/placement_groups")
def create_placement_group(call: Call) -> Answer:
    """Make a group."""
    return Reply({"placement_group": public(make(call, owner(call)))}, 201)


@INSTANCE.get("/placement_groups")
def list_placement_groups(call: Call) -> Answer:
    """The groups of the zone."""
    return page(call, matching(call, "placement_group"), "placement_groups")


@INSTANCE.get("/placement_groups/{placement_group_id}")
def get_placement_group(call: Call) -> Answer:
    """One group."""
    return {"placement_group": public(find(call, "placement_group", call.params["placement_group_id"]))}


@INSTANCE.patch("/placement_groups/{placement_group_id}")
def update_placement_group(call: Call) -> Answer:
    """Rename a group or change its policy."""
    group = find(call, "placement_group", call.params["placement_group_id"])
    change(call, group)
    return {"placement_group": public(group)}


@INSTANCE.get("/placement_groups/{placement_group_id}/servers")
def list_placement_group_servers(call: Call) -> Answer:
    """The servers of a group."""
    group = find(call, "placement_group", call.params["placement_group_id"])
    members = call.world.where("instance.servers", _placement_group=group["id"])
    return {"servers": [{"id": server["id"], "name": server["name"], "policy_respected": True} for server in members]}


@INSTANCE.delete("/placement_groups/{placement_group_id}")
def delete_placement_group(call: Call) -> Answer:
    """Delete a group."""
    dissolve(call, find(call, "placement_group", call.params["placement_group_id"]))
    return None
