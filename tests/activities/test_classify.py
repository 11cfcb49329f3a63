"""What each answer of Scaleway means: recorded bodies, a line each (Scaleway errors, section 3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from activities.classify import classify
from blueprint.errors import (
    Busy,
    EngineError,
    Gone,
    OutOfStock,
    PermissionDenied,
    QuotaExceeded,
    Refused,
    StillInUse,
    Throttled,
    Unauthenticated,
    Unavailable,
    Unresolved,
)

Row = tuple[int, dict[str, Any] | None, type[EngineError]]


def arguments(*details: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A body that says which arguments are wrong."""
    return {"details": list(details), "message": "invalid argument(s)", "type": "invalid_arguments"} | more


def precondition(name: str, help_message: str) -> dict[str, Any]:
    """A body of a precondition that is not met."""
    message = "precondition is not respected"
    return {"help_message": help_message, "message": message, "precondition": name, "type": "precondition_failed"}


def transient(
    state: str, resource: str = "cluster", message: str = "resource is in a transient state"
) -> dict[str, Any]:
    """A body of an object that is not at rest."""
    return {
        "current_state": state,
        "message": message,
        "resource": resource,
        "resource_id": "x",
        "type": "transient_state",
    }


UNHANDLED = "Database engine is not able to handle your request"
ROWS: list[Row] = [
    (
        401,
        {"message": "authentication is denied", "method": "api_key", "type": "denied_authentication"},
        Unauthenticated,
    ),
    (429, None, Throttled),
    # 403: who may not, what is too much, and what only says so and means that it is not there
    (403, {"details": [{"action": "read", "resource": "namespace"}], "type": "permissions_denied"}, PermissionDenied),
    (403, {"message": "insufficient permissions", "type": "authorization_required"}, PermissionDenied),
    (403, {"message": "Not authorized"}, PermissionDenied),
    (403, {"message": "Permission denied"}, PermissionDenied),
    (403, None, PermissionDenied),
    (403, {"details": [{"current": 25, "quota": 25, "resource": "R"}], "type": "quotas_exceeded"}, QuotaExceeded),
    (403, {"message": "subdomain not found"}, Gone),
    # not there
    (404, {"message": "resource is not found", "resource": "cluster", "type": "not_found"}, Gone),
    (404, {"message": "lbs not Found"}, Gone),
    (404, None, Gone),
    (400, {"message": "backend not Found"}, Gone),
    (410, {"expired_since": "2023-11-23T12:57:58Z", "message": "resource has expired", "type": "expired"}, Gone),
    # passes by itself, unless the state is a last one
    (409, transient("configuring", "gateway"), Busy),
    (409, transient("", "", UNHANDLED), Busy),
    (409, transient("unavailable", "instance", UNHANDLED), Busy),
    (409, transient("error"), Refused),
    (409, transient("locked"), Refused),
    (409, transient("failed"), Refused),
    (409, {"message": "Tuple concurrently updated"}, Busy),
    (409, {"message": "User cannot be dropped because some objects depend on it"}, StillInUse),
    (409, {"help_message": "SQS is already enabled", "resource": "X", "type": "already_exists"}, Refused),
    # preconditions
    (412, precondition("resource_still_in_use", "Private Network must be empty to be deleted"), StillInUse),
    (412, precondition("resource_still_in_use", "IP is attached to the running gateway with id x"), StillInUse),
    (400, {"message": "operation was rejected because the ip_id is used on a lb"}, StillInUse),
    (412, precondition("resource_not_usable", "an unexpected error happened, please retry later"), Busy),
    (400, precondition("resource_not_usable", "server should be stopped"), Busy),
    (412, precondition("protected_resource", "cannot delete a protected secret"), Refused),
    (412, precondition("attribute_must_be_set", "x"), Refused),
    # the call itself is wrong
    (400, arguments({"argument_name": "engine", "help_message": "too short", "reason": "constraint"}), Refused),
    (400, {"type": "invalid_request_error", "message": "Validation Error", "fields": {"tags": ["a list"]}}, Refused),
    (
        400,
        arguments({"field": "dns_name", "message": "a.io not resolve to your Load Balancer IP 51.15.0.1"}),
        Unresolved,
    ),
    (400, None, Refused),
    (501, {"message": "not implemented"}, Refused),
    # nobody knows whether it happened
    (500, {"message": "Internal error"}, Unavailable),
    (500, {"type": "server_error", "message": "Internal error"}, Unavailable),
    (502, None, Unavailable),
    (503, {"message": "upstream request timeout"}, Unavailable),
    (503, {"message": 'connection error: desc = "transport: no route to host"'}, Unavailable),
    (503, {"message": "The PostgreSQL server is not available. Retry in a few moment"}, Unavailable),
    (504, None, Unavailable),
    # says so itself, whatever the status
    (503, {"message": "resource is out of stock", "type": "out_of_stock"}, OutOfStock),
    (400, {"message": "resource is out of stock", "type": "out_of_stock"}, OutOfStock),
]


@pytest.mark.parametrize(("status", "body", "expected"), ROWS)
def test_class(status: int, body: dict[str, Any] | None, expected: type[EngineError]) -> None:
    """The very class, and the call and the status in the text."""
    error = classify(status, body, "PUT /x")
    assert type(error) is expected
    assert error.message.startswith(f"PUT /x: {status}")
    assert error.remedy or error.retryable or isinstance(error, Gone)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (arguments({"argument_name": "engine", "help_message": "too short"}), "invalid argument(s); engine: too short"),
        (arguments({"argument_name": "engine", "reason": "constraint"}), "engine: constraint"),
        ({"message": "Validation Error", "fields": {"tags": ["expected a list"]}}, "tags: ['expected a list']"),
        ({"details": [{"current": 25, "quota": 25, "resource": "Projects"}]}, "Projects: 25 of 25"),
        ({"details": [{"action": "write", "resource": "vpc_vpc"}]}, "write vpc_vpc"),
        (precondition("resource_still_in_use", "must be empty"), "precondition is not respected; must be empty"),
        (transient("error"), "(cluster is error)"),
    ],
)
def test_the_words_of_the_api_reach_the_reader(body: dict[str, Any], words: str) -> None:
    """Which argument, which quota, which right, which state."""
    assert words in classify(400, body, "PUT /x").message


@pytest.mark.parametrize(
    "body", [{"details": "x"}, {"details": [1, "x"]}, {"fields": ["x"]}, {"message": None}, {"details": {}}]
)
def test_bodies_of_no_known_form(body: dict[str, Any]) -> None:
    """They hide nothing: the status is told all the same."""
    assert classify(400, body, "PUT /x").message.startswith("PUT /x: 400")
