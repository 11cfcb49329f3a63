"""One tracer provider for all tests of a process: OpenTelemetry takes no second one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from telemetry.run_spans import Ids
from telemetry.spans import Provider


class _Switch(SpanExporter):
    """Hands spans to whoever wants them just now."""

    def __init__(self) -> None:
        self.to: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self.to.export(spans) if self.to else SpanExportResult.SUCCESS


_switch = _Switch()


@contextmanager
def installed(exporter: SpanExporter) -> Iterator[None]:
    """Every span that ends inside goes to that exporter."""
    if not isinstance(trace.get_tracer_provider(), Provider):
        provider = Provider(id_generator=Ids())
        provider.add_span_processor(SimpleSpanProcessor(_switch))
        trace.set_tracer_provider(provider)
    _switch.to = exporter
    try:
        yield
    finally:
        _switch.to = None
