"""Traces and metrics, where OpenTelemetry's own settings ask for them."""

from __future__ import annotations

import os
from datetime import timedelta
from urllib.parse import unquote

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.runtime import OpenTelemetryConfig, Runtime, TelemetryConfig


def tracing() -> list[Interceptor]:
    """The interceptors that write spans; none unless OTEL_TRACES_EXPORTER or an OTLP endpoint is set.

    They stand outside of the activities' own boundary, so a failure reaches them without secrets.
    """
    exporter = _exporter()
    if exporter is None:
        return []
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        name = os.environ.get("OTEL_SERVICE_NAME", "scaleway-infra")
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    return [TracingInterceptor()]


def runtime() -> Runtime | None:
    """What carries metrics, the SDK's own and those of activities; None unless an OTLP endpoint is set.

    Only OTLP over HTTP: names of metrics have dots, as OpenTelemetry's conventions want them, and Temporal's own
    Prometheus endpoint drops those.
    """
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    url = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or (base and f"{base.rstrip('/')}/v1/metrics")
    if not url or os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
        return None
    given = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    pairs = (pair.partition("=") for pair in given.split(",") if pair)
    headers = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    every = timedelta(milliseconds=int(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")))
    metrics = OpenTelemetryConfig(url=url, headers=headers, metric_periodicity=every, http=True)
    tags = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "scaleway-infra")}
    return Runtime(telemetry=TelemetryConfig(metrics=metrics, global_tags=tags, attach_service_name=False))


def flush() -> None:
    """Send what is still here: before a process ends without the interpreter's own exit."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def _exporter() -> SpanExporter | None:
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    match os.environ.get("OTEL_TRACES_EXPORTER", "otlp" if endpoint else "none"):
        case "otlp":
            return OTLPSpanExporter()
        case "console":
            return ConsoleSpanExporter()
    return None
