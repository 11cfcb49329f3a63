"""Tests of the starters."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], patience: float = 20.0) -> None:
    """Wait until a condition holds; fail after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s"
        time.sleep(0.05)
