"""What surrounds every activity: it shows that it lives, fails in our own words, and lets no secret out."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.secret_store import watch_for_secrets
from activities.subject import subject_of
from blueprint import contract
from blueprint.errors import EngineError, NotReady
from blueprint.health import contract as health
from telemetry import metrics
from telemetry.catalogue import ACTIVITY, RETRIES
from telemetry.running import about

HEARTBEAT_SECONDS = 1.0
"""Between two signs of life; with the time-out of a few seconds, a killed worker's step is taken over soon."""

_LOOKS = (contract.PLAN.name, contract.INVENTORY.name, *(kind.name for kind in health.ACTIVITIES))
_PATIENCE_OF_A_LOOK = 15.0
"""Seconds: somebody waits in front of a terminal, and a look can be repeated without harm."""

_MOST_DOUBLINGS = 16
"""Of a pause: far above every longest pause, and far below what a float can hold."""

_FEWEST_ATTEMPTS = 4

_carried: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("carried", default=None)
"""What the running activity's heartbeats hold: the next one would take away what an earlier one said."""

log = logging.getLogger(__name__)


class Boundary(Interceptor):
    """Put around every activity of a worker.

    Args:
        pace: factor on the pauses between attempts.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self._pace = pace

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Called by the worker for each activity."""
        return _Inbound(next, self._pace)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, pace: float) -> None:
        super().__init__(next)
        self._pace = pace

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        subject = subject_of(input.args)
        with about(subject):
            try:
                result = await self._guarded(input)
            except ApplicationError as failure:
                _measure(subject, failure)
                raise
            _measure(subject, None)
            return result

    async def _guarded(self, input: ExecuteActivityInput) -> Any:
        secrets = watch_for_secrets()
        stop = _beat_until_stopped()
        try:
            return await super().execute_activity(input)
        except EngineError as error:
            raise _as_failure(error, secrets, self._pace) from None
        except Exception as error:
            # Anything may stand in the text of an unforeseen error, a password too: it goes to no history.
            trace = _without(secrets, traceback.format_exc())
            log.error("activity %s failed unexpectedly: %s", activity.info().activity_type, trace)
            text = f"{type(error).__name__} in {activity.info().activity_type}; the worker's log has the details"
            raise ApplicationError(text, type="unexpected", non_retryable=True) from None
        finally:
            stop.set()


def _measure(subject: Mapping[str, Any], failure: ApplicationError | None) -> None:
    """Count an attempt that will be repeated, or the activity that has come to its end."""
    info = activity.info()
    known = {
        "environment": subject.get("environment", ""),
        "operation": subject.get("operation", ""),
        "activity": info.activity_type,
        "kind": subject.get("resource.kind", ""),
    }
    if failure and not failure.non_retryable:
        metrics.record(RETRIES, 1, known | {"error.type": failure.type or ""})
        return
    seconds = time.time() - info.scheduled_time.timestamp()
    metrics.record(ACTIVITY, seconds, known | {"outcome": (failure.type or "") if failure else "done"})


def _without(secrets: set[str], text: str) -> str:
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, "[secret]")
    return text


def _beat_until_stopped() -> threading.Event:
    """Send heartbeats from a thread of their own, since a blocking call cannot."""
    stop = threading.Event()
    if activity.info().heartbeat_timeout is None:
        return stop
    details: list[Any] = []
    _carried.set(details)
    context = contextvars.copy_context()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            context.run(activity.heartbeat, *details)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    return stop


def carry(state: Any) -> None:
    """Hand something on to the next attempt, which finds it in `activity.info().heartbeat_details`.

    To be called before anything that may fail: an attempt that says nothing takes away what the one before has said.
    """
    if (details := _carried.get()) is not None:
        details[:] = [state]
    activity.heartbeat(state)


def attempt_may_have_happened() -> bool:
    """Whether an earlier attempt of this activity, or a run before it, may have done what this one is about to do."""
    return activity.info().attempt > 1


def _as_failure(error: EngineError, secrets: set[str], pace: float) -> ApplicationError:
    """The failure that Temporal records: retryable for as long as the error's class has patience."""
    info = activity.info()
    waited = (info.started_time - info.scheduled_time).total_seconds()
    doublings = min(info.attempt - 1, _MOST_DOUBLINGS)
    pause = min(error.pause * 2**doublings, error.longest_pause) * pace
    if isinstance(error, NotReady) and error.next_pause is not None:
        pause = error.next_pause
    patience = min(error.patience, _PATIENCE_OF_A_LOOK) if info.activity_type in _LOOKS else error.patience
    # A few attempts in any case: the time may have passed while no worker was there.
    exhausted = waited > patience and info.attempt >= _FEWEST_ATTEMPTS
    text = _without(secrets, str(error))
    if error.retryable and exhausted:
        text += f" (for {waited:.0f} s)"
    return ApplicationError(
        text,
        {"code": error.code, "subject": error.subject, "remedy": _without(secrets, error.remedy)},
        type=error.code,
        non_retryable=exhausted or not error.retryable,
        next_retry_delay=timedelta(seconds=pause),
        category=ApplicationErrorCategory.BENIGN if error.expected else ApplicationErrorCategory.UNSPECIFIED,
    )
