"""What is set up on a node: looked at and changed over SSH."""

from __future__ import annotations

from activities.cloud import Cloud
from activities.kinds.node.env_file import EnvFiles
from activities.kinds.node.inside import InsideLifecycle
from activities.kinds.node.script import Setup, look_script, setup_of, setup_script
from activities.ssh.script import Script
from blueprint.kinds.node import SETUP
from blueprint.resource import Resource


def look_at_setup(cloud: Cloud, node: str) -> Setup | None:
    """What a node's last setup was, and what there is of it now; None before the first.

    Raises:
        EngineError: there is no way in, as `Nodes.run` says.
    """
    outcome = cloud.nodes.run(cloud.target, node, Script("look-at-setup", look_script()))
    return setup_of("\n".join(outcome.output))


class NodeSetupLifecycle(InsideLifecycle):
    """Host name, users, packages, folders, files, units and env file of a node.

    It restarts nothing: see `NodeFacts.restart_needed`.
    """

    kind = "node_setup"
    part = SETUP

    def look(self, node: str) -> Setup | None:
        """See `InsideLifecycle`."""
        return look_at_setup(self.cloud, node)

    def script(self, resource: Resource) -> Script:
        """See `InsideLifecycle`."""
        fields = resource.fields
        values = fields["env_file"]["values"] if "env_file" in fields else None
        env = EnvFiles(self.cloud).text(values, resource.key) if values is not None else None
        return Script("set-up", setup_script(fields, resource.inputs["contents"], env))
