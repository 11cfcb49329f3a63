"""What a file asks for on nodes that tell how they are."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from blueprint.agent import CONFIGURATION, VARIABLES, configuration
from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.resource import Resource

MONITORING: dict[str, Any] = {
    "data_sources": {"metrics": {"type": "metrics"}, "logs": {"type": "logs"}, "traces": {"type": "traces"}},
    "tokens": {"nodes": ["write_only_metrics", "write_only_logs", "write_only_traces"]},
    "agent": {"token": "nodes", "metrics": "metrics", "logs": "logs"},
}
FILE: dict[str, Any] = {
    "org": "lssm",
    "env": "prod",
    "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}},
    "ssh_keys": {
        "ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm ops",
    },
    "nodes": {"core": {"type": "DEV1-S", "count": 2}, "tools": {"type": "DEV1-S"}},
    "monitoring": MONITORING,
}


def agents(**agent: Any) -> dict[str, Resource]:
    """Resources of the kind, by key."""
    monitoring = MONITORING | {"agent": MONITORING["agent"] | agent}
    found = resources_of(parse(FILE | {"monitoring": monitoring}))
    return {resource.key: resource for resource in found if resource.kind == "node_agent"}


def test_every_node_has_one() -> None:
    """Of every role; none without the section."""
    assert set(agents()) == {"node_agent.core-01", "node_agent.core-02", "node_agent.tools-01"}
    monitoring = {key: value for key, value in MONITORING.items() if key != "agent"}
    assert not [r for r in resources_of(parse(FILE | {"monitoring": monitoring})) if r.kind == "node_agent"]


def test_addresses_and_token_are_variables() -> None:
    """So that the configuration is the same everywhere, and nothing secret crosses Temporal."""
    agent = agents(traces="traces")["node_agent.core-02"]
    assert agent.fields["env_file"]["path"] == VARIABLES
    assert agent.fields["env_file"]["values"] == {
        "ENVIRONMENT": ["lssm-prod"],
        "NODE_NAME": ["lssm-prod-core-02"],
        "COCKPIT_METRICS_URL": [{"$ref": "data_source.metrics", "output": "url"}],
        "COCKPIT_LOGS_URL": [{"$ref": "data_source.logs", "output": "url"}],
        "COCKPIT_TRACES_URL": [{"$ref": "data_source.traces", "output": "url"}],
        "COCKPIT_TOKEN": [{"$secret": "/lssm/prod", "name": "cockpit-nodes", "field": "secret_key"}],
    }
    text = agent.inputs["contents"][CONFIGURATION]
    for name in agent.fields["env_file"]["values"]:
        assert f"${{env:{name}}}" in text
    assert {"cockpit_token.nodes", "data_source.metrics", "secret.cockpit-nodes"} <= set(agent.dependencies())


@pytest.mark.parametrize("units", [[], ["app", "worker"]])
@pytest.mark.parametrize("traces", [False, True])
def test_a_configuration_is_whole(units: list[str], traces: bool) -> None:
    """Whatever a pipeline names is there, and whatever is there is named."""
    content = yaml.safe_load(configuration(units, traces=traces))
    pipelines = content["service"]["pipelines"]
    assert set(pipelines) == {"metrics", "logs"} | ({"traces"} if traces else set())
    for part in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[part]} == set(content[part])
    assert content["service"]["extensions"] == list(content["extensions"])
    assert ("systemd" in content["receivers"]) == bool(units)
    assert ("traces_endpoint" in content["exporters"]["otlphttp"]) == traces


def test_the_application_is_taken_on_loopback_only() -> None:
    """It is open to whoever reaches it."""
    receivers = yaml.safe_load(configuration([], traces=False))["receivers"]
    assert receivers["otlp"]["protocols"] == {"http": {"endpoint": "127.0.0.1:4318"}}


def test_what_rules_rely_on_is_switched_on() -> None:
    """The metrics that the collector leaves out by default, and the label that all rules select by."""
    content = yaml.safe_load(configuration(["app"], traces=False))
    scrapers = content["receivers"]["hostmetrics"]["scrapers"]
    assert scrapers["filesystem"]["metrics"]["system.filesystem.utilization"] == {"enabled": True}
    assert content["receivers"]["systemd"]["metrics"]["systemd.service.restarts"] == {"enabled": True}
    exporter = content["exporters"]["prometheusremotewrite"]
    assert exporter["external_labels"] == {"environment": "${env:ENVIRONMENT}"}
    assert exporter["resource_to_telemetry_conversion"] == {"enabled": True}
