"""Measures that are taken while the load runs: waits, pauses, and the probe's own lateness."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import Sequence

from probe.report import Latency, Moment, Own

LAG_BEAT = 0.05
"""Seconds between two looks at the event loop's own lateness."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above (nearest rank); 0 if there is none.

    Args:
        ordered: the values, ascending.
        share: above 0, up to 1.
    """
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0.0


def latency(waits: Sequence[float]) -> Latency:
    """Sum up waits, in any order."""
    ordered = sorted(waits)
    return Latency(
        p50=quantile(ordered, 0.5),
        p99=quantile(ordered, 0.99),
        p999=quantile(ordered, 0.999),
        max=quantile(ordered, 1.0),
    )


class Longest:
    """The longest of many stretches.

    Args:
        zero: the moment from which `at` counts.
    """

    def __init__(self, zero: float) -> None:
        self._zero = zero
        self.moment = Moment()

    def note(self, began: float, ended: float) -> None:
        """One stretch."""
        if ended - began > self.moment.seconds:
            self.moment = Moment(seconds=ended - began, at=began - self._zero)


class Pauses:
    """Stretches in which somebody waits and nobody is answered well.

    A request that fails ends no pause: a service that refuses everything at once stands still as much as one that
    hangs.

    Args:
        zero: the moment from which `at` counts.
    """

    def __init__(self, zero: float) -> None:
        self.longest = Longest(zero)
        self._waiting = 0
        self._since: float | None = None

    def arrived(self, now: float) -> None:
        """A request is due."""
        self._waiting += 1
        if self._since is None:
            self._since = now

    def ended(self, now: float, *, well: bool) -> None:
        """A request has its answer, or has failed."""
        self._waiting -= 1
        if self._since is not None:
            self.longest.note(self._since, now)
        if well:
            self._since = now if self._waiting else None


class Lag:
    """How late the event loop wakes up, and what the process costs."""

    def __init__(self) -> None:
        self._late = array("d")
        self._began = time.monotonic()
        self._cpu = time.process_time()

    async def watch(self) -> None:
        """Look at it until cancelled."""
        while True:
            due = time.monotonic() + LAG_BEAT
            await asyncio.sleep(LAG_BEAT)
            self._late.append(max(time.monotonic() - due, 0.0))

    def own(self) -> Own:
        """What was seen until now."""
        seen = latency(self._late)
        cores = (time.process_time() - self._cpu) / max(time.monotonic() - self._began, 1e-9)
        return Own(lag_p99=seen.p99, lag_max=seen.max, cpu=cores)
