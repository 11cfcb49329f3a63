"""Tests of the starters."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def eventually(condition: Callable[[], bool], patience: float = 20.0) -> None:
    """Wait until a condition holds; fail after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s"
        time.sleep(0.05)


def ended(process: psutil.Process) -> bool:
    """Whether a process runs no more; it may come to its end, and be forgotten, while one asks."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
