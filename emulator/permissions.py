"""Which permission sets open which operation.

A product has a set that reads and one that does all; some have narrower ones besides (Scaleway IAM, permission sets).
"""

from __future__ import annotations

import re

EVERYTHING = ("AllProductsFullAccess",)
EVERYTHING_READ = ("AllProductsReadOnly", "AllProductsFullAccess")
_IAM_READ = ("IAMReadOnly", "IAMManager", "OrganizationManager")
_IAM_WRITE = ("IAMManager", "OrganizationManager")

PRODUCTS: tuple[tuple[str, str], ...] = (
    ("/block/", "BlockStorage"),
    ("/cockpit/", "Observability"),
    ("/domain/", "DomainsDNS"),
    ("/instance/", "Instances"),
    ("/ipam/", "IPAM"),
    ("/lb/", "LoadBalancers"),
    ("/mnq/", "MessagingAndQueuing"),
    ("/rdb/", "RelationalDatabases"),
    ("/redis/", "Redis"),
    ("/vpc/v2/regions/[^/]+/private-networks", "PrivateNetworks"),
    ("/vpc/", "VPC"),
    ("/vpc-gw/", "VPCGateway"),
)
"""How the sets of a product begin, by how its paths do. What is in none of these tables (marketplace) is open."""

IAM: tuple[tuple[str, str], ...] = (
    ("applications|api-keys", "IAMApplication"),
    ("policies|rules", "IAMPolicy"),
    ("groups", "IAMGroup"),
    ("users", "IAMUser"),
)
"""The same for what follows /iam/v1alpha1/. These are about the organization: nothing about all products opens them."""


def opening(method: str, path: str) -> tuple[str, ...] | None:
    """The permission sets each of which lets a key make this call of the API; None if every key may.

    Args:
        method: GET for reading, any other for changing.
        path: without the query.
    """
    reads = method == "GET"
    if path.startswith("/account/"):
        return ("ProjectManager", *_IAM_WRITE, *(("ProjectReadOnly", "IAMReadOnly") if reads else ()))
    if path.startswith("/iam/"):
        return _of_iam(reads, path)
    if path.startswith("/secret-manager/"):
        return _of_secrets(method, path)
    stem = next((stem for pattern, stem in PRODUCTS if re.match(pattern, path)), None)
    if stem is None:
        return None
    return _read(stem) if reads else _full(stem)


def opening_s3(operation: str, mutating: bool) -> tuple[str, ...]:
    """The same for an operation of Object Storage: "PutBucketTagging"."""
    wide = _read("ObjectStorage") if not mutating else _full("ObjectStorage")
    if operation.endswith("BucketPolicy"):
        return ("ObjectStorageBucketPolicyFullAccess", *wide)
    if operation == "DeleteBucket":
        return ("ObjectStorageBucketsDelete", *wide)
    if "Bucket" in operation or operation.endswith("ObjectLockConfiguration"):
        return (f"ObjectStorageBuckets{'Write' if mutating else 'Read'}", *wide)
    if operation in ("DeleteObject", "DeleteObjects"):
        return ("ObjectStorageObjectsDelete", *wide)
    return (f"ObjectStorageObjects{'Write' if mutating else 'Read'}", *wide)


def _full(stem: str) -> tuple[str, ...]:
    return (f"{stem}FullAccess", *EVERYTHING)


def _read(stem: str) -> tuple[str, ...]:
    return (f"{stem}ReadOnly", f"{stem}FullAccess", *EVERYTHING_READ)


def _of_iam(reads: bool, path: str) -> tuple[str, ...]:
    if "/ssh-keys" in path:
        return ("SSHKeysFullAccess", *_IAM_WRITE, *(("SSHKeysReadOnly", "IAMReadOnly") if reads else ()))
    stem = next((stem for word, stem in IAM if re.match(f"/iam/v1alpha1/({word})", path)), "IAM")
    return (f"{stem}Manager", *_IAM_WRITE, *((f"{stem}ReadOnly", *_IAM_READ) if reads else ()))


def _of_secrets(method: str, path: str) -> tuple[str, ...]:
    full = _full("SecretManager")
    if path.endswith("/access"):
        return ("SecretManagerSecretAccess", *full)
    if method == "GET":
        return _read("SecretManager")
    if method == "DELETE":
        return ("SecretManagerSecretDelete", *full)
    if method == "POST" and path.endswith(("/secrets", "/versions")):
        return ("SecretManagerSecretCreate", *full)
    return ("SecretManagerSecretWrite", *full)
