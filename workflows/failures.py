"""How a run fails: in the engine's own words, with the code that tells programs why."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from blueprint.errors import EngineError


def failure(error: EngineError) -> ApplicationError:
    """The failure that ends a run with this error. Any other exception would be taken for a bug and be retried."""
    return ApplicationError(str(error), type=error.code, non_retryable=True)
