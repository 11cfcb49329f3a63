"""Traces: a span for each run and each activity, where OpenTelemetry's own settings ask for them."""

from __future__ import annotations

import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import TracingInterceptor


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
