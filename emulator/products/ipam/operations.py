"""The operations of IPAM v1."""

from __future__ import annotations

import ipaddress

from emulator.errors import invalid_arguments, not_found, precondition_failed
from emulator.paging import page
from emulator.products.ipam.addresses import IPS, NETWORKS, attach, book, detach, host, release
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, hook, public

product = Product("ipam", "/ipam/v1/regions/{region}")

REVERSE_SYNC = 1.0
"""Seconds until a changed reverse name is read back."""


def show(world: World, ip: Document) -> Document:
    """An address as the API shows it: the reverse names that Scaleway gives by itself come before the user's."""
    return public(ip) | {"reverses": [*_given_names(world, ip), *ip["reverses"]]}


def _given_names(world: World, ip: Document) -> list[Document]:
    """Public IPv6 prefixes have a name, and another one for the address that their server derives from its MAC."""
    if not ip["is_ipv6"] or "zonal" not in ip["source"]:
        return []
    prefix = ipaddress.IPv6Network(ip["address"])
    names: list[Document] = [{"address": None, "hostname": "-".join(_groups(prefix[0])) + ".rev.scw.cloud."}]
    server = world.find("instance.servers", (ip["resource"] or {}).get("id", ""))
    if server is not None:
        mac = bytes.fromhex(server["mac_address"].replace(":", ""))
        interface = bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
        address = prefix[int.from_bytes(interface, "big")]
        hostname = "-".join(reversed(_groups(address))) + ".instances.scw.cloud."
        names.append({"address": str(address), "hostname": hostname})
    return names


def _groups(address: ipaddress.IPv6Address) -> list[str]:
    return [f"{int(group, 16):x}" for group in address.exploded.split(":")]


def _ip(call: Call) -> Document:
    ip = call.require(IPS, call.params["ip_id"], "ip")
    if ip["region"] != call.params["region"]:
        raise not_found("ip", ip["id"])
    return ip


def _source(world: World, source: Document) -> Document:
    """The private network that a booking names, itself or by one of its subnets."""
    if key := source.get("private_network_id"):
        found = world.find(NETWORKS, key)
        if found is None:
            raise not_found("private_network", key)
        return found
    for private_network in world.all(NETWORKS):
        if any(subnet["id"] == source.get("subnet_id") for subnet in private_network["subnets"]):
            return private_network
    if key := source.get("subnet_id"):
        raise not_found("subnet", key)
    raise invalid_arguments(("source", "constraint", "only a Private Network can be the source of a reservation"))


def _mac(body: Document, name: str) -> str:
    text = str((body.get(name) or {}).get("mac_address") or "").upper()
    if len(text) != 17 or any(len(part) != 2 or set(part) - set("0123456789ABCDEF") for part in text.split(":")):
        raise invalid_arguments((f"{name}.mac_address", "format", "not a MAC address"))
    return text


def _custom(body: Document, name: str, ip_id: str) -> Document:
    return {"id": ip_id, "mac_address": _mac(body, name), "name": body[name].get("name"), "type": "custom"}


def _require_custom(ip: Document, mac_address: str, name: str) -> None:
    if ip["resource"] is None or ip["resource"]["type"] != "custom":
        raise precondition_failed("resource_not_usable", "IP is not attached to a custom resource")
    if ip["resource"]["mac_address"] != mac_address:
        raise invalid_arguments((f"{name}.mac_address", "constraint", "IP is attached to another resource"))


@product.post("/ips", call_ms=275)
def book_ip(call: Call) -> Answer:
    """BookIP: in a private network, any address of its subnet or the one asked for."""
    world, body = call.world, call.body
    project_id = body.get("project_id") or DEFAULT_PROJECT
    if world.find("account.projects", project_id) is None:
        raise not_found("project", project_id)
    private_network = _source(world, body.get("source") or {})
    if private_network["region"] != call.params["region"]:
        raise not_found("private_network", private_network["id"])
    if private_network["project_id"] != project_id:
        raise invalid_arguments(("project_id", "constraint", "differs from that of the Private Network"))
    mac_address = None if body.get("resource") is None else _mac(body, "resource")
    ip = book(
        world,
        project_id=project_id,
        region=private_network["region"],
        private_network_id=private_network["id"],
        resource=None,
        is_ipv6=bool(body.get("is_ipv6")),
        address=body.get("address"),
        tags=body.get("tags") or (),
    )
    ip["_reserved"] = True
    if mac_address is not None:
        ip["resource"] = _custom(body, "resource", ip["id"])
    return public(world.put(IPS, ip))


@product.get("/ips", call_ms=56)
def list_ips(call: Call) -> Answer:
    """ListIPs: newest first; of several tags one is enough."""
    field, _, direction = (call.arg("order_by") or "created_at_desc").rpartition("_")
    found = sorted((ip for ip in call.world.all(IPS) if _listed(call, ip)), key=lambda ip: _order(ip, field))
    return page(call, found[::-1] if direction == "desc" else found, "ips", show=lambda ip: show(call.world, ip))


