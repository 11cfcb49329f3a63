"""Calls that boto3 makes, by the events that botocore tells of each."""

from __future__ import annotations

from typing import Any, TypeVar

from telemetry import calls

C = TypeVar("C")
_CALL = "scaleway_infra.call"


def watched(client: C) -> C:
    """The client, each of whose calls is a span from now on."""
    events = client.meta.events  # type: ignore[attr-defined]
    events.register_last("before-call", _begin)
    events.register_first("after-call", _answered)
    events.register_first("after-call-error", _failed)
    return client


def _begin(model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    operation = f"{model.service_model.service_id}/{model.name}"
    context[_CALL] = calls.http(operation, params["method"], params["url"], system="aws-api")


def _answered(http_response: Any, context: dict[str, Any], **_: Any) -> None:
    call: calls.Call = context.pop(_CALL)
    call.answered(http_response.status_code)
    call.end()


def _failed(exception: Exception, context: dict[str, Any], **_: Any) -> None:
    call: calls.Call = context.pop(_CALL)
    call.failed(type(exception).__name__)
    call.end()
