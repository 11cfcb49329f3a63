"""How a run fails: in the engine's own words, with the code that tells programs why."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from blueprint.errors import EngineError


def failure(error: EngineError, *details: Any) -> ApplicationError:
    """The failure that ends a run with this error. Any other exception would be taken for a bug and be retried.

    Args:
        error: what happened.
        details: what programs can read besides.
    """
    return ApplicationError(str(error), *details, type=error.code, non_retryable=True)


def told(error: BaseException) -> str:
    """What a failed activity or child, or an error of ours, says in words for people."""
    cause = error.cause if isinstance(error, ActivityError | ChildWorkflowError) else error
    return str(getattr(cause, "message", None) or cause or error)


def code_of(error: ActivityError | ChildWorkflowError) -> str:
    """The stable code of a failed activity or child; empty if it has none, as for a time-out."""
    return (error.cause.type or "") if isinstance(error.cause, ApplicationError) else ""
