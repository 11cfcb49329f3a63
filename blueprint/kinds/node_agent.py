"""The agent on every node, kept as declared over SSH: package, configuration, unit, and variables with its token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blueprint.agent import CONFIGURATION, DROP_IN, DROP_IN_TEXT, VARIABLES, configuration
from blueprint.environment import Environment
from blueprint.environment.monitoring import Agent
from blueprint.kinds.instance import digest
from blueprint.kinds.kind import Kind
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.resource import Resource, ref, secret

AGENT = "agent"
"""Last part of the names, after the node's own."""


def _agents(environment: Environment) -> Iterable[Resource]:
    agent = environment.monitoring and environment.monitoring.agent
    if not agent:
        return
    names, app = environment.names, environment.app
    for role in environment.nodes:
        runs_app = app is not None and app.nodes == role
        units = app.units if app and runs_app else []
        contents = {CONFIGURATION: configuration(units, traces=agent.traces is not None), DROP_IN: DROP_IN_TEXT}
        for index, name in enumerate(environment.node_names(role), 1):
            label = f"{role}-{index:02d}"
            values = _values(environment, agent, name)
            yield Resource(
                key=f"node_agent.{label}",
                kind="node_agent",
                name=f"{name}/{AGENT}",
                parent=f"server.{label}",
                fields={
                    "reachable": True,
                    "installed": True,
                    "package": agent.package.sha256 if agent.package else "",
                    "files": {
                        path: {"mode": "0644", "owner": "root:root", "digest": digest(content.encode())}
                        for path, content in contents.items()
                    },
                    "unit": "enabled",
                    "running": True,
                    "env_file": {
                        "path": VARIABLES,
                        "variables": list(values),
                        "values": values,
                        "secrets": IN_SECRET_MANAGER,
                        "untouched": True,
                    },
                },
                inputs={"contents": contents, "url": agent.package.url if agent.package else ""},
                depends_on=(
                    f"server_power.{label}",
                    "gateway_bastion.main",
                    f"secret.{names.bastion_secret}",
                    f"secret.{names.cockpit_secret(agent.token)}",
                    f"cockpit_token.{agent.token}",
                    # One installs packages after the other.
                    *([f"node_setup.{label}"] if runs_app else []),
                ),
            )


def _values(environment: Environment, agent: Agent, node: str) -> dict[str, list[Any]]:
    """Every variable in parts: see `blueprint.release.env_file`."""
    names = environment.names
    sources = {"METRICS": agent.metrics, "LOGS": agent.logs, "TRACES": agent.traces}
    return {
        "ENVIRONMENT": [names.stem],
        "NODE_NAME": [node],
        **{f"COCKPIT_{what}_URL": [ref(f"data_source.{name}", "url")] for what, name in sources.items() if name},
        "COCKPIT_TOKEN": [secret(names.secret_path, names.cockpit_secret(agent.token), "secret_key")],
    }


KINDS = (
    Kind(
        name="node_agent",
        title="agent on a node",
        product="instance",
        resources=_agents,
        permission_sets=("InstancesReadOnly", "VPCGatewayReadOnly", "SecretManagerFullAccess"),
        parent="server",
        dies_with_parent=True,
        builds=True,
        settles=False,
        lingers=False,
    ),
)
