"""Object Storage private access: buckets reached from private networks without leaving the VPC."""

from __future__ import annotations

from emulator.errors import precondition_failed
from emulator.products.vpc.api import PRIVATE_NETWORKS, VPCS, product, require, updated
from emulator.products.vpc.vpcs import show
from emulator.routing import Answer, Call
from emulator.world import Document

PATH = "/object-storage-private-access/{vpc_id}"


def _vpc(call: Call) -> Document:
    return require(call, VPCS, call.params["vpc_id"], "vpc")


def _enabled(call: Call) -> Document:
    vpc = _vpc(call)
    if not vpc["s3_integration_enabled"]:
        raise precondition_failed("resource_not_usable", "Object Storage private access is not enabled for the VPC")
    return vpc


def _assign(call: Call, vpc: Document, keys: list[str]) -> Answer:
    """Give access to exactly these private networks of the VPC; 404 for one that is not in it."""
    networks = [require(call, PRIVATE_NETWORKS, key, "private_network") for key in keys]
    for network in networks:
        if network["vpc_id"] != vpc["id"]:
            raise precondition_failed("resource_not_usable", "Private Network is not in the VPC")
    for network in list(call.world.where(PRIVATE_NETWORKS, vpc_id=vpc["id"])):
        network["has_s3_integration"] = network["id"] in keys
        call.world.put(PRIVATE_NETWORKS, network)
    return {"vpc_id": vpc["id"], "private_network_ids": keys}


def _assigned(call: Call, vpc: Document) -> list[str]:
    return [n["id"] for n in call.world.where(PRIVATE_NETWORKS, vpc_id=vpc["id"], has_s3_integration=True)]


@product.post(PATH + "/enable")
def enable_object_storage_private_access(call: Call) -> Answer:
    """EnableObjectStoragePrivateAccess."""
    vpc = _vpc(call)
    _assign(call, vpc, call.body.get("private_network_ids") or [])
    vpc["s3_integration_enabled"] = True
    return show(call.world, updated(call, VPCS, vpc))


@product.post(PATH + "/disable")
def disable_object_storage_private_access(call: Call) -> Answer:
    """DisableObjectStoragePrivateAccess."""
    vpc = _vpc(call)
    _assign(call, vpc, [])
    vpc["s3_integration_enabled"] = False
    return show(call.world, updated(call, VPCS, vpc))


@product.post(PATH + "/private-networks")
def add_private_network(call: Call) -> Answer:
    """AddPrivateNetworkObjectStoragePrivateAccess."""
    vpc = _enabled(call)
    keys = [*_assigned(call, vpc), str(call.body.get("private_network_id"))]
    return _assign(call, vpc, list(dict.fromkeys(keys)))


@product.put(PATH + "/private-networks")
def set_private_networks(call: Call) -> Answer:
    """SetPrivateNetworksObjectStoragePrivateAccess."""
    return _assign(call, _enabled(call), call.body.get("private_network_ids") or [])


@product.delete(PATH + "/private-networks/{private_network_id}")
def delete_private_network(call: Call) -> Answer:
    """DeletePrivateNetworkObjectStoragePrivateAccess."""
    vpc = _enabled(call)
    _assign(call, vpc, [key for key in _assigned(call, vpc) if key != call.params["private_network_id"]])
    return None
