"""Spans as OTLP: what the SDK's exporter sends, encoded in less than half of its time.

Most of what a span costs is its encoding, while activities wait for the interpreter. Most of that is attributes, and
nearly all of those have been encoded before: methods, hosts, operations, the ids of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, SpanFlags, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

_MOST_ATTRIBUTES = 4096
"""Attributes, each with a value, that are kept encoded: a megabyte."""
_LOCAL = int(SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
_REMOTE = _LOCAL | int(SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
"""Whether the parent was of another process."""


class Exporter(OTLPSpanExporter):
    """Sends as the SDK's does, and reads the same settings."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        if self._shutdown:
            return SpanExportResult.FAILURE
        sent = self._client.export(encoded(spans).SerializeToString())
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """What a batch is in OTLP: the same that the SDK makes of it, but for the order of scopes.

    Args:
        spans: that have ended.
    """
    request = ExportTraceServiceRequest()
    scopes: dict[int, ScopeSpans] = {}
    for span in spans:
        # By identity: a scope's hash goes through all that it holds.
        scope = scopes.get(id(span.instrumentation_scope))
        if scope is None:
            request.MergeFrom(encode_spans((span,)))
            scopes[id(span.instrumentation_scope)] = request.resource_spans[-1].scope_spans[0]
        elif span.events or span.links:
            scope.spans.extend(encode_spans((span,)).resource_spans[0].scope_spans[0].spans)
        else:
            _add(span, scope)
    return request


def _add(span: ReadableSpan, scope: ScopeSpans) -> None:
    context, parent, status = span.context, span.parent, span.status
    assert context
    # In its place: a message that is put into another one is copied.
    scope.spans.add(
        trace_id=context.trace_id.to_bytes(16),
        span_id=context.span_id.to_bytes(8),
        trace_state=context.trace_state.to_header() if context.trace_state else "",
        parent_span_id=parent.span_id.to_bytes(8) if parent else None,
        name=span.name,
        # OTLP counts from 1.
        kind=span.kind.value + 1,
        start_time_unix_nano=span.start_time,
        end_time_unix_nano=span.end_time,
        attributes=[_attribute(name, value) for name, value in dict(span.attributes or {}).items()],
        dropped_attributes_count=span.dropped_attributes,
        status=_status(status.status_code.value, status.description or ""),
        flags=_REMOTE if parent and parent.is_remote else _LOCAL,
    )


@lru_cache(maxsize=_MOST_ATTRIBUTES)
def _status(code: Any, description: str) -> Status:
    return Status(code=code, message=description)


# 1, 1.0 and True are equal, and different values of OTLP.
@lru_cache(maxsize=_MOST_ATTRIBUTES, typed=True)
def _attribute(name: str, value: Any) -> KeyValue:
    return KeyValue(key=name, value=_value(value))


def _value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case tuple():
            return AnyValue(array_value=ArrayValue(values=map(_value, value)))
    return AnyValue(string_value=value)