def _order(ip: Document, field: str) -> str:
    if field == "ip_address":
        return f"{int(ipaddress.ip_address(host(ip))):040d}"
    if field == "mac_address":
        return str((ip["resource"] or {}).get("mac_address") or "")
    return str(ip["updated_at" if field == "updated_at" else "created_at"])


def _listed(call: Call, ip: Document) -> bool:
    """Whether the address passes every filter of the call."""
    world, resource = call.world, ip["resource"] or {}
    private_network = world.find(NETWORKS, ip["_private_network_id"] or "") or {}
    values = {
        "project_id": ip["project_id"],
        "zonal": ip["source"].get("zonal"),
        "private_network_id": ip["_private_network_id"],
        "subnet_id": ip["source"].get("subnet_id"),
        "vpc_id": private_network.get("vpc_id"),
        "source_vpc_id": private_network.get("vpc_id"),
        "resource_id": resource.get("id"),
        "resource_type": resource.get("type"),
        "mac_address": str(resource.get("mac_address") or "").lower(),
    }
    for name, value in values.items():
        wanted = call.arg(name)
        if wanted and wanted != "unknown_type" and wanted.lower() != str(value).lower():
            return False
    for name, value in (("resource_ids", resource.get("id")), ("resource_types", resource.get("type"))):
        if (several := call.args(name)) and value not in several:
            return False
    for name, is_so in (("is_ipv6", ip["is_ipv6"]), ("attached", bool(resource)), ("regional", not ip["zone"])):
        if (flag := call.flag(name)) is not None and flag is not is_so:
            return False
    tags, ids = set(call.args("tags")), call.args("ip_ids")
    organization = call.arg("organization_id")
    project = world.find("account.projects", ip["project_id"]) or {}
    return (
        ip["region"] == call.params["region"]
        and ip["_listed_at"] <= world.now()
        and (not tags or bool(tags & set(ip["tags"])))
        and (not ids or ip["id"] in ids)
        and (call.arg("resource_name") or "") in str(resource.get("name") or "")
        and (not organization or project.get("organization_id") == organization)
    )


@product.get("/ips/{ip_id}", call_ms=33)
def get_ip(call: Call) -> Answer:
    """GetIP."""
    return show(call.world, _ip(call))


@product.patch("/ips/{ip_id}", call_ms=110)
def update_ip(call: Call) -> Answer:
    """UpdateIP: the answer shows no reverse names; they are read back once the name servers have them."""
    world, ip = call.world, _ip(call)
    if call.body.get("tags") is not None:
        ip["tags"] = call.body["tags"]
    ip["updated_at"] = world.timestamp()
    world.put(IPS, ip)
    if (reverses := call.body.get("reverses")) is None:
        return show(world, ip)
    names = [{"address": r.get("address"), "hostname": str(r["hostname"]).rstrip(".") + "."} for r in reverses]
    world.later(REVERSE_SYNC, IPS, ip["id"], run="ipam.reverses", data={"reverses": names})
    return public(ip) | {"reverses": []}


@hook("ipam.reverses")
def reverses_synced(world: World, ip: Document, data: Document) -> None:
    """Show the new reverse names."""
    ip["reverses"] = data["reverses"]


def _require_free(ip: Document) -> None:
    if ip["resource"] is not None:
        raise precondition_failed("resource_still_in_use", "IP is attached to a resource")


@product.delete("/ips/{ip_id}", call_ms=73)
def release_ip(call: Call) -> Answer:
    """ReleaseIP: refused while a resource holds the address."""
    ip = _ip(call)
    _require_free(ip)
    release(call.world, ip["id"])
    return None


@product.post("/ip-sets/release")
def release_ip_set(call: Call) -> Answer:
    """ReleaseIPSet: all of them or none."""
    ips = [call.require(IPS, key, "ip") for key in call.body.get("ip_ids") or []]
    for ip in ips:
        _require_free(ip)
    for ip in ips:
        release(call.world, ip["id"])
    return None


@product.post("/ips/{ip_id}/attach")
def attach_ip(call: Call) -> Answer:
    """AttachIP: to a custom resource, which is a MAC address."""
    ip = _ip(call)
    _require_free(ip)
    return public(attach(call.world, ip["id"], _custom(call.body, "resource", ip["id"])))


@product.post("/ips/{ip_id}/detach")
def detach_ip(call: Call) -> Answer:
    """DetachIP: from a custom resource."""
    ip = _ip(call)
    _require_custom(ip, _mac(call.body, "resource"), "resource")
    detach(call.world, ip["id"])
    return public(ip)


@product.post("/ips/{ip_id}/move")
def move_ip(call: Call) -> Answer:
    """MoveIP: from one custom resource to another, or to none."""
    ip = _ip(call)
    _require_custom(ip, _mac(call.body, "from_resource"), "from_resource")
    if call.body.get("to_resource") is None:
        detach(call.world, ip["id"])
    else:
        attach(call.world, ip["id"], _custom(call.body, "to_resource", ip["id"]))
    return public(ip)
