"""What surrounds every activity, on a real worker: retries by class, heartbeats, and no secret that gets out."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from temporalio import activity
from temporalio.client import ActivityFailureError, Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities import boundary
from activities.boundary import Boundary, attempt_may_have_happened, carry
from activities.secret_store import remember
from blueprint import contract
from blueprint.errors import Busy, EngineError, NotReady, Refused, Throttled
from starters.temporal_server import TemporalServer

T = TypeVar("T")
SECRET = "planted-5be81c0d"


@activity.defn(no_thread_cancel_exception=True)
def refused() -> None:
    """Fails for good, with a secret in every part of what it says."""
    raise Refused(f"not {remember(SECRET)}", subject="vpc.main", remedy=f"try {SECRET} again")


@activity.defn(no_thread_cancel_exception=True)
def unforeseen() -> None:
    """Fails in a way that nobody thought of."""
    raise ZeroDivisionError(f"divided {remember(SECRET)} by zero")


@activity.defn(no_thread_cancel_exception=True)
def third_time() -> list[bool]:
    """Succeeds at the third attempt."""
    info = activity.info()
    if info.attempt < 3:
        raise Throttled("later")
    return [attempt_may_have_happened(), info.attempt == 3]


@activity.defn(no_thread_cancel_exception=True)
def never() -> None:
    """Is busy for ever."""
    raise Busy("configuring", subject="gateway.main")


@activity.defn(no_thread_cancel_exception=True)
def blocking() -> int:
    """Says nothing for longer than the heartbeat time-out; its attempt."""
    threading.Event().wait(2.0)
    return activity.info().attempt


@activity.defn(no_thread_cancel_exception=True)
def counting_on() -> int:
    """Counts one further than the attempt before, which said so only once and lived for some heartbeats more."""
    told = activity.info().heartbeat_details
    carry(count := (told[0] if told else 0) + 1)
    if activity.info().attempt < 3:
        threading.Event().wait(0.5)
        raise Throttled("later")
    return count


def run(temporal: TemporalServer, function: Callable[[], T], heartbeat_timeout: timedelta | None = None) -> T:
    """What an activity gives, behind the boundary, on a worker of its own."""

    async def main() -> T:
        client: Client = await temporal.client()
        name = f"boundary-{uuid.uuid4().hex}"
        with ThreadPoolExecutor(2) as pool:
            worker = Worker(
                client,
                task_queue=name,
                activities=[refused, unforeseen, third_time, never, blocking, counting_on],
                activity_executor=pool,
                interceptors=[Boundary(0.01)],
                max_heartbeat_throttle_interval=timedelta(seconds=0.1),
            )
            async with worker:
                return await client.execute_activity(
                    function,
                    id=name,
                    task_queue=name,
                    start_to_close_timeout=timedelta(seconds=30),
                    heartbeat_timeout=heartbeat_timeout,
                )

    return asyncio.run(main())


def failure(temporal: TemporalServer, function: Callable[[], object]) -> ApplicationError:
    """How an activity fails for good."""
    with pytest.raises(ActivityFailureError) as failed:
        run(temporal, function)
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause


def test_in_our_own_words(temporal: TemporalServer) -> None:
    """Code, subject and remedy reach whoever reads the failure; a value that the activity has seen does not."""
    error = failure(temporal, refused)
    assert (error.type, error.non_retryable) == ("refused", True)
    assert error.message == "vpc.main: not [secret] -> try [secret] again"
    assert list(error.details) == [{"code": "refused", "subject": "vpc.main", "remedy": "try [secret] again"}]


def test_the_unforeseen(temporal: TemporalServer, caplog: pytest.LogCaptureFixture) -> None:
    """Its class goes to the history and its text to the worker's log, there without the values it has seen."""
    error = failure(temporal, unforeseen)
    assert (error.type, error.non_retryable) == ("unexpected", True)
    assert error.message == "ZeroDivisionError in unforeseen; the worker's log has the details"
    assert error.cause is None
    assert "divided [secret] by zero" in caplog.text
    assert "test_boundary.py" in caplog.text
    assert SECRET not in caplog.text


def test_tried_again(temporal: TemporalServer) -> None:
    """What passes by itself is tried again, and later attempts know that an earlier one may have happened."""
    assert run(temporal, third_time) == [True, True]


def test_patience_ends(temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its class's patience is over, an error is final, and says for how long it was tried."""
    monkeypatch.setattr(Busy, "patience", 0.2)
    error = failure(temporal, never)
    assert (error.type, error.non_retryable) == ("busy", True)
    assert error.message.startswith("gateway.main: configuring (for ")


def test_signs_of_life(temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that blocks for longer than the heartbeat time-out is not taken for dead."""
    monkeypatch.setattr(boundary, "HEARTBEAT_SECONDS", 0.1)
    assert run(temporal, blocking, heartbeat_timeout=timedelta(seconds=1)) == 1


def test_what_an_attempt_hands_on(temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It outlives the heartbeats that come after it."""
    monkeypatch.setattr(boundary, "HEARTBEAT_SECONDS", 0.1)
    assert run(temporal, counting_on, heartbeat_timeout=timedelta(seconds=5)) == 3


@pytest.mark.parametrize(
    ("error", "activity_type", "attempt", "waited", "retried", "pause"),
    [
        (Throttled("x"), "create", 1, 0, True, 1.0),
        (Throttled("x"), "create", 3, 5, True, 4.0),
        (Throttled("x"), "create", 50, 500, True, Throttled.longest_pause),
        (Busy("x"), "create", 5000, 3000, True, Busy.longest_pause),
        (Throttled("x"), "create", 50, 601, False, None),
        (Throttled("x"), contract.PLAN.name, 10, 16, False, None),
        (Throttled("x"), contract.PLAN.name, 10, 14, True, Throttled.longest_pause),
        # The time went by while no worker was there: it has hardly been tried.
        (Throttled("x"), "create", 1, 9999, True, 1.0),
        (Refused("x"), "create", 1, 0, False, None),
    ],
)
def test_retries(
    error: EngineError, activity_type: str, attempt: int, waited: float, retried: bool, pause: float | None
) -> None:
    """How soon and for how long, by class, attempt and time since the beginning."""
    now = datetime.now(UTC)
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info,
        activity_type=activity_type,
        attempt=attempt,
        scheduled_time=now - timedelta(seconds=waited),
        started_time=now,
    )
    failed = environment.run(lambda: boundary._as_failure(error, set(), 1.0))
    assert failed.non_retryable is not retried
    if pause is not None:
        assert failed.next_retry_delay == timedelta(seconds=pause)


def test_an_expected_answer_makes_no_noise() -> None:
    """A poll that hears "not yet" counts as no error, and says itself when to ask again."""
    answer = NotReady("is 'creating'")
    answer.next_pause = 7.0
    failed = ActivityEnvironment().run(lambda: boundary._as_failure(answer, set(), 1.0))
    assert failed.category == ApplicationErrorCategory.BENIGN
    assert failed.next_retry_delay == timedelta(seconds=7)
