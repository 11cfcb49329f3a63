"""What leaves is what the SDK would have sent, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace.span import NonRecordingSpan, TraceState

from starters.collector import collecting
from telemetry.otlp import Exporter, encoded

REMOTE = SpanContext(7, 8, True, TraceFlags(TraceFlags.SAMPLED), TraceState([("vendor", "value")]))


def ended(exporter: InMemorySpanExporter, tracer: Tracer) -> Sequence[ReadableSpan]:
    """One span of each kind, and with everything that a span may have."""
    for kind in SpanKind:
        tracer.start_span(kind.name, kind=kind).end()
    with tracer.start_as_current_span("outer") as outer:
        tracer.start_span(
            "inner", attributes={"a": "text", "b": 1, "c": 1.0, "d": True, "e": ("x", "y"), "f": ""}
        ).end()
        tracer.start_span("again", attributes={"a": "text", "b": True, "c": 1, "d": 1.0, "e": (1, -2), "f": ""}).end()
        outer.set_attribute("later", "said")
        tracer.start_span("linked", links=[Link(outer.get_span_context(), {"why": "so"})]).end()
    failed = tracer.start_span("failed")
    failed.set_status(StatusCode.ERROR, "refused")
    failed.end()
    tracer.start_span("of another process", set_span_in_context(NonRecordingSpan(REMOTE))).end()
    with pytest.raises(ValueError, match="no"), tracer.start_as_current_span("with an event"):
        raise ValueError("no")
    return exporter.get_finished_spans()


@pytest.fixture
def spans() -> Sequence[ReadableSpan]:
    """Spans that have ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "tests"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    assert isinstance(tracer, Tracer)
    return ended(exporter, tracer)


def test_is_what_the_sdk_makes_of_it(spans: Sequence[ReadableSpan]) -> None:
    """Every field of every span; a second time, when attributes are known, too."""
    assert len(spans) > 10
    for _ in range(2):
        assert encoded(spans) == encode_spans(spans)
    for span in spans:
        assert encoded((spans[0], span)) == encode_spans((spans[0], span)), span.name


def test_arrives(spans: Sequence[ReadableSpan]) -> None:
    """By the SDK's own way: address, and what a failure is."""
    with collecting() as collector:
        exporter = Exporter(endpoint=f"{collector.url}/v1/traces")
        assert exporter.export(spans).name == "SUCCESS"
        assert [span.name for span in collector.spans] == [span.name for span in spans]
        exporter.shutdown()  # type: ignore[no-untyped-call]
        assert exporter.export(spans).name == "FAILURE"
