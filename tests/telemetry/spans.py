"""One tracer provider for all tests of a process: OpenTelemetry takes no second one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler, SamplingResult

from telemetry.run_spans import Ids
from telemetry.spans import Provider


class _Switch(SpanExporter):
    """Hands spans to whoever wants them just now."""

    def __init__(self) -> None:
        self.to: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self.to.export(spans) if self.to else SpanExportResult.SUCCESS


class Asked(Sampler):
    """Asks whom a test wants: what has a tracer keeps the sampler that its provider had then."""

    def __init__(self) -> None:
        self.to: Sampler = DEFAULT_ON

    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        """See `Sampler`."""
        return self.to.should_sample(*args, **options)

    def get_description(self) -> str:
        """See `Sampler`."""
        return self.to.get_description()


_switch = _Switch()
sampling = Asked()


@contextmanager
def installed(exporter: SpanExporter) -> Iterator[None]:
    """Every span that ends inside goes to that exporter."""
    if not isinstance(trace.get_tracer_provider(), Provider):
        provider = Provider(sampler=sampling, id_generator=Ids())
        provider.add_span_processor(SimpleSpanProcessor(_switch))
        trace.set_tracer_provider(provider)
    _switch.to = exporter
    try:
        yield
    finally:
        _switch.to, sampling.to = None, DEFAULT_ON
