"""Monitoring: Cockpit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Email, Label, Matching


class DataSource(Section):
    """A place where metrics, logs or traces are kept."""

    type: Literal["metrics", "logs", "traces"]
    """What."""
    retention_days: int = Field(default=31, ge=1, le=31)
    """For how long, 31 days at most."""


Scope = Literal[
    "read_only_metrics",
    "write_only_metrics",
    "full_access_metrics_rules",
    "read_only_logs",
    "write_only_logs",
    "full_access_logs_rules",
    "full_access_alert_manager",
    "read_only_traces",
    "write_only_traces",
]


class Package(Section):
    """A Debian package that is fetched from where its project keeps its releases."""

    url: Annotated[str, Matching(r"https?://[^\s@]+\.deb", "the address of a .deb, without a password", limit=400)]
    """Address of the .deb, which nodes can reach."""
    sha256: Annotated[str, Matching("[0-9a-f]{64}", "the SHA-256 of the package, 64 hexadecimal digits", limit=64)]
    """What its content must be."""


class Agent(Section):
    """The OpenTelemetry Collector on every node: host metrics, units, journal, and the application's OTLP."""

    token: Label
    """Which of `tokens` it writes with."""
    metrics: Label
    """Data source for metrics."""
    logs: Label
    """Data source for logs."""
    traces: Label | None = None
    """Data source for the application's traces; they go nowhere if left out."""
    package: Package | None = Field(
        default=None,
        examples=[{"url": "https://example.com/otelcol-contrib_0.159.0_linux_amd64.deb", "sha256": "0" * 64}],
    )
    """Where `otelcol-contrib` comes from; if left out, the image or `cloud_init` has to bring it."""


class Monitoring(Section):
    """Cockpit."""

    data_sources: dict[Label, DataSource] = Field(default={})
    """Data sources, by name."""
    tokens: dict[Label, Annotated[list[Scope], Field(min_length=1)]] = Field(
        default={}, examples=[{"backend": ["write_only_metrics", "write_only_logs"]}]
    )
    """Tokens, by name, each with its scopes; they are kept in Secret Manager."""
    alert_manager: bool = False
    """Whether alerts are sent at all."""
    managed_alerts: bool = False
    """Whether Scaleway's ready-made alerts on its products are on."""
    contact_points: list[Email] = Field(default=[])
    """Who gets the alerts."""
    alert_rules: Label | None = None
    """Data source for metrics in which the engine's own rules are evaluated; there are none if left out. Rules about
    Scaleway's products are put into Scaleway's own data source. One of `tokens` needs `full_access_metrics_rules`."""
    agent: Agent | None = None
    """What nodes send; nothing if left out."""
