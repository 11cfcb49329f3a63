"""The refusals of Scaleway's API, with the status codes and bodies that recorded traffic shows."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is not a success: raised by a handler, sent to the client as it stands.

    Attributes:
        status: the HTTP status code.
        body: the JSON body; None sends an empty one.
        headers: further response headers.
    """

    def __init__(self, status: int, body: dict[str, Any] | None, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def not_found(resource: str, resource_id: str) -> ApiError:
    """404 in the form most products use."""
    return ApiError(
        404,
        {"message": "resource is not found", "resource": resource, "resource_id": resource_id, "type": "not_found"},
    )


def invalid_arguments(*details: tuple[str, str, str]) -> ApiError:
    """400 for arguments: each detail is (argument_name, reason, help_message)."""
    return ApiError(
        400,
        {
            "details": [
                {"argument_name": name, "help_message": text, "reason": reason} for name, reason, text in details
            ],
            "message": "invalid argument(s)",
            "type": "invalid_arguments",
        },
    )


def transient_state(resource: str, resource_id: str, current_state: str) -> ApiError:
    """409: the object is busy; the same call works once it has settled."""
    return ApiError(
        409,
        {
            "current_state": current_state,
            "message": "resource is in a transient state",
            "resource": resource,
            "resource_id": resource_id,
            "type": "transient_state",
        },
    )


def already_exists(resource: str, resource_id: str, help_message: str = "") -> ApiError:
    """409: an object of this name or for this project is there."""
    return ApiError(
        409,
        {
            "help_message": help_message,
            "message": "resource already exists",
            "resource": resource,
            "resource_id": resource_id,
            "type": "already_exists",
        },
    )


def precondition_failed(precondition: str, help_message: str, status: int = 412) -> ApiError:
    """412 (400 for server actions): the object's surroundings forbid the call."""
    return ApiError(
        status,
        {
            "help_message": help_message,
            "message": "precondition is not respected",
            "precondition": precondition,
            "type": "precondition_failed",
        },
    )


def permissions_denied(resource: str, action: str) -> ApiError:
    """403: the key may not do this, or the object belongs to somebody else."""
    return ApiError(
        403,
        {
            "details": [{"action": action, "resource": resource}],
            "message": "insufficient permissions",
            "type": "permissions_denied",
        },
    )


def quotas_exceeded(resource: str, quota: int, current: int) -> ApiError:
    """403: the organization owns as many of these as it may."""
    return ApiError(
        403,
        {
            "details": [{"current": current, "quota": quota, "resource": resource}],
            "message": "quota(s) exceeded for this resource",
            "type": "quotas_exceeded",
        },
    )


def denied_authentication() -> ApiError:
    """401: no key, or none that is known."""
    return ApiError(
        401,
        {
            "message": "authentication is denied",
            "method": "api_key",
            "reason": "not_found",
            "type": "denied_authentication",
        },
    )
