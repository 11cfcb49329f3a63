"""What is asked of the service: how much of what, for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """The kinds of request in the mix."""

    GET = "get"
    """GET over one of a pool of kept connections."""
    FRESH = "fresh"
    """GET over a new connection each."""
    POST = "post"
    """POST of a body that must come back."""
    GRAPHQL = "graphql"
    """POST of a GraphQL query."""
    HEALTH = "health"
    """GET of the liveness check."""
    SLOW = "slow"
    """GET of an answer that takes its time, over a new connection each; its latency counts beyond that time."""
    JOB = "job"
    """POST that puts a job on the queue; it has a rate of its own."""


MIX: Mapping[Kind, int] = {
    Kind.GET: 55,
    Kind.FRESH: 10,
    Kind.POST: 15,
    Kind.GRAPHQL: 12,
    Kind.HEALTH: 7,
    Kind.SLOW: 1,
}
"""Shares of the mix unless told."""


@dataclass(frozen=True)
class Load:
    """One load.

    Attributes:
        urls: where the service is, `https://api.example.org`; several take turns.
        connect: address to connect to in place of what the names resolve to, with or without `:port`.
        ca: PEM file of the authorities to trust; None trusts the system's.
        rate: requests per second, all kinds of the mix together.
        sockets: WebSockets held open.
        duration: seconds for which requests arrive.
        jobs: jobs per second, in addition to `rate`.
        mix: share of each kind; a kind that is not named has none.
        visitors: clients of the kept connections; every other one keeps its cookies.
        timeout: seconds after which a request, an opening or an echo counts as failed.
        slow: seconds that a slow answer is asked to take.
        heartbeat: seconds between two messages of a WebSocket.
        jobs_patience: seconds without any job done after which the missing ones count as lost.
    """

    urls: tuple[str, ...]
    connect: str | None = None
    ca: Path | None = None
    rate: float = 500.0
    sockets: int = 200
    duration: float = 60.0
    jobs: float = 0.0
    mix: Mapping[Kind, int] = field(default_factory=lambda: MIX)
    visitors: int = 64
    timeout: float = 30.0
    slow: float = 5.0
    heartbeat: float = 1.0
    jobs_patience: float = 30.0


def interleave(mix: Mapping[Kind, int]) -> Iterator[Kind]:
    """The kinds without end, each as often as its share says and spread as evenly as can be.

    This is the smooth weighted round robin of load balancers: shares are exact, and nothing comes in bursts.
    """
    credit = dict.fromkeys(mix, 0)
    total = sum(mix.values())
    while total:
        for kind, share in mix.items():
            credit[kind] += share
        chosen = max(credit, key=credit.__getitem__)
        credit[chosen] -= total
        yield chosen
