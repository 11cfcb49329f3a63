"""Clusters: one node, two for high availability, or three to six that shard their data ("cluster mode")."""

from __future__ import annotations

import base64
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulator.errors import invalid_arguments, not_found
from emulator.paging import matching, page
from emulator.products import ipam
from emulator.products.account import organization_of
from emulator.products.redis.catalogue import ZONED, checked_node_type, checked_settings, checked_version
from emulator.products.redis.configuration import checked_rules
from emulator.products.redis.endpoints import SMALLEST_CLUSTER_MODE, book, build
from emulator.products.redis.states import (
    CLUSTERS,
    CREATED,
    DELETED,
    MIGRATED,
    UPDATED,
    find_cluster,
    reprovision,
    show_cluster,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, World, hook

product = Product("redis", ZONED)

MOST_NODES = 6
CERTIFICATE_DAYS = 3650


def _size(body: Document, default: int) -> int:
    size = body.get("cluster_size") or default
    if not isinstance(size, int) or not 1 <= size <= MOST_NODES:
        raise invalid_arguments(("cluster_size", "constraint", f"must be between 1 and {MOST_NODES}"))
    return size


@product.post("/clusters", call_ms=1143)
def create_cluster(call: Call) -> Answer:
    """Make a cluster; without endpoints in the request it is public, with an address once it is ready."""
    body, world = call.body, call.world
    project_id = body.get("project_id") or DEFAULT_PROJECT
    for field in ("user_name", "password"):
        if not body.get(field):
            raise invalid_arguments((field, "constraint", "length must be at least: 1"))
    cluster = {
        "id": world.new_id(),
        "name": body.get("name") or f"red-{world.new_id()[:8]}",
        "project_id": project_id,
        "status": "provisioning",
        "version": checked_version(body.get("version")),
        "endpoints": [],
        "tags": list(body.get("tags") or []),
        "node_type": checked_node_type(body.get("node_type")),
        "created_at": world.timestamp(),
        "updated_at": None,
        "tls_enabled": bool(body.get("tls_enabled")),
        "cluster_settings": checked_settings(body.get("cluster_settings")),
        "acl_rules": checked_rules(world, body.get("acl_rules")),
        "cluster_size": _size(body, 1),
        "zone": call.params["zone"],
        "user_name": body["user_name"],
        "upgradable_versions": [],
        "_organization_id": organization_of(world, project_id),
        "_bookings": {},
        "_certificate": None,
        "_password": str(body["password"]),
    }
    cluster["endpoints"] = build(world, cluster, body.get("endpoints"))
    reprovision(world, cluster, CREATED)
    cluster["updated_at"] = None
    return show_cluster(cluster)


@product.get("/clusters", call_ms=215)
def list_clusters(call: Call) -> Answer:
    """The clusters of a zone."""
    found = matching(call, call.world.where(CLUSTERS, zone=call.params["zone"]))
    if version := call.arg("version"):
        found = [cluster for cluster in found if cluster["version"] == version]
    if organization := call.arg("organization_id"):
        found = [cluster for cluster in found if cluster["_organization_id"] == organization]
    field, _, direction = (call.arg("order_by") or "created_at_asc").rpartition("_")
    if field == "name":
        found.sort(key=lambda cluster: str(cluster["name"]))
    if direction == "desc":
        found.reverse()
    return page(call, found, "clusters", show=show_cluster)


@product.get("/clusters/{cluster_id}", call_ms=125)
def get_cluster(call: Call) -> Answer:
    """One cluster."""
    return show_cluster(find_cluster(call))


@product.patch("/clusters/{cluster_id}", call_ms=169)
def update_cluster(call: Call) -> Answer:
    """Change name, tags, user or password; only the last two reach the nodes and take time."""
    cluster, body = writable(find_cluster(call)), call.body
    for field, key in (("name", "name"), ("user_name", "user_name"), ("password", "_password")):
        if body.get(field):
            cluster[key] = body[field]
    if body.get("tags") is not None:
        cluster["tags"] = list(body["tags"])
    cluster["updated_at"] = call.world.timestamp()
    call.world.put(CLUSTERS, cluster)
    if body.get("user_name") or body.get("password"):
        reprovision(call.world, cluster, UPDATED, initializing=False)
    return show_cluster(cluster)


@product.post("/clusters/{cluster_id}/migrate", call_ms=939)
def migrate_cluster(call: Call) -> Answer:
    """Change version, node type or number of nodes, one at a time; a standalone never becomes a cluster."""
    cluster, body, world = writable(find_cluster(call)), call.body, call.world
    wanted = [field for field in ("version", "node_type", "cluster_size") if body.get(field)]
    if len(wanted) != 1:
        raise invalid_arguments(("action", "required", "one of version, node_type and cluster_size is required"))
    if wanted == ["version"]:
        cluster["version"] = _newer(cluster, checked_version(body["version"]))
    elif wanted == ["node_type"]:
        cluster["node_type"] = checked_node_type(body["node_type"])
    else:
        cluster["cluster_size"] = _grown(cluster, _size(body, cluster["cluster_size"]))
        for endpoint in cluster["endpoints"]:
            if endpoint.get("private_network", {}).get("provisioning_mode") == "ipam":
                book(world, cluster, endpoint)
    reprovision(world, cluster, MIGRATED)
    return show_cluster(cluster)


def _newer(cluster: Document, version: str) -> str:
    if [int(part) for part in version.split(".")] <= [int(part) for part in cluster["version"].split(".")]:
        raise invalid_arguments(("version", "constraint", f"{version} is not above {cluster['version']}"))
    return version


def _grown(cluster: Document, size: int) -> int:
    """The new number of nodes, if the cluster may go there (Scaleway gotchas, Redis)."""
    sharded = cluster["cluster_size"] >= SMALLEST_CLUSTER_MODE
    if sharded != (size >= SMALLEST_CLUSTER_MODE):
        raise invalid_arguments(("cluster_size", "constraint", "cluster mode is chosen at creation"))
    if sharded and size < cluster["cluster_size"]:
        raise invalid_arguments(("cluster_size", "constraint", "a cluster cannot shrink"))
    return size


@product.delete("/clusters/{cluster_id}", call_ms=959)
def delete_cluster(call: Call) -> Answer:
    """Delete a cluster that is ready; its addresses go back when it is gone."""
    cluster = writable(find_cluster(call))
    cluster.update(status="deleting", updated_at=call.world.timestamp())
    call.world.put(CLUSTERS, cluster)
    call.world.later(DELETED, CLUSTERS, cluster["id"], run="redis.deleted", remove=True)
    return show_cluster(cluster)


@hook("redis.deleted")
def _deleted(world: World, cluster: Document, data: Document) -> None:
    ipam.release_of(world, cluster["id"])


@product.get("/clusters/{cluster_id}/metrics")
def get_cluster_metrics(call: Call) -> Answer:
    """No time series: nothing is measured here."""
    find_cluster(call)
    return {"timeseries": []}


@product.get("/clusters/{cluster_id}/certificate", call_ms=102)
def get_cluster_certificate(call: Call) -> Answer:
    """The self-signed certificate of a cluster with TLS, PEM in base64; 404 without TLS."""
    cluster = find_cluster(call)
    if not cluster["tls_enabled"]:
        raise not_found("certificate", cluster["id"])
    content, _ = certified(call.world, cluster)
    return {"name": "ssl_certificate", "content_type": "application/x-pem-file", "content": content}


def certified(world: World, cluster: Document) -> tuple[str, str]:
    """The certificate of a cluster, PEM in base64, and its key, PEM; made when it is first needed."""
    if cluster["_certificate"] is None:
        cluster["_certificate"], cluster["_certificate_key"] = _self_signed(world, cluster)
        world.put(CLUSTERS, cluster)
    return cluster["_certificate"], cluster["_certificate_key"]


@product.post("/clusters/{cluster_id}/renew-certificate")
def renew_cluster_certificate(call: Call) -> Answer:
    """Replace the certificate."""
    cluster = writable(find_cluster(call))
    if not cluster["tls_enabled"]:
        raise not_found("certificate", cluster["id"])
    cluster["_certificate"] = None
    reprovision(call.world, cluster, UPDATED, initializing=False)
    return show_cluster(cluster)


def _self_signed(world: World, cluster: Document) -> tuple[str, str]:
    """A certificate for the addresses of a cluster, and its key."""
    addresses = [address for endpoint in cluster["endpoints"] for address in endpoint["ips"]]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ScalewayRedis"),
            x509.NameAttribute(NameOID.COMMON_NAME, addresses[0] if addresses else cluster["id"]),
        ]
    )
    start = datetime.datetime.fromtimestamp(world.now(), datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=CERTIFICATE_DAYS))
    )
    if addresses:
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(pem).decode(), secret.decode()
