"""The mix and the arrivals: exact shares, and a rate that nothing holds up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from itertools import islice

import pytest
from aiohttp import web

from probe.load import MIX, Kind, interleave
from tests.probe.service import RELEASE, Service, probed


@pytest.mark.parametrize(
    ("mix", "first"),
    [
        ({Kind.GET: 1}, ["get", "get", "get"]),
        ({Kind.GET: 2, Kind.POST: 1}, ["get", "post", "get", "get", "post", "get"]),
        ({Kind.GET: 1, Kind.POST: 0}, ["get", "get"]),
        ({Kind.GET: 0}, []),
        ({}, []),
    ],
)
def test_kinds_take_turns(mix: Mapping[Kind, int], first: list[str]) -> None:
    """Spread evenly; nothing where there are no shares."""
    assert [kind.value for kind in islice(interleave(mix), len(first) or 3)] == first


def test_shares_are_exact() -> None:
    """Over as many requests as there are shares, each kind comes as often as it says."""
    assert Counter(islice(interleave(MIX), sum(MIX.values()))) == dict(MIX)


def test_every_kind_is_counted_as_the_service_counts_it() -> None:
    """The whole mix, answered well."""
    service = Service()
    report = probed(service, mix=dict.fromkeys(MIX, 1), rate=120, duration=0.5)
    asked = service.asked
    assert (report.failed, report.failures, report.examples) == (0, {}, ())
    assert report.requests.sent == asked.total() > 0
    assert asked["GET /rest/release"] == report.kinds["get"].sent + report.kinds["fresh"].sent
    assert asked["POST /rest/echo"] == report.kinds["post"].sent
    assert asked["GET /rest/slow"] == report.kinds["slow"].sent
    assert set(report.releases) == {RELEASE}
    assert report.releases[RELEASE].requests == report.requests.sent
    assert report.kinds["slow"].latency.p50 < 0.2, "a slow answer's latency is what comes on top"


def test_connections_are_kept_or_new_as_the_kind_says() -> None:
    """A new connection each for one kind, a few for all of the other; every other visitor keeps its cookie."""
    service = Service()
    report = probed(service, mix={Kind.FRESH: 1}, rate=60)
    assert len(service.connections) == report.requests.sent
    service = Service()
    report = probed(service, rate=60, visitors=4)
    assert 4 <= len(service.connections) < report.requests.sent / 2
    assert service.cookies["one"] == pytest.approx(report.requests.sent / 2, abs=4)


def test_arrivals_do_not_wait_for_answers() -> None:
    """All of them arrive while the first has no answer yet, and each waits from the moment at which it was due."""
    answering = asyncio.Event()
    waiting = 0

    async def stall(_request: web.Request) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 30:
            answering.set()
        await answering.wait()

    # Long enough for the thirtieth, even if the machine stands still for a moment.
    report = probed(Service(stall), rate=100, duration=1.5, visitors=16)
    assert report.failed == 0
    assert report.requests.sent >= 30, "a closed loop of 16 visitors would have sent as many, and no more"
    first_to_thirtieth = 29 / 100
    assert report.requests.latency.max >= first_to_thirtieth


def test_a_stall_is_seen_in_full_by_all_that_were_due() -> None:
    """A service that stands still for a second: nearly every request of that second says so."""
    stall_time = 1.0
    began: list[float] = []

    async def stall(_request: web.Request) -> None:
        now = asyncio.get_running_loop().time()
        began.append(now) if not began else None
        if 0.2 <= now - began[0] < 0.2 + stall_time:
            await asyncio.sleep(began[0] + 0.2 + stall_time - now)

    report = probed(Service(stall), rate=100, duration=1.5, visitors=4)
    assert report.failed == 0
    assert report.longest_pause.seconds == pytest.approx(stall_time, rel=0.3)
    assert 0.1 < report.longest_pause.at < report.seconds
    assert report.longest_wait.seconds == pytest.approx(stall_time, rel=0.3)
    assert report.requests.latency.p50 > stall_time / 10, "a probe that waits for answers sees one slow request in all"
    assert report.requests.sent == pytest.approx(150, abs=2)


def test_what_a_visitor_may_not_open_waits_and_is_counted() -> None:
    """One visitor has six connections; the others' wait is part of their latency."""

    async def slowly(_request: web.Request) -> None:
        await asyncio.sleep(0.1)

    service = Service(slowly)
    report = probed(service, rate=200, duration=0.2, visitors=1)
    assert len(service.connections) == 6
    assert report.requests.latency.max > 0.3


def test_it_can_be_stopped_early() -> None:
    """What is under way is waited for."""
    stop = asyncio.Event()

    async def enough(_request: web.Request) -> None:
        if service.asked.total() >= 5:
            stop.set()
            await asyncio.sleep(0.1)

    service = Service(enough)
    report = probed(service, stop, duration=600)
    assert 5 <= report.requests.sent == service.asked.total() < 50
    assert report.failed == 0
    assert report.seconds < 60
