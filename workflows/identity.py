"""How runs are called and found."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

TASK_QUEUE = "scaleway-infra"
"""Where workers listen."""

NEEDS_OPERATOR = SearchAttributeKey.for_bool("NeedsOperator")
"""Whether a step is parked and waits for a person: filter the workflow list by it."""
BLOCKED_STEP = SearchAttributeKey.for_keyword("BlockedStep")
"""The first parked step."""
ENVIRONMENT = SearchAttributeKey.for_keyword("Environment")
"""Such as "lssm-prod"."""
OPERATION = SearchAttributeKey.for_keyword("Operation")
"""apply, destroy, plan, drift, status."""
STARTED_BY = SearchAttributeKey.for_keyword("StartedBy")
"""Who or what started the run."""

SEARCH_ATTRIBUTES = (NEEDS_OPERATOR, BLOCKED_STEP, ENVIRONMENT, OPERATION, STARTED_BY)


def turn(environment: str) -> str:
    """Workflow id of everything that changes an environment.

    Only one workflow of an id runs at a time, so the running workflow is the lock: it cannot be left behind.
    """
    return f"environment/{environment}"


def look(operation: str, environment: str, unique: str) -> str:
    """Workflow id of what only reads: it takes nobody's turn."""
    return f"{operation}/{environment}/{unique}"
