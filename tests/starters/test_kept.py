"""A `dev` in a thread of its own is looked after, and ends what it started."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from starters.child import StartError
from starters.dev import Dev
from starters.dev_state import AlreadyRunningError, StateFolder
from starters.kept import Kept
from tests.starters import eventually

IDLE = ("sleep", "1000")


def test_a_killed_worker_is_started_again_and_nothing_is_left(tmp_path: Path) -> None:
    """While the main thread does something else: the process ends with its thread only when it is told to."""
    # Other tests of the session have processes of their own.
    before = set(psutil.Process().children())
    dev = Dev(tmp_path, port=0, temporal_port=0, ui_port=0, latency=0, worker=IDLE)
    kept = Kept(dev)
    kept.start()
    try:
        first = dev.worker.pid
        assert first
        os.kill(first, signal.SIGKILL)
        eventually(lambda: dev.worker.pid != first and dev.worker.returncode is None)
        children = set(psutil.Process().children()) - before
        assert dev.worker.pid in {child.pid for child in children}
    finally:
        kept.stop()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_why_it_cannot_start_is_told_where_it_was_asked(tmp_path: Path) -> None:
    """Not in a thread that nobody looks at."""
    folder = StateFolder(tmp_path)
    folder.claim()
    with pytest.raises(AlreadyRunningError):
        Kept(Dev(tmp_path, port=0, temporal_port=0, ui_port=0, worker=IDLE)).start()
    folder.release()


def test_what_died_meanwhile_is_told_at_the_end(tmp_path: Path) -> None:
    """Whatever failed since then failed for that."""
    dev = Dev(tmp_path, port=0, temporal_port=0, ui_port=0, latency=0, worker=IDLE)
    kept = Kept(dev)
    before = set(psutil.Process().children())
    kept.start()
    server = next(child for child in set(psutil.Process().children()) - before if "emulator" in child.cmdline())
    server.kill()
    eventually(lambda: dev.worker.returncode is not None)
    with pytest.raises(StartError, match="the local Scaleway"):
        kept.stop()
