"""Spans that are written once they have ended, for a third of the time that the SDK's own take.

Nearly all spans of a run are activities and their calls. The way through sampler, limits and locks costs each of them
more than all the rest that telemetry does for it, while the run waits; and nobody looks at them before their end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

SCOPE = InstrumentationScope("scaleway_infra")
WELL, FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Provider(TracerProvider):
    """The SDK's, which writes such spans, too.

    Args:
        settings: see `TracerProvider`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._processors: list[SpanProcessor] = []

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """See `TracerProvider`."""
        super().add_span_processor(span_processor)
        self._processors.append(span_processor)

    def child_of(self, parent: SpanContext) -> SpanContext:
        """What a new part of that span is known by. It is sampled if that one is."""
        return SpanContext(
            parent.trace_id,
            self.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=parent.trace_flags,
            trace_state=parent.trace_state,
        )

    def write(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext,
        began: int,
        attributes: Mapping[str, AttributeValue],
        *,
        kind: SpanKind = SpanKind.CLIENT,
        status: Status = WELL,
    ) -> None:
        """Write a span that ends now.

        The SDK's limits are not for it: it has a few short attributes.

        Args:
            name: of the span.
            context: what `child_of` gave.
            parent: whose part it is.
            began: when, in nanoseconds since the epoch.
            attributes: nobody may change them any more.
            kind: a call to the outside, unless it is said.
            status: how it ended.
        """
        if not context.trace_flags.sampled:
            return
        span = ReadableSpan(
            name,
            context,
            parent,
            self.resource,
            attributes,
            kind=kind,
            status=status,
            start_time=began,
            end_time=time.time_ns(),
            instrumentation_scope=SCOPE,
        )
        for processor in self._processors:
            processor.on_end(span)


class OpenSpan(NonRecordingSpan):
    """A span that others are parts of, and that may be told more before it ends.

    Attributes:
        attributes: what it was told.
    """

    def __init__(self, context: SpanContext, attributes: dict[str, AttributeValue]) -> None:
        super().__init__(context)
        self.attributes = attributes

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """See `Span`."""
        self.attributes.update(attributes)
