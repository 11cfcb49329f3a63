"""How runs are called and found."""

from __future__ import annotations

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from blueprint.contract import (
    COMMIT_ATTRIBUTE,
    ENVIRONMENT_ATTRIBUTE,
    OPERATION_ATTRIBUTE,
    STARTED_BY_ATTRIBUTE,
    TASK_QUEUE,
    freeze_id,
    look_id,
)
from blueprint.introduction import Introduction

__all__ = [
    "BLOCKED_STEP",
    "COMMIT",
    "ENVIRONMENT",
    "NEEDS_OPERATOR",
    "OPERATION",
    "SEARCH_ATTRIBUTES",
    "STARTED_BY",
    "TASK_QUEUE",
    "attributes_of",
    "backup_turn",
    "drill_turn",
    "freeze_id",
    "look_id",
    "turn_id",
]

NEEDS_OPERATOR = SearchAttributeKey.for_bool("NeedsOperator")
"""Whether a step is parked and waits for a person: filter the workflow list by it."""
BLOCKED_STEP = SearchAttributeKey.for_keyword("BlockedStep")
"""The first parked step."""
ENVIRONMENT = SearchAttributeKey.for_keyword(ENVIRONMENT_ATTRIBUTE)
"""Such as "lssm-prod"."""
OPERATION = SearchAttributeKey.for_keyword(OPERATION_ATTRIBUTE)
"""apply, destroy, deploy, rollback, plan, drift, status, releases, backup, drill, retention, restore, ..."""
STARTED_BY = SearchAttributeKey.for_keyword(STARTED_BY_ATTRIBUTE)
"""Who or what started the run."""
COMMIT = SearchAttributeKey.for_keyword(COMMIT_ATTRIBUTE)
"""What a deploy, or an apply that a CI job began, brings. A query takes "Commit" for a word of its own."""

SEARCH_ATTRIBUTES = (NEEDS_OPERATOR, BLOCKED_STEP, ENVIRONMENT, OPERATION, STARTED_BY, COMMIT)


def attributes_of(introduction: Introduction) -> TypedSearchAttributes:
    """The search attributes of a run at its start: no step of it waits for anybody yet."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(ENVIRONMENT, introduction.environment),
        SearchAttributePair(OPERATION, introduction.operation),
        SearchAttributePair(STARTED_BY, introduction.origin.by),
        SearchAttributePair(NEEDS_OPERATOR, False),
    ]
    if introduction.commit:
        pairs.append(SearchAttributePair(COMMIT, introduction.commit))
    return TypedSearchAttributes(pairs)


def turn_id(environment: str) -> str:
    """Workflow id of everything that changes an environment.

    Only one workflow of an id runs at a time, so the running workflow is the lock: it cannot be left behind.
    """
    return f"environment/{environment}"


def backup_turn(environment: str) -> str:
    """Workflow id of backups and retention: a sweep never removes what a backup is about to name."""
    return f"backup/{environment}"


def drill_turn(environment: str) -> str:
    """Workflow id of drills: each drops what those before it left behind."""
    return f"drill/{environment}"
