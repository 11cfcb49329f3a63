"""A small service on loopback that behaves as a test wants it to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from probe import Load, Report, run_load
from probe.load import Kind

RELEASE = "1f2e3d"

Trouble = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Comes before the service's own answer, and may give another one."""
Talk = Callable[[web.WebSocketResponse, int], Awaitable[None]]
"""What the service does with a socket after its greeting; the number counts the sockets."""
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(ws: web.WebSocketResponse, _number: int) -> None:
    """Send every message back."""
    async for message in ws:
        if message.type == WSMsgType.TEXT:
            await ws.send_str(message.data)


class Service:
    """The routes that the probe asks for.

    Args:
        trouble: what goes wrong with requests.
        talk: what happens to sockets.
    """

    def __init__(self, trouble: Trouble | None = None, talk: Talk = echo) -> None:
        self.url = ""
        self.port = 0
        self.asked: Counter[str] = Counter()
        """Requests by method and path."""
        self.connections: Counter[str] = Counter()
        """Requests by path and the client's port."""
        self.cookies: Counter[str] = Counter()
        """Requests by the value of the cookie that came with them."""
        self.hosts: set[str] = set()
        """Names that clients asked for."""
        self.jobs: dict[str, int] = {}
        """How often each job was done."""
        self._trouble = trouble
        self._talk = talk
        self._sockets = 0

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
        """Listen on a free port."""
        app = web.Application(middlewares=[self._middleware])
        app.router.add_get("/rest/release", self._release)
        app.router.add_get("/healthz", self._release)
        app.router.add_post("/graphql", self._release)
        app.router.add_post("/rest/echo", self._echo)
        app.router.add_get("/rest/slow", self._slow)
        app.router.add_post("/rest/jobs", self._job)
        app.router.add_get("/rest/jobs/done", self._done)
        app.router.add_get("/ws", self._ws)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            self.port = runner.addresses[0][1]
            self.url = f"http://127.0.0.1:{self.port}"
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.asked[f"{request.method} {request.path}"] += 1
        assert request.transport is not None
        self.connections[f"{request.path} {request.transport.get_extra_info('peername')[1]}"] += 1
        self.cookies[request.cookies.get("node", "")] += 1
        self.hosts.add(request.host)
        return (await self._trouble(request) if self._trouble else None) or await handler(request)

    async def _release(self, request: web.Request) -> web.Response:
        answer = web.json_response({"release": RELEASE}, headers={"X-Release": RELEASE})
        answer.set_cookie("node", "one")
        return answer

    async def _echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), headers={"X-Release": RELEASE})

    async def _slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query["seconds"]))
        return web.Response(text="at last", headers={"X-Release": RELEASE})

    async def _job(self, request: web.Request) -> web.Response:
        id_ = f"job-{len(self.jobs)}"
        self.jobs[id_] = 1
        return web.json_response({"id": id_}, status=202)

    async def _done(self, request: web.Request) -> web.Response:
        assert request.query["since"].endswith("Z")
        return web.json_response({"jobs": [{"id": id_, "times": times} for id_, times in self.jobs.items()]})

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self._sockets += 1
        await ws.send_json({"release": RELEASE})
        await self._talk(ws, self._sockets)
        return ws


def load(url: str, **changes: Any) -> Load:
    """A load for a moment, of GETs alone unless told."""
    small: dict[str, Any] = {
        "rate": 100.0,
        "sockets": 0,
        "duration": 0.3,
        "mix": {Kind.GET: 1},
        "visitors": 4,
        "timeout": 5.0,
        "slow": 0.2,
        "heartbeat": 0.1,
    }
    return Load((url,), **(small | changes))


def probed(service: Service, stop: asyncio.Event | None = None, **changes: Any) -> Report:
    """What the probe says of this service."""

    async def run() -> Report:
        async with service.serve():
            return await run_load(load(service.url, **changes), stop)

    return asyncio.run(run())


def probed_raw(answer: Raw, **changes: Any) -> Report:
    """What the probe says of a server that does this with each connection."""

    async def run() -> Report:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            return await run_load(load(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", **changes))

    return asyncio.run(run())


def abort(writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
