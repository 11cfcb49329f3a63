"""The agent of a node as a resource."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from scaleway.instance.v1 import ServerState

from activities.kinds.instance.answers import get_server
from activities.kinds.node.env_file import EnvFiles
from activities.kinds.node.setup import LOCKED
from activities.kinds.node_agent.script import agent_of, look, set_up
from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.errors import Busy, EngineError, Refused
from blueprint.kinds.node_agent import AGENT
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

UNAVAILABLE, UNEXPECTED, UNUSABLE = 69, 65, 78
"""Exit codes of the script: no package, another package than declared, an agent that does not run (sysexits.h)."""
_REMEDIES = {
    UNAVAILABLE: "give monitoring.agent.package in the environment file, or install it there, then retry",
    UNEXPECTED: "correct monitoring.agent.package in the environment file and apply again",
    UNUSABLE: "the lines above are the agent's own: mend what they say, then retry",
}

log = logging.getLogger(__name__)


class NodeAgentLifecycle(Lifecycle):
    """Package, configuration, variables and unit of a node's agent. Its server is ours, so it is."""

    kind = "node_agent"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. A node that cannot be reached is not as declared; one that is off has nothing yet."""
        name = f"{parent.name}/{AGENT}"
        if name not in scope.names:
            return []
        server = get_server(self.cloud, parent.id)
        if not self.is_ours(server.tags) or server.state != ServerState.RUNNING:
            return []
        try:
            outcome = self.cloud.nodes.run(self.cloud.target, parent.name, look())
        except EngineError as error:
            log.info("%s cannot be looked into: %s", parent.name, error)
            return [self._observed(parent, {"reachable": False}, status=error.code)]
        if not (agent := agent_of("\n".join(outcome.output))):
            return []
        env_file = agent.fields["env_file"] | {"secrets": EnvFiles(self.cloud).state(agent.versions)}
        return [self._observed(parent, agent.fields | {"env_file": env_file})]

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
            Refused: there is no package to be had, or the agent does not run with it.
            CommandFailed: something else cannot be made as declared.
            Busy: an earlier script has not ended.
        """
        fields, inputs = resource.fields, resource.inputs
        env = EnvFiles(self.cloud).text(fields["env_file"]["values"], resource.key)
        node = resource.name.removesuffix(f"/{AGENT}")
        script = set_up(fields, inputs["contents"], inputs["url"], env)
        outcome = self.cloud.nodes.run(self.cloud.target, node, script, ok=(0, LOCKED, *_REMEDIES))
        if outcome.status == LOCKED:
            raise Busy("an earlier setup is still at work there", subject=node)
        if outcome.status in _REMEDIES:
            raise Refused(outcome.tail or "the agent does not run", subject=node, remedy=_REMEDIES[outcome.status])
        for line in outcome.output:
            log.info("%s: %s", node, line)

    def _observed(self, server: Parent, fields: dict[str, Any], status: str = "ready") -> Observed:
        return Observed(
            kind=self.kind,
            name=f"{server.name}/{AGENT}",
            id=server.id,
            fields=fields,
            outputs={"id": server.id},
            status=status,
            parent_id=server.id,
        )
