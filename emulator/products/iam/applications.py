"""Applications: the principals that programs act as."""

from __future__ import annotations

from emulator.paging import matching
from emulator.products.iam.api import IAM, change, check_quota, listing, new, select
from emulator.routing import Answer, Call
from emulator.world import Document, public


@IAM.post("/applications", call_ms=133)
def create_application(call: Call) -> Answer:
    """Make an application; names need not be unique."""
    check_quota(call, "IamApplications")
    document = new(call, nb_api_keys=0)
    return public(call.world.put("iam.applications", document))


@IAM.get("/applications", call_ms=53)
def list_applications(call: Call) -> Answer:
    """Applications by name, tag or ids."""
    found = matching(call, call.world.all("iam.applications"))
    return listing(call, select(call, found, application_ids="id"), "applications")


@IAM.get("/applications/{application_id}", call_ms=54)
def get_application(call: Call) -> Answer:
    """One application."""
    return public(_application(call))


@IAM.patch("/applications/{application_id}", call_ms=64)
def update_application(call: Call) -> Answer:
    """Change name, description or tags."""
    document = _application(call)
    change(call, document, "name", "description", "tags")
    return public(call.world.put("iam.applications", document))


@IAM.delete("/applications/{application_id}", call_ms=96)
def delete_application(call: Call) -> Answer:
    """Remove an application: its API keys go with it, its policies stay without a principal."""
    application_id = _application(call)["id"]
    world = call.world
    for key in list(world.where("iam.api_keys", application_id=application_id)):
        world.remove("iam.api_keys", key["access_key"])
    for policy in list(world.where("iam.policies", application_id=application_id)):
        del policy["application_id"]
        world.put("iam.policies", {**policy, "no_principal": True})
    for group in world.all("iam.groups"):
        if application_id in group["application_ids"]:
            group["application_ids"].remove(application_id)
            world.put("iam.groups", group)
    world.remove("iam.applications", application_id)
    return None


def _application(call: Call) -> Document:
    return call.require("iam.applications", call.params["application_id"], "application")
