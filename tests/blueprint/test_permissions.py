"""What an environment's key has to be allowed, and what a refused call lacks."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import load, parse
from blueprint.kinds import KINDS
from blueprint.permissions import needed, rules_of, taken_by, taken_by_s3
from emulator.products.iam.permission_sets import SCOPES

MINIMAL: dict[str, Any] = {"org": "acme", "env": "test", "network": {"cidr": "10.0.0.0/24"}, "security_groups": {}}


def sets_of(data: dict[str, Any]) -> dict[str, set[str]]:
    """The permission sets of an environment, by scope."""
    return {rule.scope: set(rule.permission_sets) for rule in needed(parse(data))}


def test_production() -> None:
    """All of it, and nothing beside."""
    project, organization = needed(load("prod"))
    assert project.scope == "project"
    assert project.permission_sets == (
        "BlockStorageFullAccess",
        "DomainsDNSFullAccess",
        "IPAMReadOnly",
        "InstancesFullAccess",
        "LoadBalancersFullAccess",
        "MessagingAndQueuingFullAccess",
        "ObjectStorageBucketPolicyFullAccess",
        "ObjectStorageBucketsDelete",
        "ObjectStorageBucketsRead",
        "ObjectStorageBucketsWrite",
        "ObjectStorageObjectsDelete",
        "ObjectStorageObjectsRead",
        "ObjectStorageObjectsWrite",
        "ObservabilityFullAccess",
        "PrivateNetworksFullAccess",
        "RedisFullAccess",
        "RelationalDatabasesFullAccess",
        "SSHKeysFullAccess",
        "SecretManagerFullAccess",
        "VPCFullAccess",
        "VPCGatewayFullAccess",
    )
    assert (organization.scope, organization.permission_sets) == (
        "organization",
        ("IAMApplicationManager", "IAMPolicyManager"),
    )


def test_what_is_not_used_is_only_looked_at() -> None:
    """A plan has to find what is ours and no longer in the file; it changes nothing there."""
    sets = sets_of(MINIMAL)
    assert sets["organization"] == {"IAMApplicationReadOnly", "IAMPolicyReadOnly"}
    assert {"VPCFullAccess", "PrivateNetworksFullAccess", "RedisReadOnly", "InstancesReadOnly"} <= sets["project"]
    assert {name for name in sets["project"] if name.startswith("ObjectStorage")} == {"ObjectStorageBucketsRead"}
    used = sets_of(MINIMAL | {"redis": {"type": "RED1-XS"}, "buckets": {"shop/files": {}}})
    assert used["project"] - sets["project"] == {
        "ObjectStorageBucketPolicyFullAccess",
        "ObjectStorageBucketsDelete",
        "ObjectStorageBucketsWrite",
        "RedisFullAccess",
        "SecretManagerFullAccess",
    }


def test_a_store_in_another_project() -> None:
    """Backups are written there, and nothing else is done."""
    vault = "5f2c1c4e-0d43-4c5e-9d5b-2f4f3f6f7a11"
    store = {"bucket": "vault", "project_id": vault}
    rules = needed(parse(MINIMAL | {"buckets": {"shop/files": {}}, "backup": {"store": store}}))
    assert [rule.project_id for rule in rules] == ["", "", vault]
    assert rules[-1].permission_sets == (
        "ObjectStorageBucketsRead",
        "ObjectStorageObjectsDelete",
        "ObjectStorageObjectsRead",
        "ObjectStorageObjectsWrite",
    )


def test_every_kind_says_what_it_takes() -> None:
    """Names that Scaleway knows, each of the scope in which it can be granted."""
    assert [kind.name for kind in KINDS.values() if not kind.permission_sets] == ["schedule"]
    for rule in rules_of(name for kind in KINDS.values() for name in kind.permission_sets):
        granted = {"project": "projects", "organization": "organization"}[rule.scope]
        assert {SCOPES.get(name) for name in rule.permission_sets} == {granted}, rule


def test_nothing_is_granted_twice() -> None:
    """A set that is held by another one goes."""
    (project, organization) = rules_of(["VPCReadOnly", "VPCFullAccess", "IAMPolicyReadOnly", "IAMPolicyManager"])
    assert (project.permission_sets, organization.permission_sets) == (("VPCFullAccess",), ("IAMPolicyManager",))


@pytest.mark.parametrize(
    ("call", "taken"),
    [
        ("GET /vpc/v2/regions/fr-par/vpcs", "VPCReadOnly"),
        ("POST /vpc/v2/regions/fr-par/vpcs", "VPCFullAccess"),
        ("POST /vpc/v2/regions/fr-par/private-networks", "PrivateNetworksFullAccess"),
        ("POST /vpc-gw/v2/zones/fr-par-1/gateways", "VPCGatewayFullAccess"),
        ("GET /iam/v1alpha1/ssh-keys", "SSHKeysReadOnly"),
        ("POST /iam/v1alpha1/api-keys", "IAMApplicationManager"),
        ("PUT /iam/v1alpha1/rules", "IAMPolicyManager"),
        ("DELETE /instance/v1/zones/fr-par-1/servers/1", "InstancesFullAccess"),
        ("GET /secret-manager/v1beta1/regions/fr-par/secrets", "SecretManagerReadOnly"),
        ("GET /secret-manager/v1beta1/regions/fr-par/secrets-by-path/versions/1/access", "SecretManagerSecretAccess"),
        ("GET /account/v3/projects/1", "ProjectReadOnly"),
        ("GET /marketplace/v2/images", ""),
        ("read bucket lssm-prod-files", ""),
    ],
)
def test_a_refused_call(call: str, taken: str) -> None:
    """Scaleway does not say which permission set is missing; the path does."""
    assert taken_by(call) == taken
    assert not taken or taken in SCOPES


@pytest.mark.parametrize(
    ("operation", "taken"),
    [
        ("ListBuckets", "ObjectStorageBucketsRead"),
        ("CreateBucket", "ObjectStorageBucketsWrite"),
        ("DeleteBucket", "ObjectStorageBucketsDelete"),
        ("DeleteBucketLifecycle", "ObjectStorageBucketsWrite"),
        ("GetObjectLockConfiguration", "ObjectStorageBucketsRead"),
        ("PutBucketPolicy", "ObjectStorageBucketPolicyFullAccess"),
        ("GetObject", "ObjectStorageObjectsRead"),
        ("ListObjectVersions", "ObjectStorageObjectsRead"),
        ("PostObject", "ObjectStorageObjectsWrite"),
        ("UploadPart", "ObjectStorageObjectsWrite"),
        ("DeleteObject", "ObjectStorageObjectsDelete"),
        ("DeleteObjects", "ObjectStorageObjectsDelete"),
    ],
)
def test_a_refused_operation(operation: str, taken: str) -> None:
    """Object Storage, by boto3's names of operations."""
    assert taken_by_s3(operation) == taken
