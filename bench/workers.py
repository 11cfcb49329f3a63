"""Workers of a measurement besides the one that `dev` keeps: one more, one of a version, one of other code."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

from bench.environments import ROOT
from starters.child import Child
from starters.dev_state import DevEndpoints
from workflows.versioning import SOURCES

STARTS = 60.0
"""Seconds after which a worker that does not listen never will."""
LISTENS = "working on "
"""What a worker's log says once it does."""
_LOOK_EVERY = 0.05
_UNCHANGED = "    return workflow.start_activity(\n"
_CHANGED = '    workflow.upsert_memo({"asked for": activity.name})\n' + _UNCHANGED


def worker_of(endpoints: DevEndpoints, log: Path, root: Path = ROOT, **settings: str) -> Child:
    """A worker, not yet started. It ends with the thread that starts it.

    Args:
        endpoints: what it works on.
        log: its log.
        root: folder of its code.
        settings: more variables.
    """
    trust = {"SSL_CERT_FILE": endpoints.ca_file} if endpoints.ca_file else {}
    environment = {**os.environ, **endpoints.environment(), **trust, "PYTHONUNBUFFERED": "1", **settings}
    return Child(f"the worker of {log.stem}", [sys.executable, "-m", "worker"], log, environment, root)


async def listens(worker: Child, times: int = 1) -> None:
    """Wait until a worker listens.

    Args:
        worker: started.
        times: how often it was started since its log began.

    Raises:
        TimeoutError: it does not; the message holds the end of its log.
    """
    deadline = time.monotonic() + STARTS
    while worker.log.read_text().count(LISTENS) < times:
        if worker.returncode is not None or time.monotonic() > deadline:
            raise TimeoutError(f"{worker.name} does not listen:\n{worker.last_words()}")
        await asyncio.sleep(_LOOK_EVERY)


def changed_copy(target: Path) -> Path:
    """The code of a worker with one command more before each activity: no run of this code replays with it.

    Args:
        target: folder that is made for it.
    """
    target.mkdir(parents=True)
    for name in SOURCES:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "worker.py", target)
    calls = target / "workflows" / "calls.py"
    code = calls.read_text()
    if _UNCHANGED not in code:
        raise AssertionError("workflows/calls.py is not what this measurement knows how to change")
    calls.write_text(code.replace(_UNCHANGED, _CHANGED))
    return target
