"""SQS: activation and credentials through Scaleway's API, queues through the SQS protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scaleway.mnq.v1beta1 import MnqV1Beta1SqsAPI, SqsCredentials, SqsPermissions
from scaleway.mnq.v1beta1.types import SqsInfoStatus

from activities.boto_errors import boto_errors
from activities.cloud import pages
from activities.kinds.seal import break_seal
from activities.kinds.told_once import ToldOnce
from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.errors import PermissionDenied, SecretMissing
from blueprint.kinds.sqs import ENGINE_PERMISSIONS
from blueprint.names import ENGINE_CREDENTIALS
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource, secret

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType

_ATTRIBUTES: dict[QueueAttributeNameType, str] = {
    "VisibilityTimeout": "visibility_timeout",
    "MessageRetentionPeriod": "retention",
}


class SqsLifecycle(Lifecycle):
    """Whether SQS is activated for the project. There is one for each project, so it is ours where it is on."""

    kind = "sqs"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        info = self.cloud.api(MnqV1Beta1SqsAPI).get_sqs_info(project_id=self.cloud.project_id)
        if info.status != SqsInfoStatus.ENABLED:
            return []
        outputs = {"id": info.project_id, "endpoint": info.sqs_endpoint_url}
        name, shared = f"{self.cloud.names.stem}-sqs", self._is_shared()
        return [
            Observed(kind=self.kind, name=name, id=info.project_id, outputs=outputs, status="enabled", shared=shared)
        ]

    def _is_shared(self) -> bool:
        """Whether somebody else in the project has credentials: turning SQS off would take his queues along."""
        fetch = self.cloud.api(MnqV1Beta1SqsAPI).list_sqs_credentials
        found = pages(fetch, "sqs_credentials", project_id=self.cloud.project_id)
        return any(not item.name.startswith(f"{self.cloud.names.stem}-") for item in found)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        return self.cloud.api(MnqV1Beta1SqsAPI).activate_sqs(project_id=self.cloud.project_id).project_id

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(MnqV1Beta1SqsAPI).deactivate_sqs(project_id=self.cloud.project_id)


class SqsCredentialsLifecycle(ToldOnce):
    """Credentials: ours by their name, since they carry no tags. Their secret half is told once."""

    kind = "sqs_credentials"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(MnqV1Beta1SqsAPI).list_sqs_credentials
        prefix = f"{self.cloud.names.stem}-"
        found = [
            item
            for item in pages(fetch, "sqs_credentials", project_id=self.cloud.project_id)
            if item.name.startswith(prefix)
        ]
        filled = self.cloud.secrets.filled(self.cloud.names.secret_path) if found else frozenset()
        return [
            self._observed(item, kept=self.cloud.names.sqs_secret(item.name.removeprefix(prefix)) in filled)
            for item in found
        ]

    def public_half(self, item: Observed) -> str:
        """See `ToldOnce`."""
        return str(item.outputs["access_key"])

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        made = self.cloud.api(MnqV1Beta1SqsAPI).create_sqs_credentials(
            project_id=self.cloud.project_id,
            name=resource.name,
            permissions=_permissions(resource.fields["permissions"]),
        )
        self.keep(resource, made.access_key, {"access_key": made.access_key, "secret_key": made.secret_key})
        return made.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(MnqV1Beta1SqsAPI).update_sqs_credentials(
            sqs_credentials_id=item.id, permissions=_permissions(resource.fields["permissions"])
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(MnqV1Beta1SqsAPI).delete_sqs_credentials(sqs_credentials_id=item.id)

    def _observed(self, item: SqsCredentials, *, kept: bool) -> Observed:
        allowed = item.permissions
        granted = {
            "manage": bool(allowed and allowed.can_manage),
            "publish": bool(allowed and allowed.can_publish),
            "receive": bool(allowed and allowed.can_receive),
        }
        return Observed(
            kind=self.kind,
            name=item.name,
            id=item.id,
            fields={"permissions": sorted(name for name, given in granted.items() if given), "kept": kept},
            outputs={"id": item.id, "access_key": item.access_key},
            uses=(self.cloud.project_id,),
        )


class QueueLifecycle(Lifecycle):
    """Queues: ours by their name, "<domain>-<env>-<what>", since Scaleway's carry no tags (SQS, section 7.2)."""

    kind = "queue"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. Under a seal, of the queues that the file names nothing but the name is read.

        None is seen while the engine's own credentials are not what they should be: the plan mends these first.
        """
        try:
            sqs = self.client()
        except SecretMissing:
            return []
        try:
            with boto_errors("list queues"):
                urls = sqs.list_queues().get("QueueUrls", [])
        except PermissionDenied:
            if self._has_credentials():
                raise
            return []
        found = []
        for url in urls:
            own = url.rsplit("/", 1)[1]
            name = f"{parent.name}/{own}"
            if name not in scope.names and not self._is_named_by_rule(own, scope):
                continue
            sealed = scope.sealed and not scope.refresh and name in scope.names
            found.append(self._observed(name, url, parent.id, None if sealed else self._attributes(sqs, url)))
        return found

    def _is_named_by_rule(self, own: str, scope: Scope) -> bool:
        """Whether a queue that the file does not name is called "<domain>-<env>-<what>".

        A domain of several words counts only if the file has queues of it: "lssm-stg-prod-x" is not one of prod's.
        """
        domain, env, _ = own.partition(f"-{self.cloud.target.env}-")
        declared = any(name.rsplit("/", 1)[1].startswith(f"{domain}{env}") for name in scope.names)
        return bool(env) and ("-" not in domain or declared)

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        sqs, own = self.client(), item.name.rsplit("/", 1)[1]
        with boto_errors(f"read queue {own}"):
            url = sqs.get_queue_url(QueueName=own)["QueueUrl"]
        return self._observed(item.name, url, item.parent_id, self._attributes(sqs, url))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        break_seal(self.cloud, "queues")
        own = resource.name.rsplit("/", 1)[1]
        sqs = self.client()
        with boto_errors(f"create queue {own}"):
            attributes = _wanted(resource.fields)
            try:
                url = sqs.get_queue_url(QueueName=own)["QueueUrl"]
            except sqs.exceptions.QueueDoesNotExist:
                if resource.fields["fifo"]:
                    attributes["FifoQueue"] = "true"
                url = sqs.create_queue(QueueName=own, Attributes=attributes)["QueueUrl"]
            else:
                sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        return url

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`. An empty redrive policy takes away the one that is there."""
        break_seal(self.cloud, "queues")
        attributes = _wanted(resource.fields)
        if any(difference.path.startswith("redrive") for difference in differences):
            attributes.setdefault("RedrivePolicy", "")
        with boto_errors(f"set up queue {item.name}"):
            self.client().set_queue_attributes(QueueUrl=item.id, Attributes=attributes)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        break_seal(self.cloud, "queues")
        with boto_errors(f"delete queue {item.name}"):
            self.client().delete_queue(QueueUrl=item.id)

    def client(self) -> SQSClient:
        """With the engine's own credentials.

        Raises:
            SecretMissing: there are none yet.
        """
        keys = self._keys()
        endpoint = self.cloud.settings.sqs_url or f"https://sqs.mnq.{self.cloud.region}.scaleway.com"
        return self.cloud.sqs(endpoint, keys["access_key"], keys["secret_key"])

    def _keys(self) -> Mapping[str, str]:
        names = self.cloud.names
        place = secret(names.secret_path, names.sqs_secret(ENGINE_CREDENTIALS))
        keys: Mapping[str, str] = json.loads(self.cloud.secrets.reveal(place))
        return keys

    def _has_credentials(self) -> bool:
        """Whether the key in Secret Manager exists, as somebody may have deleted it, and may do everything."""
        key = self._keys()["access_key"]
        fetch = self.cloud.api(MnqV1Beta1SqsAPI).list_sqs_credentials
        found = pages(fetch, "sqs_credentials", project_id=self.cloud.project_id)
        return any(item.access_key == key and item.permissions == _permissions(ENGINE_PERMISSIONS) for item in found)

    def _attributes(self, sqs: SQSClient, url: str) -> Mapping[QueueAttributeNameType, str]:
        with boto_errors(f"read queue {url}"):
            return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})

    def _observed(
        self, name: str, url: str, parent_id: str, attributes: Mapping[QueueAttributeNameType, str] | None
    ) -> Observed:
        own, fields = name.rsplit("/", 1)[1], _shown(attributes or {})
        arn = f"arn:scw:sqs:{self.cloud.region}:project-{self.cloud.project_id}:{own}"
        uses = [parent_id]
        if fields["redrive"]:
            dead_letters = fields["redrive"]["dead_letter_queue"].rsplit(":", 1)[1]
            uses.append(f"{url.removesuffix(own)}{dead_letters}")
        return Observed(
            kind=self.kind,
            name=name,
            id=url,
            parent_id=parent_id,
            fields=fields,
            outputs={"id": url, "url": url, "arn": arn},
            uses=tuple(uses),
            detailed=attributes is not None,
        )


