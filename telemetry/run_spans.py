"""One trace for each run, from whoever started it through the workflow to its activities.

Temporal's own interceptor does most of it: a workflow's spans begin and end at once, are written when the workflow does
something for the first time, and not when it is replayed. That an activity is asked for is no span of ours: each of its
attempts is one, and says more. What else it leaves to us: a run that no program of ours started,
as those of schedules, has no trace to belong to. Such a run gets one whose ids follow from its run id, so that they are
the same after every replay, on every worker.
"""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from temporalio import workflow
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.worker import WorkflowInterceptorClassInput

from telemetry.running import NAMESPACE, of_run

_PARENT = "traceparent"
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

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[TracingWorkflowInboundInterceptor]:
        """Called by the worker."""
        super().workflow_interceptor_class(input)
        return _RunSpans

    def _completed_workflow_span(self, params: Any) -> Any:
        ids = ids_of(params.attributes["temporalRunID"])
        if not params.name.startswith("RunWorkflow:") or params.context.get(_PARENT) != _as_parent(ids):
            return super()._completed_workflow_span(params)
        before = _planned.set(ids)
        try:
            return super()._completed_workflow_span(dataclasses.replace(params, context={}))
        finally:
            _planned.reset(before)


class _RunSpans(TracingWorkflowInboundInterceptor):
    def _load_workflow_context_carrier(self) -> Any:
        return super()._load_workflow_context_carrier() or {_PARENT: _as_parent(ids_of(workflow.info().run_id))}

    def _completed_span(self, span_name: str, **options: Any) -> None:
        if span_name.startswith("StartActivity:"):
            # A quarter of all spans, each of which costs the run's own thread time, for no more than a moment.
            options["add_to_outbound"].headers = self._context_to_headers(options["add_to_outbound"].headers)
            return
        told = {NAMESPACE + name: value for name, value in of_run().items()}
        options["additional_attributes"] = told | dict(options.get("additional_attributes") or {})
        super()._completed_span(span_name, **options)


def ids_of(run_id: str) -> tuple[int, int]:
    """Trace id and id of the first span of a run that has to have a trace of its own."""
    digest = hashlib.sha256(run_id.encode()).digest()
    return uuid.UUID(run_id).int, int.from_bytes(digest[:8])


def _as_parent(ids: tuple[int, int]) -> str:
    return f"00-{trace.format_trace_id(ids[0])}-{trace.format_span_id(ids[1])}-01"
