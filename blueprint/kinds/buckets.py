"""Buckets and their policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blueprint.environment import Environment
from blueprint.environment.buckets import Bucket, LifecycleRule
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource, ref


def bucket_key(environment: Environment, name: str) -> str:
    """Key of a bucket that the file calls "<domain>/<what>"."""
    return f"bucket.{environment.names.bucket(name)}"


def buckets(environment: Environment) -> Iterable[Resource]:
    """The buckets, with all that is set on a bucket itself."""
    for name, bucket in environment.buckets.items():
        yield Resource(
            key=bucket_key(environment, name),
            kind="bucket",
            name=environment.names.bucket(name),
            fields={
                "versioning": bucket.versioned,
                "locks": bucket.object_lock is not None,
                "retention": bucket.object_lock.model_dump() if bucket.object_lock else None,
                "lifecycle": [_lifecycle(rule) for rule in bucket.lifecycle],
                "cors": [
                    {
                        "origins": rule.origins,
                        "methods": sorted(rule.methods),
                        "headers": rule.headers,
                        "expose_headers": rule.expose_headers,
                        "max_age": rule.max_age,
                    }
                    for rule in bucket.cors
                ],
            },
            protected=True,
        )


def bucket_policies(environment: Environment) -> Iterable[Resource]:
    """The policies of buckets that name who may use them, and of the one with the backups: nobody but the engine."""
    holds_backups = environment.backup.bucket if environment.backup else None
    for name, bucket in environment.buckets.items():
        if bucket.access or name == holds_backups:
            bucket_name = environment.names.bucket(name)
            yield Resource(
                key=f"bucket_policy.{bucket_name}",
                kind="bucket_policy",
                name=f"{bucket_name}/policy",
                parent=bucket_key(environment, name),
                fields={"access": _access(bucket)},
            )


def _access(bucket: Bucket) -> list[dict[str, Any]]:
    return [
        {"application": application, "level": level, "application_id": ref(f"application.{application}")}
        for application, level in sorted(bucket.access.items())
    ]


def _lifecycle(rule: LifecycleRule) -> dict[str, Any]:
    return {
        "prefix": rule.prefix,
        "expire_days": rule.expire_days,
        "expire_noncurrent_days": rule.expire_noncurrent_days,
        "transition_days": rule.transition.after_days if rule.transition else None,
        "transition_class": rule.transition.storage_class if rule.transition else None,
        "abort_multipart_days": rule.abort_multipart_days,
    }


KINDS = (
    Kind(
        name="bucket",
        title="bucket",
        product="s3",
        resources=buckets,
        permission_sets=(
            "ObjectStorageBucketsRead",
            "ObjectStorageBucketsWrite",
            "ObjectStorageBucketsDelete",
            "ObjectStorageBucketPolicyFullAccess",
        ),
        immutable={"locks": "Object Lock is chosen when a bucket is made"},
        protected=True,
        settles=False,
        lingers=False,
        seal="buckets",
    ),
    Kind(
        name="bucket_policy",
        title="bucket policy",
        product="s3",
        resources=bucket_policies,
        permission_sets=("ObjectStorageBucketsRead", "ObjectStorageBucketPolicyFullAccess", "IAMApplicationReadOnly"),
        parent="bucket",
        seal="buckets",
        dies_with_parent=True,
        settles=False,
        lingers=False,
    ),
)
