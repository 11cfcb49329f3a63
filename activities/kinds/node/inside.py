"""What a script makes inside of a server: looked for and made over SSH, and gone when the machine goes."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from scaleway.instance.v1 import ServerState

from activities.kinds.instance.answers import get_server
from activities.kinds.node.env_file import EnvFiles
from activities.lifecycle import Lifecycle, Parent, Scope
from activities.ssh.script import Script
from blueprint.errors import Busy, EngineError, Refused
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

_LOCKED = 75
"""Exit code of such a script while another one is at work."""

log = logging.getLogger(__name__)


class Found(Protocol):
    """What a look found."""

    @property
    def fields(self) -> dict[str, Any]:
        """As a resource declares them, but for the env file's secrets."""

    @property
    def versions(self) -> dict[str, int]:
        """How many versions the secrets of the env file had when it was written."""


class InsideLifecycle(Lifecycle):
    """One of these for each server. The server is ours, so it is.

    A kind says what it is called, how it is looked for and what makes it.
    """

    repeatable = True
    part: ClassVar[str]
    """What stands behind the server's name and a slash in its own."""
    refusals: ClassVar[Mapping[int, str]] = MappingProxyType({})
    """Exit codes by which its script refuses, and what to do next."""

    @abstractmethod
    def look(self, node: str) -> Found | None:
        """What is on that node, or None if there is nothing of it.

        Raises:
            EngineError: there is no way in, as `Nodes.run` says.
        """

    @abstractmethod
    def script(self, resource: Resource) -> Script:
        """Makes it as declared; to do so twice does no harm."""

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. A node that cannot be reached is not as declared; one that is off has nothing yet."""
        if f"{parent.name}/{self.part}" not in scope.names:
            return []
        server = get_server(self.cloud, parent.id)
        if not self.is_ours(server.tags) or server.state != ServerState.RUNNING:
            return []
        try:
            found = self.look(parent.name)
        except EngineError as error:
            log.info("%s cannot be looked into: %s", parent.name, error)
            return [self._observed(parent, {"reachable": False}, status=error.code)]
        return [self._observed(parent, self._fields(found))] if found else []

    def create(self, resource: Resource) -> str:
        """Run the script.

        Raises:
            Refused: it says that this cannot be.
            CommandFailed: something else cannot be made as declared.
            Busy: an earlier script has not ended.
        """
        node = resource.name.removesuffix(f"/{self.part}")
        outcome = self.cloud.nodes.run(self.cloud.target, node, self.script(resource), ok=(0, _LOCKED, *self.refusals))
        if outcome.status == _LOCKED:
            raise Busy("an earlier setup is still at work there", subject=node)
        if outcome.status in self.refusals:
            raise Refused(outcome.tail or "the script refuses", subject=node, remedy=self.refusals[outcome.status])
        for line in outcome.output:
            log.info("%s: %s", node, line)
        server_id: str = resource.inputs["parent_id"]
        return server_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `create`."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """Nothing to do: it goes with the machine."""

    def _fields(self, found: Found) -> dict[str, Any]:
        """With whether the secrets of the env file are those of Secret Manager."""
        if "env_file" not in found.fields:
            return found.fields
        secrets = EnvFiles(self.cloud).state(found.versions)
        return found.fields | {"env_file": found.fields["env_file"] | {"secrets": secrets}}

    def _observed(self, server: Parent, fields: dict[str, Any], status: str = "ready") -> Observed:
        return Observed(
            kind=self.kind,
            name=f"{server.name}/{self.part}",
            id=server.id,
            fields=fields,
            outputs={"id": server.id},
            status=status,
            parent_id=server.id,
        )
