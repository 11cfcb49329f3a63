"""Buckets and their policies, through the S3 API."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scaleway.iam.v1alpha1 import IamV1Alpha1API

from activities.boto_errors import absent_as_none, boto_errors
from activities.boundary import attempt_may_have_happened
from activities.kinds.bucket_settings import (
    cors_shown,
    cors_wanted,
    lifecycle_shown,
    lifecycle_wanted,
    lock_wanted,
    retention_shown,
)
from activities.kinds.seal import break_seal
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.errors import Gone, NotOurs, Refused
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource
from telemetry.threads import Threads

if TYPE_CHECKING:
    from types_boto3_s3.literals import BucketVersioningStatusType

READERS = 8
"""Buckets read at a time: each takes five calls."""
POLICY_VERSION = "2023-04-17"
"""The only policy language version that Scaleway takes (Object Storage, section 7.1)."""
_ACTIONS = {
    "read": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"],
    "readwrite": [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:PutObject",
    ],
}
_EVERYTHING = ["s3:*"]
_ENGINE = "engine"
"""Sid of the statement that keeps the engine itself from being locked out."""


class BucketLifecycle(Lifecycle):
    """Buckets. Their names are unique on the whole platform; ours carry our tags."""

    kind = "bucket"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. Under a seal, of the buckets that the file names nothing but the name is read."""
        with boto_errors("list buckets"):
            names = [bucket["Name"] for bucket in self.cloud.s3.list_buckets()["Buckets"]]
        vouched = scope.names if scope.sealed and not scope.refresh else frozenset()
        sealed = [self._sealed(name) for name in names if name in vouched]
        open_ = [name for name in names if name not in vouched and (name in scope.names or self._by_rule(name))]
        return [*sealed, *self._read_all(open_)]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._read(item.name)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`. Its tags come with the second call: until then the bucket is nobody's, and empty.

        Raises:
            NotOurs: the project has a bucket of that name, and no earlier attempt can have made it.
            Refused: another project, perhaps somebody else's, has a bucket of that name.
        """
        break_seal(self.cloud, "buckets")
        if not self._made(resource.name, locks=resource.fields["locks"]):
            tags = self._tags_of(resource.name)
            if not self.is_ours(tags) and (tags or not attempt_may_have_happened()):
                raise NotOurs(
                    "exists, but was not made by us",
                    subject=resource.key,
                    remedy=f"`scaleway-infra apply --adopt {resource.key}` makes it ours; or rename or delete it",
                )
        self._write(resource)
        return resource.name

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        break_seal(self.cloud, "buckets")
        self._write(resource)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. A bucket that holds objects is refused by the API, and that is as it should be."""
        break_seal(self.cloud, "buckets")
        with boto_errors(f"delete bucket {item.name}"):
            self.cloud.s3.delete_bucket(Bucket=item.name)

    def _write(self, resource: Resource) -> None:
        """Everything that is set on a bucket. Tags come first: they make it ours."""
        s3, name, fields = self.cloud.s3, resource.name, resource.fields
        with boto_errors(f"set up bucket {name}"):
            s3.put_bucket_tagging(
                Bucket=name, Tagging={"TagSet": [{"Key": tag, "Value": ""} for tag in self.tags(resource)]}
            )
            wanted: BucketVersioningStatusType = "Enabled" if fields["versioning"] else "Suspended"
            if s3.get_bucket_versioning(Bucket=name).get("Status", "Suspended") != wanted:
                s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": wanted})
            if fields["retention"]:
                s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock_wanted(fields["retention"]))
            if fields["lifecycle"]:
                s3.put_bucket_lifecycle_configuration(
                    Bucket=name, LifecycleConfiguration=lifecycle_wanted(fields["lifecycle"])
                )
            else:
                s3.delete_bucket_lifecycle(Bucket=name)
            if fields["cors"]:
                s3.put_bucket_cors(Bucket=name, CORSConfiguration=cors_wanted(fields["cors"]))
            else:
                s3.delete_bucket_cors(Bucket=name)

    def _by_rule(self, name: str) -> bool:
        """Whether the name follows our rule, "<domain>-<env>-<what>": worth a look at its tags."""
        return f"-{self.cloud.target.env}-" in name

    def _read_all(self, names: Sequence[str]) -> builtins.list[Observed]:
        if not names:
            return []
        with Threads(READERS, thread_name_prefix="bucket") as pool:
            return list(pool.map(self._read, names))

    def _made(self, name: str, *, locks: bool) -> bool:
        """Make an empty bucket; False if the project has it already."""
        with boto_errors(f"create bucket {name}"):
            try:
                self.cloud.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
            except self.cloud.s3.exceptions.BucketAlreadyOwnedByYou:
                return False
        return True

    def _tags_of(self, name: str) -> builtins.list[str]:
        with boto_errors(f"read bucket {name}"):
            return _tags(absent_as_none(self.cloud.s3.get_bucket_tagging, Bucket=name))

    def _read(self, name: str) -> Observed:
        s3 = self.cloud.s3
        with boto_errors(f"read bucket {name}"):
            versioning = s3.get_bucket_versioning(Bucket=name)
            tagging = absent_as_none(s3.get_bucket_tagging, Bucket=name)
            lifecycle = absent_as_none(s3.get_bucket_lifecycle_configuration, Bucket=name)
            cors = absent_as_none(s3.get_bucket_cors, Bucket=name)
            lock = absent_as_none(s3.get_object_lock_configuration, Bucket=name)
        tags = _tags(tagging)
        return Observed(
            kind=self.kind,
            name=name,
            id=name,
            fields={
                "versioning": versioning.get("Status") == "Enabled",
                "locks": lock is not None,
                "retention": retention_shown(lock),
                "lifecycle": lifecycle_shown(lifecycle),
                "cors": cors_shown(cors),
            },
            outputs={"id": name},
            ownership="ours" if self.is_ours(tags) else "foreign",
            protected=is_protected(tags),
        )

    def _sealed(self, name: str) -> Observed:
        return Observed(kind=self.kind, name=name, id=name, outputs={"id": name}, protected=True, detailed=False)


def _tags(tagging: Mapping[str, Any] | None) -> builtins.list[str]:
    return [tag["Key"] for tag in tagging["TagSet"]] if tagging else []


class BucketPolicyLifecycle(Lifecycle):
    """Policies of buckets: who may do what, and nobody else (Object Storage, section 7.1)."""

    kind = "bucket_policy"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. Under a seal nothing is read: there are the policies of the file, and no others."""
        name = f"{parent.name}/policy"
        if scope.sealed and not scope.refresh:
            if name not in scope.names:
                return []
            return [Observed(kind=self.kind, name=name, id=parent.id, parent_id=parent.id, detailed=False)]
        with boto_errors(f"read policy of bucket {parent.name}"):
            answer = absent_as_none(self.cloud.s3.get_bucket_policy, Bucket=parent.id)
        if answer is None:
            return []
        fields = {"access": _access_shown(json.loads(answer["Policy"]), parent.id)}
        return [Observed(kind=self.kind, name=name, id=parent.id, parent_id=parent.id, fields=fields)]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        break_seal(self.cloud, "buckets")
        bucket: str = resource.inputs["parent_id"]
        policy = {
            "Version": POLICY_VERSION,
            "Id": self.cloud.names.stem,
            "Statement": [
                _statement(_ENGINE, bucket, [self._own_principal()], _EVERYTHING),
                *[_granted(entry, bucket) for entry in resource.fields["access"]],
            ],
        }
        with boto_errors(f"set policy of bucket {bucket}"):
            self.cloud.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        return bucket

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        break_seal(self.cloud, "buckets")
        with boto_errors(f"delete policy of bucket {item.id}"):
            self.cloud.s3.delete_bucket_policy(Bucket=item.id)

    def _own_principal(self) -> str:
        """Who the worker's key speaks for.

        Raises:
            Refused: nobody can tell, and a policy without it would shut the engine out.
        """
        key = self.cloud.settings.access_key
        try:
            found = self.cloud.api(IamV1Alpha1API).get_api_key(access_key=key)
        except Gone:
            raise Refused(
                f"nobody knows whose key {key} is, and a bucket policy has to name its owner",
                remedy="give the worker a key of this organization that may read IAM",
            ) from None
        return f"application_id:{found.application_id}" if found.application_id else f"user_id:{found.user_id}"


def _granted(entry: Mapping[str, Any], bucket: str) -> dict[str, Any]:
    principal = f"application_id:{entry['application_id']}"
    return _statement(entry["application"], bucket, [principal], _ACTIONS[entry["level"]])


def _statement(sid: str, bucket: str, principals: list[str], actions: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"SCW": principals},
        "Action": actions,
        "Resource": [bucket, f"{bucket}/*"],
    }


def _access_shown(policy: Mapping[str, Any], bucket: str) -> list[dict[str, Any]]:
    """The statements as the file declares them; one that is not exactly of our making shows as it is."""
    statements = [_normal(statement) for statement in policy["Statement"]]
    engines = [statement for statement in statements if _is_engines(statement, bucket)]
    shown = [_entry(statement, bucket) for statement in statements if statement not in engines[:1]]
    if not engines:
        shown.append({"application": _ENGINE, "level": "missing"})
    return sorted(shown, key=lambda entry: str(entry["application"]))


def _is_engines(statement: Mapping[str, Any], bucket: str) -> bool:
    """Whether it lets one holder of a key do everything. If that were not we, the bucket would not have let us in."""
    principals = statement["Principal"].get("SCW", [])
    return (
        len(principals) == 1
        and principals != ["*"]
        and statement == _normal(_statement(_ENGINE, bucket, principals, _EVERYTHING))
    )


def _entry(statement: Mapping[str, Any], bucket: str) -> dict[str, Any]:
    principals = statement["Principal"].get("SCW", [])
    for level in _ACTIONS:
        application = str(principals[0]).removeprefix("application_id:") if principals else ""
        entry = {"application": statement.get("Sid", ""), "level": level, "application_id": application}
        if statement == _normal(_granted(entry, bucket)):
            return entry
    return {"application": statement.get("Sid", ""), "level": json.dumps(statement, sort_keys=True)}


def _normal(statement: Mapping[str, Any]) -> dict[str, Any]:
    """With lists where a single value may stand alone, and without the order that has no meaning."""
    principal = statement.get("Principal", {})
    listed = {name: _sorted(statement[name]) for name in ("Action", "Resource") if name in statement}
    return {
        **statement,
        **listed,
        "Principal": {name: _sorted(value) for name, value in principal.items()}
        if isinstance(principal, Mapping)
        else {"SCW": _sorted(principal)},
    }


def _sorted(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else sorted(value)


LIFECYCLES = (BucketLifecycle, BucketPolicyLifecycle)
