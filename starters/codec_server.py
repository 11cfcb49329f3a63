"""The codec server: what the Temporal UI and `temporal --codec-endpoint` ask to show payloads in clear text.

The browser sends it what Temporal returned, so Temporal itself never has the keys. Who may see clear text is who has
them: each operator runs one on his own computer, on loopback, with his copy of the keys. One for several people listens
elsewhere and wants a token of each request; whatever gives the token out knows who they are.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import signal
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from starters.child import HOST, PortTakenError, StartError
from workflows.codec import Codec, UnknownKey

PORT = 8081
LARGEST_BODY = 16 << 20
"""Bytes: what a page of a history holds at most, in base64."""


class CodecServer:
    """Answers POST /encode and POST /decode in the form of Temporal's remote codecs.

    Args:
        codec: has the keys.
        origins: where the UI comes from: "http://127.0.0.1:8233". Scripts of other pages get nothing.
        tokens: one of these has to come as `Authorization: Bearer ...`; empty lets in whoever reaches the port.
    """

    def __init__(self, codec: Codec, origins: Collection[str], tokens: Collection[str] = ()) -> None:
        self._codec = codec
        self._origins = frozenset(origins)
        self._tokens = tuple(tokens)

    def application(self) -> web.Application:
        """The server's routes. Only the path counts: the UI adds a query to some of its calls."""
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._admit])
        application.add_routes([web.post("/encode", self._encode), web.post("/decode", self._decode)])
        return application

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._origins:
            return web.Response(status=403, text=f"the page {origin} may not ask; --origin says which may\n")
        if request.method == "OPTIONS":
            # Asked by the browser itself, which sends no token with it.
            response: web.StreamResponse = web.Response(status=204)
        elif not self._known(request.headers.get("Authorization", "")):
            response = web.Response(status=401, text="a token is missing or wrong\n")
        else:
            try:
                response = await handler(request)
            except web.HTTPException as refusal:
                response = web.Response(status=refusal.status, text=f"{refusal.reason}\n")
        if origin is not None:
            response.headers.update(_cross_origin(origin))
        return response

    def _known(self, authorization: str) -> bool:
        given = authorization.removeprefix("Bearer ").encode()
        return not self._tokens or any(hmac.compare_digest(token.encode(), given) for token in self._tokens)

    async def _encode(self, request: web.Request) -> web.StreamResponse:
        payloads = await _payloads(request)
        return _answer(Payloads(payloads=await self._codec.encode(payloads.payloads)))

    async def _decode(self, request: web.Request) -> web.StreamResponse:
        payloads = await _payloads(request)
        try:
            return _answer(Payloads(payloads=await self._codec.decode(payloads.payloads)))
        except UnknownKey as error:
            return web.Response(status=400, text=f"{error}\n")


async def serve(server: CodecServer, host: str = HOST, port: int = PORT) -> None:
    """Listen until SIGINT or SIGTERM.

    Raises:
        PortTakenError: another program has the port.
        StartError: this computer has no such address.
    """
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        kind = PortTakenError if "in use" in str(error) else StartError
        raise kind(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}",
            subject="codec server",
            remedy="choose another --host or --port",
        ) from None
    else:
        await done.wait()
    finally:
        await runner.cleanup()


def is_loopback(host: str) -> bool:
    """Whether only programs of this computer reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _payloads(request: web.Request) -> Payloads:
    try:
        return json_format.Parse(await request.read(), Payloads())
    except json_format.ParseError:
        raise web.HTTPBadRequest(reason="the body is not Payloads in JSON") from None


def _answer(payloads: Payloads) -> web.Response:
    return web.Response(text=json_format.MessageToJson(payloads), content_type="application/json")


def _cross_origin(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Namespace",
        "Access-Control-Allow-Credentials": "true",
        # Chromium asks before a page of a public address may call this computer.
        "Access-Control-Allow-Private-Network": "true",
        "Vary": "Origin",
    }
