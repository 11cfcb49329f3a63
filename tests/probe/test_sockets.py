"""WebSockets: opened again when closed, and each way of being closed is counted as what it is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from probe.load import Kind
from tests.probe.service import RELEASE, Service, echo, probed

QUIET: dict[str, Any] = {"mix": {Kind.GET: 0}, "sockets": 3, "duration": 1.2}


def test_heartbeats_are_echoed() -> None:
    """Nothing fails, and the release is told."""
    report = probed(Service(), **QUIET)
    sockets = report.sockets
    assert report.failures == {}
    assert (sockets.opened, sockets.going_away, sockets.cut, sockets.lost) == (3, 0, 0, 0)
    assert sockets.heartbeats > 3
    assert sockets.echo.max > 0
    assert report.releases[RELEASE].sockets == 3


@pytest.mark.parametrize(
    ("code", "going_away", "failures"), [(1001, 3, {}), (1000, 0, {"closed 1000": 3}), (1011, 0, {"closed 1011": 3})]
)
def test_closed_by_the_server(code: int, going_away: int, failures: dict[str, int]) -> None:
    """The first three sockets are closed: only 1001 is as it should be. The clients come back."""

    async def talk(ws: web.WebSocketResponse, number: int) -> None:
        if number <= 3:
            await ws.receive()
            await ws.close(code=code)
        else:
            await echo(ws, number)

    report = probed(Service(talk=talk), **QUIET)
    sockets = report.sockets
    assert sockets.opened == 6
    assert (sockets.going_away, sockets.cut) == (going_away, 3 - going_away)
    assert (sockets.in_the_air, sockets.lost) == (going_away, 3 - going_away), "their heartbeat had no echo"
    assert report.failures == failures
    assert 0 < sockets.longest_gap.seconds < report.seconds


def test_cut_without_a_word() -> None:
    """A connection that ends without a close frame is a failure, as 1006."""

    async def talk(ws: web.WebSocketResponse, number: int) -> None:
        if number == 2:
            assert ws._req is not None
            assert ws._req.transport is not None
            ws._req.transport.abort()
        else:
            await echo(ws, number)

    report = probed(Service(talk=talk), **QUIET)
    assert report.failures == {"closed 1006": 1}
    assert (report.sockets.cut, report.sockets.opened) == (1, 4)


def test_no_echo() -> None:
    """An open socket that is deaf loses the heartbeat."""

    async def talk(ws: web.WebSocketResponse, number: int) -> None:
        if number != 1:
            await echo(ws, number)
        async for message in ws:
            if message.type == WSMsgType.TEXT:
                await ws.send_str("heartbeat")

    report = probed(Service(talk=talk), **QUIET | {"timeout": 0.4})
    assert report.failures == {"no echo": 1}
    assert (report.sockets.lost, report.sockets.opened) == (1, 4)


def test_refused() -> None:
    """An opening that fails is a failure; the client tries again."""
    refusals = 2

    async def trouble(_request: web.Request) -> web.Response | None:
        nonlocal refusals
        refusals -= 1
        return web.Response(status=503) if refusals >= 0 else None

    report = probed(Service(trouble), **QUIET)
    assert report.failures == {"503": 2}
    assert (report.sockets.refused, report.sockets.opened) == (2, 3)


def test_what_the_server_says_by_itself_is_no_echo() -> None:
    """The server's own heartbeats are heard and left alone."""

    async def talk(ws: web.WebSocketResponse, number: int) -> None:
        async def chatter() -> None:
            with suppress(ConnectionError):
                while not ws.closed:
                    await ws.send_str("heartbeat")
                    await asyncio.sleep(0.02)

        task = asyncio.create_task(chatter())
        await echo(ws, number)
        task.cancel()

    report = probed(Service(talk=talk), **QUIET)
    assert report.failures == {}
    assert report.sockets.heartbeats > 3