def _permissions(names: Sequence[str]) -> SqsPermissions:
    return SqsPermissions(can_publish="publish" in names, can_receive="receive" in names, can_manage="manage" in names)


def _wanted(fields: Mapping[str, Any]) -> dict[QueueAttributeNameType, str]:
    wanted: dict[QueueAttributeNameType, str] = {
        attribute: str(fields[name]) for attribute, name in _ATTRIBUTES.items()
    }
    if fields["fifo"]:
        wanted["ContentBasedDeduplication"] = str(fields["content_based_deduplication"]).lower()
    if redrive := fields.get("redrive"):
        wanted["RedrivePolicy"] = json.dumps(
            {"deadLetterTargetArn": redrive["dead_letter_queue"], "maxReceiveCount": redrive["max_receive_count"]}
        )
    return wanted


def _shown(attributes: Mapping[QueueAttributeNameType, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {name: int(attributes.get(attribute, 0)) for attribute, name in _ATTRIBUTES.items()}
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    return shown | {
        "fifo": attributes.get("FifoQueue") == "true",
        "content_based_deduplication": attributes.get("ContentBasedDeduplication") == "true",
        "redrive": {
            "dead_letter_queue": redrive["deadLetterTargetArn"],
            "max_receive_count": int(redrive["maxReceiveCount"]),
        }
        if redrive
        else None,
    }


LIFECYCLES = (SqsLifecycle, SqsCredentialsLifecycle, QueueLifecycle)
