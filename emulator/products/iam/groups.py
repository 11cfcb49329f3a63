"""Groups of users and applications."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.paging import matching
from emulator.products.iam.api import IAM, change, listing, new, select
from emulator.routing import Answer, Call
from emulator.world import Document, public

MEMBERS = ("user_ids", "application_ids")


@IAM.post("/groups", call_ms=198)
def create_group(call: Call) -> Answer:
    """Make an empty group."""
    return public(call.world.put("iam.groups", new(call, user_ids=[], application_ids=[])))


@IAM.get("/groups", call_ms=99)
def list_groups(call: Call) -> Answer:
    """Groups by name, tag or members."""
    found = matching(call, call.world.all("iam.groups"))
    chosen = select(call, found, application_ids="application_ids", user_ids="user_ids")
    return listing(call, chosen, "groups")


@IAM.get("/groups/{group_id}", call_ms=56)
def get_group(call: Call) -> Answer:
    """One group."""
    return public(_group(call))


@IAM.patch("/groups/{group_id}", call_ms=72)
def update_group(call: Call) -> Answer:
    """Change name, description or tags."""
    group = _group(call)
    change(call, group, "name", "description", "tags")
    return public(call.world.put("iam.groups", group))


@IAM.delete("/groups/{group_id}", call_ms=82)
def delete_group(call: Call) -> Answer:
    """Remove a group; its policies stay without a principal."""
    group_id = _group(call)["id"]
    for policy in list(call.world.where("iam.policies", group_id=group_id)):
        del policy["group_id"]
        call.world.put("iam.policies", {**policy, "no_principal": True})
    call.world.remove("iam.groups", group_id)
    return None


@IAM.put("/groups/{group_id}/members", call_ms=335)
def set_members(call: Call) -> Answer:
    """Replace all members."""
    group = _group(call)
    for field in MEMBERS:
        group[field] = _known(call, field, call.body.get(field) or [])
    return public(call.world.put("iam.groups", group))


@IAM.post("/groups/{group_id}/add-members")
def add_members(call: Call) -> Answer:
    """Add members to those that there are."""
    group = _group(call)
    for field in MEMBERS:
        new_ones = _known(call, field, call.body.get(field) or [])
        group[field] += [member for member in new_ones if member not in group[field]]
    return public(call.world.put("iam.groups", group))


@IAM.post("/groups/{group_id}/add-member", call_ms=371)
def add_member(call: Call) -> Answer:
    """Add one user or application."""
    group = _group(call)
    for field in MEMBERS:
        if member := call.body.get(field.removesuffix("s")):
            group[field] += [one for one in _known(call, field, [member]) if one not in group[field]]
    return public(call.world.put("iam.groups", group))


@IAM.post("/groups/{group_id}/remove-member", call_ms=125)
def remove_member(call: Call) -> Answer:
    """Remove one user or application."""
    group = _group(call)
    for field in MEMBERS:
        if member := call.body.get(field.removesuffix("s")):
            if member not in group[field]:
                raise not_found("", member)
            group[field].remove(member)
    return public(call.world.put("iam.groups", group))


def _group(call: Call) -> Document:
    return call.require("iam.groups", call.params["group_id"], "group")


def _known(call: Call, field: str, ids: list[str]) -> list[str]:
    """The ids, once the applications among them are known to exist; users may be of another organization."""
    if field == "application_ids":
        for member in ids:
            call.require("iam.applications", member, "application")
    return list(ids)
