"""Spans: who gets them, and what the last ones of a process have to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from temporalio.client import Interceptor

from telemetry import settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter


def tracing() -> list[Interceptor]:
    """The interceptors that write spans; none unless OTEL_TRACES_EXPORTER or an OTLP endpoint is set.

    They stand outside of the activities' own boundary, so a failure reaches them without secrets.
    """
    exporter = _exporter()
    if exporter is None:
        return []
    # Only now: the command line starts sooner without them.
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from telemetry.run_spans import Ids, RunTracing
    from telemetry.spans import Provider

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = Provider(
            resource=Resource.create({SERVICE_NAME: settings.service()}),
            id_generator=Ids(),
            # Left to the interpreter's exit it would wait there for a collector that is gone.
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
    return [RunTracing()]


def flush() -> None:
    """Send what is still here: before a process ends without the interpreter's own exit."""
    provider = trace.get_tracer_provider()
    # A provider of the API alone has nothing to send.
    if shutdown := getattr(provider, "shutdown", None):
        shutdown()


def _exporter() -> SpanExporter | None:
    match settings.exporter("traces"):
        case "otlp":
            from telemetry.otlp import Exporter

            return Exporter()
        case "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return ConsoleSpanExporter()
    return None
