"""What the clients saw: the report that the probe writes as JSON, and that others read.

All times are in seconds; `at`, `first` and `last` count from `started`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(_Part):
    """Waits, counted from the moment at which the request was due."""

    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0


class Requests(_Part):
    """One kind of request, or all of them."""

    sent: int = 0
    failed: int = 0
    retried: int = 0
    """How often another connection was taken, since the server had closed the kept one before. No failure: any client
    does it."""
    latency: Latency = Latency()
    """Of the answered ones."""


class Moment(_Part):
    """How long something took, and when it began."""

    seconds: float = 0.0
    at: float = 0.0


class Sockets(_Part):
    """The WebSockets."""

    opened: int = 0
    going_away: int = 0
    """Closed by the server with 1001, as it should when it leaves."""
    cut: int = 0
    """Closed in any other way: a failure each."""
    refused: int = 0
    """Attempts to open one that failed: a failure each."""
    heartbeats: int = 0
    """Messages sent."""
    lost: int = 0
    """Messages not echoed, in time or ever: a failure each."""
    in_the_air: int = 0
    """Messages not echoed because the server's 1001 crossed them. No failure: the client sends them again."""
    longest_gap: Moment = Moment()
    """The longest time that a client was without its socket, from the close until it was open again."""
    echo: Latency = Latency()


class Release(_Part):
    """One release that answered."""

    requests: int = 0
    sockets: int = 0
    first: float = 0.0
    last: float = 0.0


class Jobs(_Part):
    """The jobs put on the queue."""

    posted: int = 0
    done: int = 0
    lost: tuple[str, ...] = ()
    """Ids of those that no worker did: a failure each."""
    repeated: tuple[str, ...] = ()
    """Ids of those done more than once. No failure by itself: the queue delivers at least once."""


class Example(_Part):
    """One failure in full."""

    at: float
    what: str
    failure: str
    detail: str = ""


class Own(_Part):
    """The probe itself: if it was late, so is what it measured."""

    lag_p99: float = 0.0
    """How late its event loop woke up."""
    lag_max: float = 0.0
    cpu: float = 0.0
    """Cores used, on average."""


class Report(_Part):
    """The whole report."""

    started: datetime
    seconds: float
    """For how long requests arrived; less than asked for if it was stopped early."""
    requests: Requests
    """All kinds together."""
    kinds: dict[str, Requests]
    failures: dict[str, int]
    """How many of each name, requests, sockets and jobs together; empty is what one wants."""
    examples: tuple[Example, ...]
    """The first failures."""
    longest_pause: Moment
    """The longest stretch in which somebody waited and nobody was answered well, slow requests left out."""
    longest_wait: Moment
    """The longest wait of a single request, answered or not, slow ones left out."""
    sockets: Sockets
    releases: dict[str, Release]
    jobs: Jobs
    probe: Own

    @property
    def failed(self) -> int:
        """Failures of every kind."""
        return sum(self.failures.values())

    def write(self, path: Path) -> None:
        """Write it as JSON; whoever reads the file finds all of it or none."""
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(self.model_dump_json(indent=2) + "\n")
        partial.replace(path)

    @staticmethod
    def read(path: Path) -> Report:
        """Read what `write` wrote."""
        return Report.model_validate_json(path.read_text())
