"""Scaleway's permission sets: the narrowest that an environment takes, and the one that a refused call lacks.

A plan looks for what is ours of every kind, so the kinds that a file does not use take their products' reading sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from blueprint.environment import Environment
from blueprint.kinds import KINDS

OBJECT_SETS = (
    "ObjectStorageBucketsRead",
    "ObjectStorageObjectsDelete",
    "ObjectStorageObjectsRead",
    "ObjectStorageObjectsWrite",
)
"""What backups take besides, where objects are copied from and to: those that no rule wants any more are deleted."""

_WIDE = ("FullAccess", "Manager")
_NEVER_ONLY_READ = ("ObjectStorageBucketsWrite", "ObjectStorageBucketsDelete", "ObjectStorageBucketPolicyFullAccess")

_BY_PATH = (
    ("/account/", "Project", "Manager"),
    ("/block/", "BlockStorage", "FullAccess"),
    ("/cockpit/", "Observability", "FullAccess"),
    ("/domain/", "DomainsDNS", "FullAccess"),
    ("/iam/[^/]+/ssh-keys", "SSHKeys", "FullAccess"),
    ("/iam/[^/]+/(policies|rules)", "IAMPolicy", "Manager"),
    ("/iam/", "IAMApplication", "Manager"),
    ("/instance/", "Instances", "FullAccess"),
    ("/ipam/", "IPAM", "FullAccess"),
    ("/lb/", "LoadBalancers", "FullAccess"),
    ("/mnq/", "MessagingAndQueuing", "FullAccess"),
    ("/rdb/", "RelationalDatabases", "FullAccess"),
    ("/redis/", "Redis", "FullAccess"),
    ("/vpc/.*/private-networks", "PrivateNetworks", "FullAccess"),
    ("/vpc/", "VPC", "FullAccess"),
    ("/vpc-gw/", "VPCGateway", "FullAccess"),
)
_ACCESS = "/secret-manager/.*/access"


@dataclass(frozen=True)
class Rule:
    """One rule of a policy.

    Attributes:
        scope: whether it is about a project or about the organization.
        permission_sets: by name, in order.
        project_id: which project; the environment's own if empty.
    """

    scope: Literal["project", "organization"]
    permission_sets: tuple[str, ...]
    project_id: str = ""


def needed(environment: Environment) -> tuple[Rule, ...]:
    """The narrowest rules with which an environment can be planned, changed, released, backed up and destroyed."""
    sets: set[str] = set()
    for kind in KINDS.values():
        used = any(True for _ in kind.resources(environment))
        sets.update(kind.permission_sets if used else _reading(kind.permission_sets))
    if environment.backup is None:
        return rules_of(sets)
    store = environment.backup.store
    elsewhere = (Rule("project", OBJECT_SETS, store.project_id),) if store and store.project_id else ()
    return (*rules_of({*sets, *OBJECT_SETS}), *elsewhere)


def rules_of(sets: Iterable[str]) -> tuple[Rule, ...]:
    """Permission sets as rules: no set beside one that holds it, and each where it can be granted."""
    names = set(sets)
    kept = sorted(name for name in names if not any(wide in names for wide in _wider(name)))
    organization = tuple(name for name in kept if name.startswith(("IAM", "Project")))
    project = tuple(name for name in kept if name not in organization)
    scoped: tuple[tuple[Literal["project", "organization"], tuple[str, ...]], ...] = (
        ("project", project),
        ("organization", organization),
    )
    return tuple(Rule(scope, names) for scope, names in scoped if names)


def taken_by(call: str) -> str:
    """The permission set that a call of the API takes, or "" if that is unknown.

    Args:
        call: "POST /vpc/v2/regions/fr-par/vpcs".
    """
    method, _, path = call.partition(" ")
    if re.match(_ACCESS, path):
        return "SecretManagerSecretAccess"
    if path.startswith("/secret-manager/"):
        return "SecretManagerReadOnly" if method == "GET" else "SecretManagerFullAccess"
    for pattern, stem, wide in _BY_PATH:
        if re.match(pattern, path):
            return f"{stem}ReadOnly" if method == "GET" else f"{stem}{wide}"
    return ""


def taken_by_s3(operation: str) -> str:
    """The permission set that an operation of Object Storage takes.

    Args:
        operation: "PutBucketTagging".
    """
    reads = operation.startswith(("Get", "Head", "List"))
    if operation.endswith("BucketPolicy"):
        return "ObjectStorageBucketPolicyFullAccess"
    if operation == "DeleteBucket":
        return "ObjectStorageBucketsDelete"
    if "Bucket" in operation or operation.endswith("ObjectLockConfiguration"):
        return f"ObjectStorageBuckets{'Read' if reads else 'Write'}"
    if operation in ("DeleteObject", "DeleteObjects"):
        return "ObjectStorageObjectsDelete"
    return f"ObjectStorageObjects{'Read' if reads else 'Write'}"


def _reading(sets: Iterable[str]) -> Iterable[str]:
    """What of these sets a look takes."""
    for name in sets:
        stem = next((name.removesuffix(end) for end in _WIDE if name.endswith(end)), None)
        if name not in _NEVER_ONLY_READ:
            yield name if stem is None else f"{stem}ReadOnly"


def _wider(name: str) -> Iterable[str]:
    """The sets that hold this one."""
    stem = name.removesuffix("ReadOnly")
    return [f"{stem}{end}" for end in _WIDE] if stem != name else []
