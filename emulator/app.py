"""The server: one port for the API of every product."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web

from emulator.errors import ApiError, denied_authentication, invalid_arguments
from emulator.products import load_products
from emulator.router import Router
from emulator.routing import Answer, Call, Reply
from emulator.world import World

HOST = "127.0.0.1"


class PortInUseError(Exception):
    """The port that was asked for belongs to another program."""


class Emulator:
    """A world behind an HTTP port.

    Args:
        latency: factor on Scaleway's real delays: 0 none, 1 as they are.
    """

    def __init__(self, latency: float = 0.0) -> None:
        self.router = Router(route for product in load_products() for route in product.routes)
        self.world = World(latency)
        self.world.sow()
        self.url = ""
        self._runner: web.ServerRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one. `url` says which.

        Raises:
            PortInUseError: another program listens there.
        """
        self._runner = web.ServerRunner(web.Server(self._handle), handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port, shutdown_timeout=1)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise PortInUseError(f"port {port} on {HOST} is in use") from error
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        path = unquote(request.rel_url.raw_path)
        if path == "/_emulator/reset" and request.method == "POST":
            self.world.restore({"tables": {}})
            self.world.sow()
            return web.Response(status=204)
        try:
            return respond(self._answer(request, path, raw))
        except ApiError as error:
            return respond(Reply(error.body, error.status, error.headers))

    def _answer(self, request: web.BaseRequest, path: str, raw: bytes) -> Answer:
        self.world.settle()
        token = request.headers.get("X-Auth-Token", "")
        if not token:
            raise denied_authentication()
        found = self.router.find(request.method, path)
        if found is None:
            raise ApiError(404, {"message": "resource is not found", "type": "not_found"})
        route, params = found
        body = parse(raw, request.headers.get("Content-Type", ""))
        query = parse_qs(request.rel_url.raw_query_string, keep_blank_values=True)
        return route.handler(Call(self.world, request.method, path, params, query, body, raw, token, route.operation))


def parse(raw: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in a body; {} for no body and for text."""
    if not raw or content_type.startswith(("text/", "application/octet-stream")):
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise invalid_arguments(("body", "format", "the body is not a JSON object"))
    return body


def respond(answer: Answer) -> web.Response:
    """The HTTP form of what a handler returned."""
    if answer is None:
        return web.Response(status=204)
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    if reply.body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    if isinstance(reply.body, (str, bytes)):
        body, kind = reply.body, reply.content_type
    else:
        body, kind = json.dumps(reply.body), "application/json"
    return web.Response(
        status=reply.status,
        headers={**reply.headers, "Content-Type": kind},
        body=body.encode() if isinstance(body, str) else body,
    )


async def serve(port: int, latency: float) -> None:
    """Run until SIGINT or SIGTERM."""
    emulator = Emulator(latency)
    await emulator.start(port)
    print(f"Scaleway API   {emulator.url}", flush=True)  # noqa: T201
    done = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, done.set)
    await done.wait()
    await emulator.stop()


def run(port: int, latency: float = 0.0) -> int:
    """Run the emulator in the foreground; the exit code."""
    try:
        asyncio.run(serve(port, latency))
    except PortInUseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
