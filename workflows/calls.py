"""How workflows call activities: time-outs and retries in one place."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from blueprint.contract import ActivityType

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

ATTEMPT = timedelta(minutes=3)
"""Longest attempt: a few API calls of up to 40 s each."""
BUILDING = timedelta(minutes=30)
"""Longest attempt of what installs or builds software on a machine."""
SILENCE = timedelta(seconds=5)
"""Without a heartbeat for this long the worker counts as dead, and another one takes over."""
PATIENCE = timedelta(hours=2)
"""Longest time for a step with all its retries; each error's class has a shorter patience of its own."""

RETRIES = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0)
"""For what fails without a word of its own (a dead worker); errors of ours bring their pause along. It does not grow:
each poll of a long wait counts as an attempt, and none of them says that the worker will die again."""


def begin(
    activity: ActivityType[I, O],
    argument: I,
    summary: str,
    cancellation: ActivityCancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    attempt: timedelta = ATTEMPT,
) -> ActivityHandle[O]:
    """Schedule an activity.

    Args:
        activity: which.
        argument: its one input.
        summary: the line that Temporal's UI shows beside it.
        cancellation: by default a cancelled activity still ends its attempt, and its result counts.
        attempt: longest attempt.
    """
    return workflow.start_activity(
        activity.name,
        argument,
        result_type=activity.gives,
        start_to_close_timeout=attempt,
        schedule_to_close_timeout=max(PATIENCE, attempt),
        heartbeat_timeout=SILENCE,
        retry_policy=RETRIES,
        cancellation_type=cancellation,
        summary=summary[:200],
    )


async def look(activity: ActivityType[I, O], argument: I, summary: str) -> O:
    """Schedule an activity that only reads, and wait for what it gives. Cancelling does not wait for it.

    Raises:
        ActivityError: it failed for good, or the run is cancelled.
    """
    # An answer that came after the run was cancelled would make the run go on as if nobody had cancelled it.
    return await begin(activity, argument, summary, ActivityCancellationType.TRY_CANCEL)
