"""Secret Manager: where passwords and one-time keys are kept, and the only place they are read from."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from scaleway.secret.v1beta1 import Secret, SecretV1Beta1API, SecretVersionStatus

from blueprint.errors import Gone, SecretMissing

PAGE_SIZE = 100
DELIVERED = "delivered"
"""Mark of passwords that were handed to what they open: the number of versions there were at that time."""
KEPT_VERSIONS = 5
"""Versions of one secret that are kept; Secret Manager takes 20."""

_revealed: ContextVar[set[str] | None] = ContextVar("revealed", default=None)
"""Values that the running activity has seen: its failure message must hold none of them."""


def watch_for_secrets() -> set[str]:
    """Begin to note every secret value that this activity reads or makes; the set grows as it does."""
    values: set[str] = set()
    _revealed.set(values)
    return values


def remember(value: str) -> str:
    """Note a secret value that came from elsewhere, and return it."""
    values = _revealed.get()
    if values is not None and len(value) >= 4:
        values.add(value)
    return value


def mark_of(tags: Collection[str], name: str) -> str | None:
    """The value of the tag `<name>=<value>`, or None."""
    return next((tag.partition("=")[2] for tag in tags if tag.startswith(f"{name}=")), None)


def with_mark(tags: Collection[str], name: str, value: str) -> list[str]:
    """The tags with `<name>=<value>` in place of any other value of that name."""
    return [*(tag for tag in tags if not tag.startswith(f"{name}=")), f"{name}={value}"]


def delivered_of(secrets: Iterable[Secret]) -> frozenset[str]:
    """Names of those whose newest version was handed to what it opens."""
    return frozenset(secret.name for secret in secrets if mark_of(secret.tags, DELIVERED) == str(secret.version_count))


class SecretStore:
    """The secrets of one project, addressed by folder and name.

    Args:
        api: gives the SDK's API of a class.
        region: where the secrets are.
        project_id: whose they are.
    """

    def __init__(self, api: Callable[[type[SecretV1Beta1API]], SecretV1Beta1API], region: str, project_id: str) -> None:
        self._api = api(SecretV1Beta1API)
        self._region = region
        self._project_id = project_id

    def find(self, path: str, name: str) -> Secret | None:
        """The secret of that folder and name, or None."""
        answer = self._api.list_secrets(
            region=self._region,
            project_id=self._project_id,
            path=path,
            name=name,
            scheduled_for_deletion=False,
            page_size=2,
        )
        return next((item for item in answer.secrets if item.name == name and item.path == path), None)

    def all(self, path: str) -> list[Secret]:
        """Every secret of that folder."""
        found: list[Secret] = []
        page = 1
        while True:
            answer = self._api.list_secrets(
                region=self._region,
                project_id=self._project_id,
                path=path,
                scheduled_for_deletion=False,
                page=page,
                page_size=PAGE_SIZE,
            )
            found.extend(item for item in answer.secrets if item.path == path)
            if len(answer.secrets) < PAGE_SIZE:
                return found
            page += 1

    def filled(self, path: str) -> frozenset[str]:
        """Names of the secrets of that folder that have a version."""
        return frozenset(secret.name for secret in self.all(path) if secret.version_count)

    def delivered(self, path: str) -> frozenset[str]:
        """Names of the secrets of that folder whose newest version was handed to what it opens."""
        return delivered_of(self.all(path))

    def hand_over(self, reference: Mapping[str, str]) -> str:
        """The value for something that is about to be made with it.

        Marked before rather than after: a create that is interrupted is repeated with whatever is the value then.

        Raises:
            SecretMissing: as `reveal`.
        """
        self.note_delivery(reference["$secret"], reference["name"])
        return self.reveal(reference)

    def note_delivery(self, path: str, name: str) -> None:
        """Mark that what the secret opens has been told its newest version.

        Raises:
            SecretMissing: there is no secret of that name.
        """
        secret = self._existing(path, name)
        tags = with_mark(secret.tags, DELIVERED, str(secret.version_count))
        self._api.update_secret(secret_id=secret.id, region=self._region, tags=tags)

    def reveal(self, reference: Mapping[str, str]) -> str:
        """The value that `{"$secret": folder, "name": ..., "field": ...}` stands for.

        Raises:
            SecretMissing: the secret does not exist, has no version, or lacks the field.
        """
        path, name = reference["$secret"], reference["name"]
        subject = f"{path.rstrip('/')}/{name}"
        try:
            answer = self._api.access_secret_version_by_path(
                secret_path=path,
                secret_name=name,
                revision="latest_enabled",
                region=self._region,
                project_id=self._project_id,
            )
        except Gone:
            raise SecretMissing(
                "has no value", subject=subject, remedy="add a version in Secret Manager, then retry"
            ) from None
        value = base64.b64decode(answer.data).decode()
        if not (field := reference.get("field")):
            return remember(value)
        try:
            content = json.loads(value)
            for part in content.values():
                remember(str(part))
            return str(content[field])
        except (ValueError, KeyError, AttributeError):
            raise SecretMissing(f"lacks the field {field!r}", subject=subject) from None

    def version_note(self, path: str, name: str) -> str | None:
        """The description of the newest enabled version: "" if it has none, None if there is no version."""
        secret = self.find(path, name)
        if secret is None or not secret.version_count:
            return None
        answer = self._api.list_secret_versions(
            secret_id=secret.id,
            region=self._region,
            page_size=1,
            status=[SecretVersionStatus.ENABLED],
        )
        return (answer.versions[0].description or "") if answer.versions else None

    def store(self, path: str, name: str, value: str, note: str = "") -> None:
        """Add a version to a secret that exists.

        Args:
            note: kept as the version's description: which key this is the secret half of.

        Raises:
            SecretMissing: there is no secret of that name.
        """
        self.add_version(self._existing(path, name), value, note)

    def add_version(self, secret: Secret, value: str, note: str = "") -> None:
        """Add a version to a secret, disable the one before and delete those that are old.

        Args:
            note: kept as the version's description.
        """
        data = base64.b64encode(remember(value).encode()).decode()
        self._api.create_secret_version(
            secret_id=secret.id, region=self._region, data=data, description=note or None, disable_previous=True
        )
        if secret.version_count >= KEPT_VERSIONS:
            self._prune(secret)

    def _prune(self, secret: Secret) -> None:
        answer = self._api.list_secret_versions(
            secret_id=secret.id,
            region=self._region,
            page_size=PAGE_SIZE,
            status=[SecretVersionStatus.ENABLED, SecretVersionStatus.DISABLED],
        )
        revisions = sorted((version.revision for version in answer.versions), reverse=True)
        for revision in revisions[KEPT_VERSIONS:]:
            self._api.delete_secret_version(secret_id=secret.id, region=self._region, revision=str(revision))

    def _existing(self, path: str, name: str) -> Secret:
        secret = self.find(path, name)
        if secret is None:
            raise SecretMissing(
                "does not exist", subject=f"{path.rstrip('/')}/{name}", remedy="retry the step that creates it"
            )
        return secret

    def resolve(self, value: Any) -> Any:
        """The value with every `$secret` replaced by what it stands for."""
        if isinstance(value, Mapping):
            if "$secret" in value:
                return self.reveal(value)
            return {key: self.resolve(child) for key, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(child) for child in value]
        return value
