"""VPCs, one of which is the default of its project and region."""

from __future__ import annotations

from typing import Any

from emulator.errors import precondition_failed
from emulator.paging import matching, page
from emulator.products.account import organization_of
from emulator.products.vpc.api import (
    ACLS,
    CONNECTORS,
    PRIVATE_NETWORKS,
    ROUTES,
    VPCS,
    here,
    ordered,
    owner,
    require,
    updated,
    vpc_product,
)
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_PROJECT, Document, World, public, seed

REGIONS = ("fr-par", "nl-ams", "pl-waw", "it-mil")
NEWEST_FIELDS = ("s3_integration_enabled", "transitivity_enabled")


@seed
def default_vpcs(world: World) -> None:
    """The default project has used every region already, so that its default VPCs are there."""
    for region in REGIONS:
        default_vpc(world, DEFAULT_PROJECT, region)


def default_vpc(world: World, project_id: str, region: str) -> Document:
    """The default VPC of a project, made when it is first needed: a fresh project lists none."""
    for vpc in world.where(VPCS, project_id=project_id, region=region, is_default=True):
        return vpc
    holder = {"project_id": project_id, "organization_id": organization_of(world, project_id)}
    return _create(world, holder, region, name="default", tags=["default"], is_default=True)


def show(world: World, vpc: Document) -> Document:
    """A VPC as the API shows it, with the number of its private networks."""
    return public(vpc) | {"private_network_count": sum(1 for _ in world.where(PRIVATE_NETWORKS, vpc_id=vpc["id"]))}


def _create(world: World, holder: Document, region: str, **fields: Any) -> Document:
    now = world.timestamp()
    return world.put(
        VPCS,
        {
            "id": world.new_id(),
            "is_default": False,
            "transitivity_enabled": False,
            **fields,
            **holder,
            "region": region,
            # Every VPC routes by now, even one created with enable_routing=false.
            "routing_enabled": True,
            "custom_routes_propagation_enabled": True,
            "s3_integration_enabled": False,
            "created_at": now,
            "updated_at": now,
        },
    )


def _vpc(call: Call) -> Document:
    return require(call, VPCS, call.params["vpc_id"], "vpc")


def _switched(call: Call, field: str) -> Document:
    vpc = _vpc(call)
    if not vpc[field]:
        vpc[field] = True
        updated(call, VPCS, vpc)
    return show(call.world, vpc)


@vpc_product.post("/vpcs", call_ms=164)
def create_vpc(call: Call) -> Answer:
    """CreateVPC."""
    vpc = _create(
        call.world,
        owner(call),
        call.params["region"],
        name=call.body.get("name") or f"vpc-{call.world.new_id()[:8]}",
        tags=call.body.get("tags") or [],
        transitivity_enabled=bool(call.body.get("enable_transitivity")),
    )
    return show(call.world, vpc)


@vpc_product.get("/vpcs")
def list_vpcs(call: Call) -> Answer:
    """ListVPCs."""
    found = matching(call, here(call, VPCS))
    for field in ("is_default", "routing_enabled"):
        wanted = call.flag(field)
        if wanted is not None:
            found = [vpc for vpc in found if vpc[field] is wanted]
    return page(call, ordered(call, found), "vpcs", show=lambda vpc: show(call.world, vpc))


@vpc_product.get("/vpcs/{vpc_id}", call_ms=36)
def get_vpc(call: Call) -> Answer:
    """GetVPC."""
    return show(call.world, _vpc(call))


@vpc_product.patch("/vpcs/{vpc_id}")
def update_vpc(call: Call) -> Answer:
    """UpdateVPC."""
    return show(call.world, updated(call, VPCS, _vpc(call), "name", "tags"))


@vpc_product.delete("/vpcs/{vpc_id}", call_ms=193)
def delete_vpc(call: Call) -> Answer:
    """DeleteVPC: refused for the default one, and while a private network or a connector is left."""
    world, vpc = call.world, _vpc(call)
    if vpc["is_default"]:
        raise precondition_failed("resource_not_usable", "Default VPC cannot be deleted")
    if any(world.where(PRIVATE_NETWORKS, vpc_id=vpc["id"])) or any(world.where(CONNECTORS, vpc_id=vpc["id"])):
        raise precondition_failed("resource_still_in_use", "VPC must be empty to be deleted")
    for table in (ROUTES, ACLS):
        for document in list(world.where(table, vpc_id=vpc["id"])):
            world.remove(table, document["id"])
    world.remove(VPCS, vpc["id"])
    return None


@vpc_product.post("/vpcs/{vpc_id}/enable-routing")
def enable_routing(call: Call) -> Answer:
    """EnableRouting."""
    return _switched(call, "routing_enabled")


@vpc_product.post("/vpcs/{vpc_id}/enable-custom-routes-propagation", call_ms=44)
def enable_custom_routes_propagation(call: Call) -> Answer:
    """EnableCustomRoutesPropagation: its recorded answers lack the two newest fields of a VPC."""
    vpc = _switched(call, "custom_routes_propagation_enabled")
    return {name: value for name, value in vpc.items() if name not in NEWEST_FIELDS}
