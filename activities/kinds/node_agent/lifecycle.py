"""The agent of a node as a resource."""

from __future__ import annotations

from activities.kinds.node.env_file import EnvFiles
from activities.kinds.node.inside import InsideLifecycle
from activities.kinds.node_agent.script import Agent, agent_of, look, set_up
from activities.ssh.script import Script
from blueprint.kinds.node_agent import AGENT
from blueprint.resource import Resource

UNAVAILABLE, UNEXPECTED, UNUSABLE = 69, 65, 78
"""Exit codes of the script: no package, another package than declared, an agent that does not run (sysexits.h)."""


class NodeAgentLifecycle(InsideLifecycle):
    """Package, configuration, variables and unit of a node's agent."""

    kind = "node_agent"
    part = AGENT
    refusals = {
        UNAVAILABLE: "give monitoring.agent.package in the environment file, or install it there, then retry",
        UNEXPECTED: "correct monitoring.agent.package in the environment file and apply again",
        UNUSABLE: "the lines above are the agent's own: mend what they say, then retry",
    }

    def look(self, node: str) -> Agent | None:
        """See `InsideLifecycle`."""
        return agent_of("\n".join(self.cloud.nodes.run(self.cloud.target, node, look()).output))

    def script(self, resource: Resource) -> Script:
        """See `InsideLifecycle`."""
        fields, inputs = resource.fields, resource.inputs
        env = EnvFiles(self.cloud).text(fields["env_file"]["values"], resource.key)
        return set_up(fields, inputs["contents"], inputs["url"], env)
