"""Monitoring: Cockpit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Email, Label


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
