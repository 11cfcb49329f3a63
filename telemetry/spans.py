"""Spans that are written once they have ended, for a third of the time that the SDK's own take.

Nearly all spans of a run are activities and their calls. The way through sampler, limits and locks costs each of them
more than all the rest that telemetry does for it, while the run waits; and nobody looks at them before their end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

SCOPE = InstrumentationScope("scaleway_infra")
WELL, FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Provider(TracerProvider):
    """The SDK's, which writes such spans, too: for processors that were added, and look at a span at its end only.

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
        return self._part_of(parent, parent.trace_flags)

    def sampled_child_of(self, parent: SpanContext, name: str, *, known: bool) -> SpanContext:
        """The same for a span whose parent may be of another process, so that the sampler has its say.

        Args:
            parent: whose part it is.
            name: of the new span.
            known: whether the parent was told to this process; if not, its decision was not either.
        """
        return self._part_of(parent, flags_of(self, parent.trace_id, name, parent if known else None))

    def _part_of(self, parent: SpanContext, flags: TraceFlags) -> SpanContext:
        span_id = self.id_generator.generate_span_id()
        return SpanContext(parent.trace_id, span_id, False, trace_flags=flags, trace_state=parent.trace_state)

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
            attributes: as they are now.
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
            # What cannot be hashed could not be encoded, and its whole batch would be lost.
            {key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()},
            kind=kind,
            status=status,
            start_time=began,
            end_time=time.time_ns(),
            instrumentation_scope=SCOPE,
        )
        for processor in self._processors:
            processor.on_end(span)


def flags_of(provider: TracerProvider, trace_id: int, name: str, parent: SpanContext | None = None) -> TraceFlags:
    """What a provider's sampler says about a span.

    Args:
        provider: whose sampler.
        trace_id: of the span.
        name: of the span.
        parent: whose part it is; None for the first of its trace.
    """
    context = set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()
    found = provider.sampler.should_sample(context, trace_id, name)
    return TraceFlags(TraceFlags.SAMPLED if found.decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)


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

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """See `Span`."""
        self.attributes[key] = value
