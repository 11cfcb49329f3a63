"""URLs of parts: the driver presigns them ahead, since the node has no keys of the store."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transfer.files import AHEAD, URLS, WANTS, Wants, part_name, write
from transfer.run import Run

_MORE = 3
_LOOK = 0.2
"""Seconds between two looks whether the run has failed, for whoever waits for a URL."""


@dataclass(frozen=True)
class Course:
    """Where an archive stands.

    Attributes:
        next: index of the part that is read or written next.
        last: index up to which parts are sure or likely to come.
    """

    archive: str
    next: int
    last: int


def ahead(courses: Sequence[Course], lanes: int, window: int = AHEAD) -> tuple[str, ...]:
    """The parts that will be needed soon, the first ones first: a window for each lane.

    Args:
        courses: of the archives that are not done, in the order in which lanes take them.
    """
    wanted: list[tuple[int, str]] = []
    for course in courses:
        if len(wanted) >= window * lanes:
            break
        parts = range(course.next, min(course.last + 1, course.next + window))
        wanted += [(index - course.next, part_name(course.archive, index)) for index in parts]
    return tuple(name for _, name in sorted(wanted, key=lambda pair: pair[0]))


def likely_last(estimate: int, part_size: int, written: int) -> int:
    """Index of the last part to expect of a dump that has written some; a few more if it is larger than estimated."""
    return max(math.ceil(estimate / part_size), written + _MORE)


class Urls:
    """The URLs that have come, and the list of those that are wanted.

    Args:
        method: to presign.
        wanted: names the parts that will be needed soon.
    """

    def __init__(self, run: Run, method: str, wanted: Callable[[], tuple[str, ...]]) -> None:
        self._run = run
        self._method = method
        self._wanted = wanted
        self._urls: dict[str, str] = {}
        self._read: set[str] = set()
        self._told: Wants | None = None
        self._came = threading.Condition()
        (run.folder / URLS).mkdir(exist_ok=True)

    def exchange(self) -> None:
        """Read what has come, and say what is wanted."""
        new = [path for path in (self._run.folder / URLS).glob("*.json") if path.name not in self._read]
        for path in sorted(new, key=lambda path: path.stat().st_mtime_ns):
            self._read.add(path.name)
            with self._came:
                self._urls |= json.loads(path.read_text())
                self._came.notify_all()
        missing = tuple(name for name in self._wanted() if name not in self._urls)
        wants = Wants(self._method, missing)
        if wants != self._told:
            write(self._run.folder / WANTS, wants)
            self._told = wants

    def get(self, name: str) -> str:
        """The URL of a part, as soon as there is one.

        Raises:
            TransferError: the run has failed.
        """
        with self._came:
            while name not in self._urls:
                self._run.check()
                self._came.wait(_LOOK)
            return self._urls[name]

    def drop(self, name: str) -> None:
        """It is used, or no longer good: should it be needed again, it is asked for anew."""
        with self._came:
            self._urls.pop(name, None)
