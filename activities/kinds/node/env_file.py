"""Env files of nodes: made of outputs and secrets, and compared without showing any of those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from activities.cloud import Cloud
from activities.kinds.node.script import EnvText
from activities.secret_store import remember
from blueprint.errors import Refused
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.release.env_file import compose, render, secrets_of


class EnvFiles:
    """The env files of an environment's nodes.

    Args:
        cloud: the environment's way to Scaleway.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def text(self, values: Mapping[str, Sequence[Any]], subject: str) -> EnvText:
        """The env file with its secrets.

        Raises:
            SecretMissing: one has no value yet.
            Refused: one has characters that a variable cannot have.
        """
        # Counted first: one that changes in between shows as older then, and is written again.
        wanted = secrets_of(values)
        versions = {name: count for name, count in self._versions().items() if name in wanted}
        known = {name: compose(self._cloud.secrets.resolve(parts)) for name, parts in values.items()}
        for name, parts in values.items():
            if secrets_of({name: parts}):
                remember(known[name])
        try:
            return EnvText(render(known), versions)
        except ValueError as error:
            remedy = "put another value into Secret Manager, then retry"
            raise Refused(str(error), subject=subject, remedy=remedy) from None

    def state(self, versions: Mapping[str, int]) -> str:
        """Whether secrets are those of Secret Manager.

        Args:
            versions: how many versions each had when the file was written.
        """
        now = self._versions() if versions else {}
        older = sorted(name for name, count in versions.items() if now.get(name) != count)
        return f"older: {', '.join(older)}" if older else IN_SECRET_MANAGER

    def _versions(self) -> dict[str, int]:
        """How many versions each secret of the environment has."""
        return {secret.name: secret.version_count for secret in self._cloud.secrets.all(self._cloud.names.secret_path)}
