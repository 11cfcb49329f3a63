"""How far something is that moves data, said in the activity's heartbeats."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, wait
from typing import TypeVar

from activities.boundary import carry
from activities.ssh.nodes import is_to_end
from blueprint.backup.contract import TransferProgress
from blueprint.errors import Unavailable

T = TypeVar("T")

_EVERY = 1.0
"""Seconds between two words."""
_LATELY = 15.0
"""Seconds over which a rate is measured."""


class Progress:
    """What is said of one transfer.

    Args:
        total: bytes, estimated; 0 if not known.
    """

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._done = 0
        self._said = 0.0
        self._what = ""
        self._points: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def moved(self, bytes: int, what: str) -> None:
        """Count, and say it once a second.

        Args:
            bytes: that were moved since the last call.
            what: how far it is, in words.

        Raises:
            Unavailable: the activity was cancelled or its worker stops: what was done stays.
        """
        self._done += bytes
        self._what = what
        now = time.monotonic()
        if now - self._said < _EVERY:
            return
        self._said = now
        self._points.append((now, self._done))
        while len(self._points) > 2 and now - self._points[0][0] > _LATELY:
            self._points.popleft()
        (then, done), left = self._points[0], max(self._total - self._done, 0)
        rate = (self._done - done) / (now - then) if now > then else 0.0
        carry(
            TransferProgress(
                what=what, done=self._done, total=self._total, rate=rate, left=left / rate if left and rate else None
            ).model_dump()
        )
        if is_to_end():
            raise Unavailable(f"stopped: {what}")

    def result(self, work: Future[T]) -> T:
        """What comes of work in another thread. It may take long; that it goes on is said meanwhile.

        Raises:
            Unavailable: see `moved`.
        """
        while not work.done() and not wait([work], _EVERY).done:
            self.moved(0, self._what)
        return work.result()
