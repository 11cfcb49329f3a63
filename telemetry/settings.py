"""Where OpenTelemetry's own environment variables want traces, metrics and logs to go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote

Signal = Literal["traces", "metrics", "logs"]
DEFAULT_SERVICE = "scaleway-infra"
DEFAULT_INTERVAL = 60_000
"""Milliseconds between two exports of metrics, as OpenTelemetry has it."""


def exporter(signal: Signal) -> str:
    """Who is to get a signal: "otlp", "console", or "none", which it is unless something is set."""
    if _given("OTEL_SDK_DISABLED").lower() == "true":
        return "none"
    return _given(f"OTEL_{signal.upper()}_EXPORTER") or ("otlp" if endpoint(signal) else "none")


def endpoint(signal: Signal) -> str:
    """The address that a signal is posted to; empty if there is none."""
    base = _given("OTEL_EXPORTER_OTLP_ENDPOINT").rstrip("/")
    return _given(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or (base and f"{base}/v1/{signal}")


def headers(signal: Signal) -> Mapping[str, str]:
    """What goes along with each post, such as a token."""
    given = _given(f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS") or _given("OTEL_EXPORTER_OTLP_HEADERS")
    pairs = (pair.partition("=") for pair in given.split(",") if pair)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


def logs_as_json() -> bool:
    """Whether LOG_FORMAT wants the log as JSON lines, and not as text."""
    return _given("LOG_FORMAT").lower() == "json"


def logs_have_fields() -> bool:
    """Whether somebody reads the log by its fields: as JSON, or over OTLP."""
    return logs_as_json() or exporter("logs") == "otlp"


def service() -> str:
    """How this program is called in all three signals."""
    return _given("OTEL_SERVICE_NAME") or DEFAULT_SERVICE


def metric_interval() -> int:
    """Milliseconds between two exports of metrics."""
    return int(_given("OTEL_METRIC_EXPORT_INTERVAL") or DEFAULT_INTERVAL)


def _given(name: str) -> str:
    # Empty counts as unset: the specification says so.
    return os.environ.get(name, "")
