"""Control groups of one machine: two systemds in one group would end each other's services."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = ("systemd", "unified")
"""Those that systemd uses on a computer that still has the first version."""
EMPTY = 5.0
"""Seconds in which the kernel ends the last processes of a killed machine."""


def entering(name: str) -> Iterator[str]:
    """Shell lines by which a shell and all that follows it get groups of this name."""
    for root in _roots():
        group = shlex.quote(str(root / name))
        yield f"mkdir -p {group}; echo $$ >{group}/cgroup.procs"


def remove(name: str) -> None:
    """Remove the groups of this name as soon as nothing runs in them. Waits, so it needs a thread.

    Raises:
        OSError: something goes on running.
    """
    deadline = time.monotonic() + EMPTY
    for group in (root / name for root in _roots()):
        while group.exists():
            try:
                for folder, _, _ in os.walk(group, topdown=False):
                    Path(folder).rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _roots() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [CGROUPS / name for name in HIERARCHIES if (CGROUPS / name).is_dir()]
