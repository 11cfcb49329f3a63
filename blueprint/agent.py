"""What a node's agent collects, and where it sends it: the configuration of the OpenTelemetry Collector, pure.

Addresses and the token are variables, so that the file is the same whatever Cockpit calls its data sources, and holds
no secret. Metrics go by remote write and not by OTLP: their names in Prometheus' form are then made here, where rules
rely on them, and what tells nodes apart becomes a label of every series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

PACKAGE = "otelcol-contrib"
"""The Debian package, its unit, and its user: the only distribution that reads the journal."""
FOLDER = "/etc/otelcol-contrib"
CONFIGURATION = f"{FOLDER}/config.yaml"
VARIABLES = f"{FOLDER}/cockpit.env"
DROP_IN = f"/etc/systemd/system/{PACKAGE}.service.d/cockpit.conf"
OTLP = "127.0.0.1:4318"
"""Where the application's own telemetry is taken, over HTTP."""

DROP_IN_TEXT = f"""\
[Service]
EnvironmentFile={VARIABLES}
SupplementaryGroups=systemd-journal
StateDirectory={PACKAGE}
Restart=always
RestartSec=5
"""
"""What the package's unit lacks: the variables, the right to read the journal, a place to note how far it was read."""


def configuration(units: Sequence[str], *, traces: bool) -> str:
    """The file.

    Args:
        units: services whose state and restarts are counted.
        traces: whether there is a data source for the application's traces.
    """
    metrics = ["otlp", "hostmetrics", *(["systemd"] if units else [])]
    pipelines = {
        "metrics": _pipeline(metrics, "prometheusremotewrite"),
        "logs": _pipeline(["otlp", "journald"], "otlphttp"),
        **({"traces": _pipeline(["otlp"], "otlphttp")} if traces else {}),
    }
    content = {
        "extensions": {"file_storage": {"directory": f"/var/lib/{PACKAGE}"}},
        "receivers": {
            "otlp": {"protocols": {"http": {"endpoint": OTLP}}},
            "hostmetrics": {"collection_interval": "30s", "scrapers": _SCRAPERS},
            "journald": {"priority": "info", "storage": "file_storage"},
            **({"systemd": _systemd(units)} if units else {}),
        },
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 200},
            "resource": {
                "attributes": [
                    {"key": "host.name", "value": "${env:NODE_NAME}", "action": "upsert"},
                    {"key": "deployment.environment.name", "value": "${env:ENVIRONMENT}", "action": "upsert"},
                    {"key": "service.name", "value": "node", "action": "insert"},
                    {"key": "service.instance.id", "value": "${env:NODE_NAME}", "action": "insert"},
                ]
            },
            "batch": {},
        },
        "exporters": {
            "prometheusremotewrite": {
                "endpoint": "${env:COCKPIT_METRICS_URL}/api/v1/push",
                "headers": _TOKEN,
                "external_labels": {"environment": "${env:ENVIRONMENT}"},
                "resource_to_telemetry_conversion": {"enabled": True},
            },
            "otlphttp": {
                "logs_endpoint": "${env:COCKPIT_LOGS_URL}/otlp/v1/logs",
                **({"traces_endpoint": "${env:COCKPIT_TRACES_URL}/otlp/v1/traces"} if traces else {}),
                "headers": _TOKEN,
            },
        },
        "service": {"extensions": ["file_storage"], "pipelines": pipelines},
    }
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, width=1000)


_TOKEN = {"X-Token": "${env:COCKPIT_TOKEN}"}
_ON = {"enabled": True}
_SCRAPERS: dict[str, Any] = {
    "cpu": {"metrics": {"system.cpu.utilization": _ON}},
    "load": {},
    "memory": {"metrics": {"system.memory.utilization": _ON}},
    "disk": {},
    "filesystem": {"metrics": {"system.filesystem.utilization": _ON}},
    "network": {},
    "paging": {},
    "processes": {},
    "system": {},
}


def _systemd(units: Sequence[str]) -> dict[str, Any]:
    """The application's own: every unit of a machine would be hundreds of series."""
    return {"units": [f"{unit}.service" for unit in units], "metrics": {"systemd.service.restarts": _ON}}


def _pipeline(receivers: Sequence[str], exporter: str) -> dict[str, Any]:
    processors = ["memory_limiter", "resource", "batch"]
    return {"receivers": list(receivers), "processors": processors, "exporters": [exporter]}


class _Plain(yaml.SafeDumper):
    """Without anchors, which nobody wants to read on a node at night."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
