"""WebSockets that are held open: each sends heartbeats, and comes back when it was closed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from array import array
from contextlib import suppress

import aiohttp
from aiohttp import WSCloseCode, WSMsgType

from probe.connections import Connections
from probe.failures import NO_ECHO, name_of
from probe.ledger import Ledger
from probe.load import Load
from probe.measures import Longest, latency
from probe.report import Sockets

PATH = "/ws"
JITTER = 0.5
"""Seconds over which clients come back, so that they do not do so all at once."""


class _Ended(Exception):
    """The socket is closed; the argument is the code, `ABNORMAL_CLOSURE` where no close frame came."""


class WebSockets:
    """All of the clients.

    Args:
        load: how many, and how often they speak.
        connections: how they connect.
        ledger: where releases and failures are entered.
    """

    def __init__(self, load: Load, connections: Connections, ledger: Ledger) -> None:
        self._load = load
        self._session = connections.fresh
        self._ledger = ledger
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._missing = load.sockets
        self.all_open = asyncio.Event()
        """Every client has been connected once."""
        if not load.sockets:
            self.all_open.set()
        self._opened = self._going_away = self._cut = self._refused = 0
        self._heartbeats = self._lost = self._in_the_air = 0
        self._gap = Longest(ledger.zero)
        self._echoes = array("d")

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._load.sockets)]

    async def stop(self) -> None:
        """Send nothing more, wait for the echoes that are missing, and close."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.result()

    def seen(self) -> Sockets:
        """What they saw."""
        return Sockets(
            opened=self._opened,
            going_away=self._going_away,
            cut=self._cut,
            refused=self._refused,
            heartbeats=self._heartbeats,
            lost=self._lost,
            in_the_air=self._in_the_air,
            longest_gap=self._gap.moment,
            echo=latency(self._echoes),
        )

    async def _client(self, number: int) -> None:
        url = self._load.urls[number % len(self._load.urls)].rstrip("/") + PATH
        closed_at = None
        first = True
        while not self._stopping:
            await asyncio.sleep(random.uniform(0, JITTER))
            try:
                socket, greeting = await self._open(url)
            except (aiohttp.ClientError, OSError, _Ended) as error:
                self._refused += 1
                failure = f"closed {error}" if isinstance(error, _Ended) else name_of(error)
                self._fail("websocket", failure, f"opening: {type(error).__name__}: {error}")
                continue
            now = time.monotonic()
            self._opened += 1
            self._ledger.release(_release(greeting), now, sockets=1)
            if closed_at is not None:
                self._gap.note(closed_at, now)
            if first:
                first = False
                self._missing -= 1
                if not self._missing:
                    self.all_open.set()
            await self._talk(socket, number)
            closed_at = time.monotonic()

    async def _open(self, url: str) -> tuple[aiohttp.ClientWebSocketResponse, str]:
        async with asyncio.timeout(self._load.timeout):
            socket = await self._session.ws_connect(url)
            try:
                return socket, await _text(socket)
            except BaseException:
                await socket.close()
                raise

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse, number: int) -> None:
        """Speak and listen until the socket ends, or the probe does."""
        waits: str | None = None
        beat = time.monotonic() + random.uniform(0, self._load.heartbeat)
        try:
            while True:
                await _silence(socket, beat)
                if self._stopping:
                    break
                waits = f"heartbeat {number} {beat:.6f}"
                self._heartbeats += 1
                # If the socket has just been closed, what the server said last is still to be read.
                with suppress(aiohttp.ClientError, ConnectionError):
                    await socket.send_str(waits)
                async with asyncio.timeout(self._load.timeout):
                    while waits not in await _text(socket):
                        pass
                waits = None
                now = time.monotonic()
                self._echoes.append(now - beat)
                beat = max(beat + self._load.heartbeat, now)
        except TimeoutError:
            self._lost += 1
            self._fail("websocket", NO_ECHO, f"not within {self._load.timeout:g} s")
        except _Ended as end:
            self._note_end(int(end.args[0]), waiting=waits is not None)
        finally:
            await socket.close()

    def _note_end(self, code: int, *, waiting: bool) -> None:
        if code == WSCloseCode.GOING_AWAY:
            self._going_away += 1
            self._in_the_air += waiting
            return
        self._cut += 1
        self._lost += waiting
        self._fail("websocket", f"closed {code}")

    def _fail(self, what: str, failure: str, detail: str = "") -> None:
        self._ledger.failed(what, failure, time.monotonic(), detail)


async def _text(socket: aiohttp.ClientWebSocketResponse) -> str:
    """The next message.

    Raises:
        _Ended: the socket is closed.
    """
    while True:
        message = await socket.receive()
        if message.type == WSMsgType.TEXT:
            return str(message.data)
        if message.type == WSMsgType.CLOSE:
            raise _Ended(message.data or int(WSCloseCode.ABNORMAL_CLOSURE))
        if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
            raise _Ended(int(WSCloseCode.ABNORMAL_CLOSURE))


async def _silence(socket: aiohttp.ClientWebSocketResponse, until: float) -> None:
    """Listen until a moment, to what the server says by itself.

    Raises:
        _Ended: the socket is closed.
    """
    try:
        async with asyncio.timeout(until - time.monotonic()):
            while True:
                await _text(socket)
    except TimeoutError:
        return


def _release(greeting: str) -> str:
    """The release that a greeting tells: in JSON, or as it stands."""
    try:
        told = json.loads(greeting)
    except ValueError:
        return greeting
    return str(told["release"]) if isinstance(told, dict) and "release" in told else greeting
