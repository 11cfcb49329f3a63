"""Waiting for what the API has begun: short waits end promptly, long ones cost few requests and hold no thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from temporalio import activity

from blueprint.errors import NotReady

T = TypeVar("T")

POLL_SHARE = 0.03
"""Pause between two polls, as a share of the time waited so far: what is lost at the end stays in proportion."""
SHORTEST_POLL = 0.1
LONGEST_POLL = 10.0
"""Bounds of that pause, in seconds."""
WAIT_IN_ONE_ATTEMPT = 30.0
"""Seconds after which a wait goes on in a new attempt, which costs no history and holds no thread."""


def poll(check: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Ask until `check` answers; past `WAIT_IN_ONE_ATTEMPT` ask once and leave the pause to Temporal.

    Args:
        check: raises `NotReady` as long as it has no answer.
        sleep: how to pause; seconds in, nothing out.

    Raises:
        NotReady: not yet; Temporal asks again.
    """
    scheduled = activity.info().scheduled_time.timestamp()
    while True:
        try:
            return check()
        except NotReady as answer:
            waited = time.time() - scheduled
            pause = min(max(waited * POLL_SHARE, SHORTEST_POLL), LONGEST_POLL)
            if waited > WAIT_IN_ONE_ATTEMPT or activity.is_cancelled() or activity.is_worker_shutdown():
                answer.next_pause = pause
                raise
            activity.heartbeat(str(answer))
            sleep(pause)
