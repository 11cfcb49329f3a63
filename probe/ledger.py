"""The book in which requests, sockets and jobs are entered while the load runs."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from probe.load import Kind
from probe.measures import Longest, Pauses, latency
from probe.report import Example, Jobs, Own, Release, Report, Requests, Sockets

EXAMPLES = 50
"""Failures that are told in full."""


@dataclass
class _Tally:
    sent: int = 0
    failed: int = 0
    retried: int = 0
    waits: array[float] = field(default_factory=lambda: array("d"))

    def requests(self) -> Requests:
        return Requests(sent=self.sent, failed=self.failed, retried=self.retried, latency=latency(self.waits))


class Ledger:
    """Everything that was seen.

    Args:
        zero: the moment at which the load begins, on the monotonic clock as all moments here.
        slow: seconds that slow answers are asked to take.
    """

    def __init__(self, zero: float, slow: float) -> None:
        self.zero = zero
        self.started = datetime.now(UTC)
        self._slow = slow
        self._tallies: dict[Kind, _Tally] = {}
        self._pauses = Pauses(zero)
        self._longest_wait = Longest(zero)
        self._failures: Counter[str] = Counter()
        self._examples: list[Example] = []
        self._releases: dict[str, Release] = {}

    def arrived(self, kind: Kind, due: float) -> None:
        """A request is due."""
        self._tallies.setdefault(kind, _Tally()).sent += 1
        if kind != Kind.SLOW:
            self._pauses.arrived(due)

    def retried(self, kind: Kind) -> None:
        """A request had to take another connection, since the kept one was closed."""
        self._tallies[kind].retried += 1

    def ended(self, kind: Kind, due: float, now: float, failure: str | None, detail: str = "") -> None:
        """A request has ended.

        Args:
            kind: which.
            due: when it was due.
            now: when it ended.
            failure: name of the failure; None if it was answered well.
            detail: more about the failure, for people.
        """
        tally = self._tallies[kind]
        if failure is None:
            tally.waits.append(max(now - due - (self._slow if kind == Kind.SLOW else 0.0), 0.0))
        else:
            tally.failed += 1
            self.failed(kind, failure, now, detail)
        if kind != Kind.SLOW:
            self._pauses.ended(now, well=failure is None)
            self._longest_wait.note(due, now)

    def failed(self, what: str, failure: str, now: float, detail: str = "") -> None:
        """Something has failed."""
        self._failures[failure] += 1
        if len(self._examples) < EXAMPLES:
            self._examples.append(Example(at=now - self.zero, what=what, failure=failure, detail=detail))

    def release(self, name: str, now: float, *, requests: int = 0, sockets: int = 0) -> None:
        """A release has answered a request or greeted a socket."""
        at = now - self.zero
        seen = self._releases.get(name) or Release(first=at)
        self._releases[name] = Release(
            requests=seen.requests + requests, sockets=seen.sockets + sockets, first=seen.first, last=at
        )

    def report(self, seconds: float, sockets: Sockets, jobs: Jobs, own: Own) -> Report:
        """Sum it up.

        Args:
            seconds: for how long requests arrived.
            sockets: what the WebSockets saw.
            jobs: what became of the jobs.
            own: what the probe says of itself.
        """
        every = _Tally()
        for tally in self._tallies.values():
            every.sent += tally.sent
            every.failed += tally.failed
            every.retried += tally.retried
            every.waits.extend(tally.waits)
        return Report(
            started=self.started,
            seconds=seconds,
            requests=every.requests(),
            kinds={kind.value: tally.requests() for kind, tally in sorted(self._tallies.items())},
            failures=dict(self._failures.most_common()),
            examples=tuple(self._examples),
            longest_pause=self._pauses.longest.moment,
            longest_wait=self._longest_wait.moment,
            sockets=sockets,
            releases=self._releases,
            jobs=jobs,
            probe=own,
        )
