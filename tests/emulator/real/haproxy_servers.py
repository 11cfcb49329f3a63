"""Small real HTTP servers behind a load balancer, and clients that do not forgive a lost request."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

Result = TypeVar("Result")
_TURNS = 10
"""Of the loop, after which a connection that was accepted is sure to be known."""
_SO_ATTACH_FILTER = 26
"""Linux's number, which Python does not know."""
_NO_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte of TCP's flags
        (0x45, 0, 1, 2),  # if SYN is not among them, skip one
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # pass
    )
)
"""A filter of packets (BPF) that takes all but the first one of a connection."""
_LEAVE = 0.5
"""Seconds for clients to let go of the connections that they keep."""


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """What it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Let it run; a future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Server:
    """Answers with its address; well or not as told; echoes on /ws.

    Args:
        loop: where it runs.
        address: where it listens.
        port: on which port.
    """

    def __init__(self, loop: Loop, address: str, port: int = 3000) -> None:
        self.address, self.port = address, port
        self.well = True
        self.headers: dict[str, str] = {}
        """Of the last request but checks."""
        self.busy = 0
        """Requests under way, checks and sockets not among them."""
        self._loop = loop
        self._runner: web.AppRunner | None = None
        self._site: tuple[socket.socket, web.SockSite] | None = None
        self._leaves = False

    def start(self) -> None:
        """Listen."""
        self._loop.run(self.listen())

    def stop(self) -> None:
        """Stop listening, answer what has come, close what is idle."""
        self._loop.run(self.leave())

    async def listen(self) -> None:
        """As `start`, on the loop itself."""
        application = web.Application()
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/ws", self._echo)
        application.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=5)
        await self._runner.setup()
        listening = socket.create_server((self.address, self.port), backlog=1024)
        self._leaves, self._site = False, (listening, web.SockSite(self._runner, listening, backlog=1024))
        await self._site[1].start()

    async def leave(self) -> None:
        """As `stop`, on the loop itself."""
        if self._runner and self._site:
            listening, site = self._site
            # Closing would reset the connections that the kernel has taken and nobody has accepted yet, of which there
            # are some on a busy machine, and none is sure to be the last one while more may come; and one that is kept
            # may get a request just as it is closed, unless the answer before said that it would be. Whoever leaves
            # gracefully sees to both.
            _let_nobody_in(listening)
            await _turns()
            while select.select([listening], [], [], 0)[0]:
                await asyncio.sleep(0)
            await site.stop()
            # What has been accepted takes some turns of the loop until the runner knows of it.
            await _turns()
            self._leaves, until = True, time.monotonic() + _LEAVE
            while self._runner.server and self._runner.server.connections and time.monotonic() < until:
                await asyncio.sleep(0.01)
            await self._runner.cleanup()
            self._runner = self._site = None

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if self.well else 503)

    async def _answer(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        self.busy += 1
        try:
            body = await request.read()
            await asyncio.sleep(float(request.query.get("slow", 0)))
        finally:
            self.busy -= 1
        response = web.Response(text=self.address, headers={"X-Length": str(len(body))})
        if self._leaves:
            response.force_close()
        return response

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        async for message in opened:
            await opened.send_str(f"{self.address} {message.data}")
        return opened


def _let_nobody_in(listening: socket.socket) -> None:
    """Let connections that are being made come about, and no others be begun."""
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    told = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class Load:
    """Clients that ask all the time: half of them keep their connection, half of them never do.

    Those that keep it POST: a client library may repeat a GET by itself, which would hide a lost request.

    Args:
        url: of the load balancer.
        clients: how many at a time.
        pause: seconds between two requests of one client.
    """

    def __init__(self, url: str, clients: int = 8, pause: float = 0.01) -> None:
        self.url = url
        self.answers: list[tuple[float, str]] = []
        """When each answer came, and of whom."""
        self.waits: list[float] = []
        """Seconds that each answer took."""
        self.failures: list[str] = []
        self._clients, self._pause = clients, pause
        self._goes_on = True

    def end(self) -> None:
        """No more requests; those under way are waited for."""
        self._goes_on = False

    async def run(self) -> None:
        """Until `end`."""
        await asyncio.gather(*(self._client(keep=number % 2 == 0) for number in range(self._clients)))

    async def _client(self, *, keep: bool) -> None:
        connector = aiohttp.TCPConnector(force_close=not keep)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30)) as session:
            while self._goes_on:
                await self._request(session, keep=keep)
                await asyncio.sleep(self._pause)

    async def _request(self, session: aiohttp.ClientSession, *, keep: bool) -> None:
        body = b"x" * 2000
        started = time.perf_counter()
        try:
            request = session.post(self.url, data=body) if keep else session.get(self.url)
            async with request as answer:
                text = await answer.text()
            if answer.status != 200 or answer.headers["X-Length"] != (str(len(body)) if keep else "0"):
                self.failures.append(f"{answer.status} {text[:80]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            text = ""
            self.failures.append(repr(error))
        self.waits.append(time.perf_counter() - started)
        self.answers.append((time.perf_counter(), text))


@contextmanager
def under_load(url: str, **options: Any) -> Iterator[Load]:
    """Load from another thread, while the block runs; the last requests have ended after it."""
    loop, load = Loop(), Load(url, **options)
    running = loop.begin(load.run())
    try:
        yield load
    finally:
        load.end()
        running.result(60)
        loop.close()


class Sockets:
    """WebSockets that stay open.

    Args:
        url: of the load balancer.
        count: how many.
    """

    def __init__(self, url: str, count: int) -> None:
        self._url, self._count = url, count
        self._loop = Loop()
        self._session: aiohttp.ClientSession | None = None
        self._open: list[aiohttp.ClientWebSocketResponse] = []

    def connect(self) -> None:
        """Open them."""
        self._loop.run(self._connect())

    def ask(self) -> list[str]:
        """Who answers on each; an empty word for one that was cut."""
        return self._loop.run(self._ask())

    def close(self) -> None:
        """Close them."""
        with contextlib.suppress(Exception):
            self._loop.run(self._close())
        self._loop.close()

    async def _connect(self) -> None:
        self._session = aiohttp.ClientSession()
        self._open = [await self._session.ws_connect(f"{self._url}ws") for _ in range(self._count)]

    async def _ask(self) -> list[str]:
        heard = []
        for kept in self._open:
            await kept.send_str("there?")
            message = await kept.receive(10)
            heard.append(str(message.data).split()[0] if message.type is aiohttp.WSMsgType.TEXT else "")
        return heard

    async def _close(self) -> None:
        for kept in self._open:
            await kept.close()
        if self._session:
            await self._session.close()
