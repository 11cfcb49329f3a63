"""What the program is at just now: said once, found on every span and every line of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from opentelemetry import trace
from temporalio import activity, workflow
from temporalio.common import SearchAttributeKey

from blueprint.contract import ENVIRONMENT_ATTRIBUTE, OPERATION_ATTRIBUTE

NAMESPACE = "scaleway_infra."
"""Of attributes that OpenTelemetry's conventions have no name for. Lines of the log go without."""

_ENVIRONMENT = SearchAttributeKey.for_keyword(ENVIRONMENT_ATTRIBUTE)
_OPERATION = SearchAttributeKey.for_keyword(OPERATION_ATTRIBUTE)
_subject: ContextVar[Mapping[str, Any]] = ContextVar("subject", default=MappingProxyType({}))


@contextmanager
def about(subject: Mapping[str, Any]) -> Iterator[None]:
    """Say what this activity is about: its span says so, and so does every line that is logged inside.

    Args:
        subject: attributes without namespace: environment, operation, step, resource.kind, ...
    """
    trace.get_current_span().set_attributes({NAMESPACE + name: value for name, value in subject.items()})
    before = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(before)


def of_run() -> dict[str, str]:
    """Environment and operation of the workflow that runs on this thread."""
    info = workflow.info()
    told = info.typed_search_attributes
    found = {"environment": told.get(_ENVIRONMENT), "operation": told.get(_OPERATION) or info.workflow_type.lower()}
    return {name: value for name, value in found.items() if value}


def here() -> dict[str, Any]:
    """Everything known about what runs here: run, environment, step, and the trace that it belongs to."""
    found: dict[str, Any] = {}
    if workflow.in_workflow():
        ran = workflow.info()
        found |= {"workflow_id": ran.workflow_id, "run_id": ran.run_id, **of_run()}
    elif activity.in_activity():
        info = activity.info()
        found |= {"workflow_id": info.workflow_id, "run_id": info.workflow_run_id}
        found |= {"activity": info.activity_type, "attempt": info.attempt, **_subject.get()}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        found |= {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}
    return {name: value for name, value in found.items() if value is not None}
