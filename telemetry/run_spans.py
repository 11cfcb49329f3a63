"""One trace for each run, from whoever started it through the workflow to its activities.

Temporal's own interceptor does most of it: a workflow's spans begin and end at once, are written when the workflow does
something for the first time, and not when it is replayed. That an activity is asked for is no span of ours: each of its
attempts is one, and says more. What else it leaves to us: a run that no program of ours started,
as those of schedules, has no trace to belong to. Such a run gets one whose ids follow from its run id, so that they are
the same after every replay, on every worker.

What happens once for each activity is ours too, for what it costs: all activities of a run have the same parent, which
is written and read once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.exceptions import ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, WorkflowInterceptorClassInput

from telemetry.running import NAMESPACE, of_run
from telemetry.spans import WELL, OpenSpan, Provider, flags_of

_PARENT = "traceparent"
_HEADER = "_tracer-data"
"""Where Temporal's interceptor puts a trace's context."""
_ROOT = "scaleway_infra_root"
"""By what name a workflow reaches `_root`: the sampler is outside of its sandbox."""
_MOST_PARENTS = 256
"""Runs whose parent is at hand; that of another is read again."""
_propagator = TraceContextTextMapPropagator()
_planned: ContextVar[tuple[int, int] | None] = ContextVar("planned", default=None)


class Ids(RandomIdGenerator):
    """Random ids, but for the first span of a run that has no trace yet."""

    def generate_trace_id(self) -> int:
        """The trace's id."""
        planned = _planned.get()
        return planned[0] if planned else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """The span's id."""
        planned = _planned.get()
        return planned[1] if planned else super().generate_span_id()


class RunTracing(TracingInterceptor):
    """Temporal's interceptor, with a root for runs that have none."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Called by the worker for each activity."""
        provider = trace.get_tracer_provider()
        # Somebody else's knows only Temporal's way.
        return _AttemptSpan(next, provider) if isinstance(provider, Provider) else super().intercept_activity(next)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[TracingWorkflowInboundInterceptor]:
        """Called by the worker."""
        super().workflow_interceptor_class(input)
        input.unsafe_extern_functions[_ROOT] = _root
        return _RunSpans

    def _completed_workflow_span(self, params: Any) -> Any:
        run_id = params.attributes["temporalRunID"]
        if not params.name.startswith("RunWorkflow:") or params.context.get(_PARENT) != _root(run_id):
            return super()._completed_workflow_span(params)
        before = _planned.set(ids_of(run_id))
        try:
            return super()._completed_workflow_span(dataclasses.replace(params, context={}))
        finally:
            _planned.reset(before)


class _AttemptSpan(ActivityInboundInterceptor):
    """A span for each attempt of an activity, as Temporal's interceptor would write it, but for tracebacks.

    Those are in the log; the span has the error's type and message.

    Args:
        next: what it is put around.
        provider: writes it.
    """

    def __init__(self, next: ActivityInboundInterceptor, provider: Provider) -> None:
        super().__init__(next)
        self._provider = provider

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        name = f"RunActivity:{info.activity_type}"
        header = input.headers.get(_HEADER)
        parent = _parent_in(header.data) if header else INVALID_SPAN_CONTEXT
        told = parent.is_valid
        if not told:
            # The run was begun by a worker that writes no spans.
            parent = SpanContext(*ids_of(info.workflow_run_id or str(uuid.uuid4())), is_remote=True)
        context = self._provider.sampled_child_of(parent, name, known=told)
        attributes: dict[str, AttributeValue] = {
            "temporalActivityID": info.activity_id,
            "temporalWorkflowID": info.workflow_id or "",
            "temporalRunID": info.workflow_run_id or "",
        }
        began, status = time.time_ns(), WELL
        before = attach(trace.set_span_in_context(OpenSpan(context, attributes)))
        try:
            return await super().execute_activity(input)
        except Exception as error:
            attributes["error.type"] = getattr(error, "type", None) or type(error).__name__
            # What is expected, as "not ready yet", is no failure.
            if getattr(error, "category", None) is not ApplicationErrorCategory.BENIGN:
                status = Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            raise
        finally:
            detach(before)
            self._provider.write(name, context, parent, began, attributes, kind=SpanKind.SERVER, status=status)


class _RunSpans(TracingWorkflowInboundInterceptor):
    _of_activities: Mapping[str, Payload] | None = None
    """The header of each of them."""

    def _load_workflow_context_carrier(self) -> Any:
        self._workflow_context_carrier = super()._load_workflow_context_carrier() or {
            _PARENT: workflow.extern_functions()[_ROOT](workflow.info().run_id)
        }
        return self._workflow_context_carrier

    def _completed_span(self, span_name: str, **options: Any) -> None:
        if span_name.startswith("StartActivity:"):
            # A quarter of all spans, each of which costs the run's own thread time, for no more than a moment.
            # All have one parent, for no span of a workflow is still there when it does something next.
            self._of_activities = self._of_activities or self._context_to_headers({})
            options["add_to_outbound"].headers = {**options["add_to_outbound"].headers, **self._of_activities}
            return
        told = {NAMESPACE + name: value for name, value in of_run().items()}
        options["additional_attributes"] = told | dict(options.get("additional_attributes") or {})
        super()._completed_span(span_name, **options)


@lru_cache(maxsize=_MOST_PARENTS)
def _parent_in(header: bytes) -> SpanContext:
    return trace.get_current_span(_propagator.extract(json.loads(header), Context())).get_span_context()


def ids_of(run_id: str) -> tuple[int, int]:
    """Trace id and id of the first span of a run that has to have a trace of its own."""
    digest = hashlib.sha256(run_id.encode()).digest()
    return uuid.UUID(run_id).int, int.from_bytes(digest[:8])


def _root(run_id: str) -> str:
    """The first span of a run that has to have a trace of its own, as its parts are told of it, after every replay."""
    provider, (trace_id, span_id) = trace.get_tracer_provider(), ids_of(run_id)
    flags = flags_of(provider, trace_id, "RunWorkflow") if isinstance(provider, TracerProvider) else TraceFlags()
    return f"00-{trace.format_trace_id(trace_id)}-{trace.format_span_id(span_id)}-{flags:02x}"
