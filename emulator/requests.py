"""The log of requests: how many of each operation, and the last of them one by one."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from emulator.world import Document

KEPT = 20_000
"""Entries kept one by one; the counts go on."""


@dataclass(frozen=True)
class Entry:
    """One request and its answer.

    Attributes:
        operation: "POST /vpc/v2/regions/{region}/vpcs", "S3 PutBucketVersioning".
        status: HTTP status that the client saw; 0 if the connection was cut.
        duration_ms: from the last byte of the request to the first of the answer.
        mutating: the operation changes something when it succeeds.
        fault: the kind of the fault that struck, if one did.
        changed: ids of the objects that it changed, or set in motion.
        settles_ms: how long what it set in motion takes to come to rest, at the latency in force.
    """

    number: int
    at: str
    operation: str
    method: str
    path: str
    status: int
    duration_ms: float
    mutating: bool
    fault: str | None
    changed: tuple[str, ...] = ()
    settles_ms: float = 0.0


class RequestLog:
    """Counts and recent entries, of the API and of the data planes."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start again at zero."""
        self.total = 0
        self.mutating = 0
        self.counts: Counter[str] = Counter()
        self.entries: deque[Entry] = deque(maxlen=KEPT)

    def record(
        self,
        *,
        at: str,
        operation: str,
        method: str,
        path: str,
        status: int,
        duration_ms: float,
        mutating: bool,
        fault: str | None = None,
        changed: tuple[str, ...] = (),
        settles_ms: float = 0.0,
    ) -> None:
        """Add one request."""
        self.total += 1
        self.mutating += mutating
        self.counts[operation] += 1
        self.entries.append(
            Entry(
                self.total,
                at,
                operation,
                method,
                path,
                status,
                round(duration_ms, 2),
                mutating,
                fault,
                changed,
                round(settles_ms, 2),
            )
        )

    def show(self, last: int = 100) -> Document:
        """Counts, and the `last` entries, oldest first."""
        recent: list[dict[str, Any]] = [asdict(entry) for entry in list(self.entries)[-last:]] if last > 0 else []
        return {
            "total": self.total,
            "mutating": self.mutating,
            "operations": dict(self.counts.most_common()),
            "requests": recent,
        }
