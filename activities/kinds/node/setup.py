"""What is set up on a node: looked at and changed over SSH."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from scaleway.instance.v1 import ServerState

from activities.cloud import Cloud
from activities.kinds.instance.answers import get_server
from activities.kinds.node.env_file import EnvFiles
from activities.kinds.node.script import Setup, look_script, setup_of, setup_script
from activities.lifecycle import Lifecycle, Parent, Scope
from activities.ssh.script import Script
from blueprint.errors import Busy, EngineError
from blueprint.kinds.node import SETUP
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

LOCKED = 75
"""Exit code of the script while another one is at work."""

log = logging.getLogger(__name__)


def look_at_setup(cloud: Cloud, node: str) -> Setup | None:
    """What a node's last setup was, and what there is of it now; None before the first.

    Raises:
        EngineError: there is no way in, as `Nodes.run` says.
    """
    outcome = cloud.nodes.run(cloud.target, node, Script("look-at-setup", look_script()))
    return setup_of("\n".join(outcome.output))


class NodeSetupLifecycle(Lifecycle):
    """Host name, users, packages, folders, files, units and env file of a node. Its server is ours, so it is.

    It restarts nothing: see `NodeFacts.restart_needed`.
    """

    kind = "node_setup"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. A node that cannot be reached is not as declared; one that is off has nothing yet."""
        name = f"{parent.name}/{SETUP}"
        if name not in scope.names:
            return []
        server = get_server(self.cloud, parent.id)
        if not self.is_ours(server.tags) or server.state != ServerState.RUNNING:
            return []
        try:
            setup = look_at_setup(self.cloud, parent.name)
        except EngineError as error:
            log.info("%s cannot be looked into: %s", parent.name, error)
            return [self._observed(parent, {"reachable": False}, status=error.code)]
        return [self._observed(parent, setup.fields | self._secrets(setup))] if setup else []

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        server_id: str = resource.inputs["parent_id"]
        self._set_up(resource)
        return server_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self._set_up(resource)

    def delete(self, item: Observed) -> None:
        """Nothing to do: it goes with the machine."""

    def _set_up(self, resource: Resource) -> None:
        """Run the script.

        Raises:
            CommandFailed: something cannot be made as declared.
            Busy: an earlier script has not ended.
        """
        fields = resource.fields
        values = fields["env_file"]["values"] if "env_file" in fields else None
        env = EnvFiles(self.cloud).text(values, resource.key) if values is not None else None
        text = setup_script(fields, resource.inputs["contents"], env)
        node = resource.name.removesuffix(f"/{SETUP}")
        outcome = self.cloud.nodes.run(self.cloud.target, node, Script("set-up", text), ok=(0, LOCKED))
        if outcome.status == LOCKED:
            raise Busy("an earlier setup is still at work there", subject=node)
        for line in outcome.output:
            log.info("%s: %s", node, line)

    def _secrets(self, setup: Setup) -> dict[str, Any]:
        """The env file as observed, with whether its secrets are those of Secret Manager."""
        if "env_file" not in setup.fields:
            return {}
        state = EnvFiles(self.cloud).state(setup.versions)
        return {"env_file": setup.fields["env_file"] | {"secrets": state}}

    def _observed(self, server: Parent, fields: dict[str, Any], status: str = "ready") -> Observed:
        return Observed(
            kind=self.kind,
            name=f"{server.name}/{SETUP}",
            id=server.id,
            fields=fields,
            outputs={"id": server.id},
            status=status,
            parent_id=server.id,
        )
