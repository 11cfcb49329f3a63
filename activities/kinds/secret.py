"""Secrets through Secret Manager: places, and the values that the engine itself chooses or carries there."""

from __future__ import annotations

import builtins
import hashlib
import os
import secrets
import string
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyrage
from scaleway.secret.v1beta1 import Secret, SecretType, SecretV1Beta1API

from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from activities.secret_store import DELIVERED, mark_of, remember, with_mark
from blueprint.errors import SecretMissing
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

VARIABLE = "env"
"""Mark of secrets that follow an environment variable of the worker: its name."""
DIGEST = "digest"
"""Mark of secrets whose newest value the engine carried there: what the next value is compared with."""

SYMBOLS = "-_.~"
"""The symbols that stand in a URL as they are, so that a password can be part of one."""
_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SYMBOLS)
_ALPHABET = "".join(_CLASSES)


class SecretLifecycle(Lifecycle):
    """The secrets of the environment's folder.

    A place without a version is not done: the steps that fill it are repeated. What the value came from is marked on
    the secret's tags, so that one list tells whether anything has to change.
    """

    kind = "secret"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        return [self._observed(secret) for secret in self.cloud.secrets.all(self._path)]

    def find(self, resource: Resource) -> Sequence[Observed]:
        """The secret, filled if an earlier attempt did not come that far."""
        secret = self.cloud.secrets.find(self._path, resource.name)
        if secret is None:
            return []
        item = self._observed(secret)
        if item.ownership == "ours" and not secret.version_count:
            self._fill(resource, secret, self._value(resource, secret))
        return [item]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`.

        Raises:
            SecretMissing: the worker lacks the environment variable.
        """
        value = self._value(resource, None)
        secret = self.cloud.api(SecretV1Beta1API).create_secret(
            name=resource.name,
            path=self._path,
            project_id=self.cloud.project_id,
            description=resource.fields["description"],
            tags=self._tags(resource, value, ()),
            type_=SecretType.OPAQUE,
            protected=True,
        )
        self._fill(resource, secret, value)
        return secret.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`. The value comes before the marks that vouch for it."""
        api = self.cloud.api(SecretV1Beta1API)
        secret = api.get_secret(secret_id=item.id)
        value = self._value(resource, secret)
        self._fill(resource, secret, value)
        api.update_secret(
            secret_id=item.id,
            description=resource.fields["description"],
            tags=self._tags(resource, value, secret.tags),
        )
        if not secret.protected:
            api.protect_secret(secret_id=item.id)

    def delete(self, item: Observed) -> None:
        """For a week Secret Manager can restore it, and shows it until then."""
        api = self.cloud.api(SecretV1Beta1API)
        secret = api.get_secret(secret_id=item.id)
        if secret.deletion_requested_at:
            return
        if secret.protected:
            api.unprotect_secret(secret_id=item.id)
        api.delete_secret(secret_id=item.id)

    @property
    def _path(self) -> str:
        return self.cloud.names.secret_path

    def _observed(self, secret: Secret) -> Observed:
        filled = secret.version_count > 0
        variable = mark_of(secret.tags, VARIABLE)
        digest = mark_of(secret.tags, DIGEST)
        fields: dict[str, Any] = {"description": secret.description or "", "filled": filled, "digest": digest}
        if variable:
            fields["variable"] = variable
            # Without the variable this worker cannot tell, and what is there stays.
            value = os.environ.get(variable)
            fields["current"] = not value or digest == self._digest(secret.name, remember(value))
        return Observed(
            kind=self.kind,
            name=secret.name,
            id=secret.id,
            fields=fields,
            outputs={"id": secret.id},
            status="ready" if filled else "empty",
            ownership="ours" if self.is_ours(secret.tags) else "foreign",
            protected=secret.protected and is_protected(secret.tags),
        )

    def _value(self, resource: Resource, secret: Secret | None) -> str | None:
        """The value that the secret should have; None if that is not for this step to say."""
        if variable := resource.fields.get("variable"):
            value = os.environ.get(variable)
            if not value:
                raise SecretMissing(
                    f"the worker's environment lacks {variable}",
                    subject=resource.key,
                    remedy=f"set {variable} where the worker runs, restart the worker, then retry",
                )
            return remember(value)
        if length := resource.inputs.get("generate"):
            return None if secret and secret.version_count else generate(length)
        if "identity" in resource.inputs:
            return None if secret and secret.version_count else remember(str(pyrage.x25519.Identity.generate()))
        content: str | None = resource.inputs.get("content")
        return content

    def _fill(self, resource: Resource, secret: Secret, value: str | None) -> None:
        """Add the value as a version, unless the newest one holds it already."""
        if value is None:
            return
        note = self._note(resource, value)
        if secret.version_count and self.cloud.secrets.version_note(self._path, secret.name) == note:
            return
        self.cloud.secrets.add_version(secret, value, note)

    def _tags(self, resource: Resource, value: str | None, present: Collection[str]) -> builtins.list[str]:
        """Ours, with what others noted on the secret, and where its value is from."""
        tags = self.tags(resource)
        if delivered := mark_of(present, DELIVERED):
            tags = with_mark(tags, DELIVERED, delivered)
        if variable := resource.fields.get("variable"):
            tags = with_mark(tags, VARIABLE, variable)
        if value is not None and (note := self._note(resource, value)):
            tags = with_mark(tags, DIGEST, note)
        return tags

    def _note(self, resource: Resource, value: str) -> str:
        if "digest" in resource.fields:
            return str(resource.fields["digest"])
        return self._digest(resource.name, value) if "variable" in resource.fields else ""

    def _digest(self, name: str, value: str) -> str:
        """A fingerprint that tells a new value from the old one, and is slow to guess a weak one from."""
        salt = f"{self.cloud.project_id}{self._path}/{name}"
        return hashlib.scrypt(value.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()


def generate(length: int) -> str:
    """A random value with a lower and an upper case letter, a digit and a symbol, as Managed Databases demand.

    Args:
        length: characters.
    """
    while True:
        value = "".join(secrets.choice(_ALPHABET) for _ in range(length))
        if all(set(value) & set(characters) for characters in _CLASSES):
            return remember(value)


LIFECYCLES = (SecretLifecycle,)
