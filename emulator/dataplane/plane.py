"""What the planes over HTTP have in common: one port, the request log, and the faults."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from emulator.connections import cut
from emulator.faults import BEFORE, Faults
from emulator.requests import RequestLog
from emulator.world import World

HOST = "127.0.0.1"
LARGEST_BODY = 1 << 30
"""Bytes of a body that is held in memory."""


@dataclass
class Message:
    """One request.

    Attributes:
        path: as sent, percent-encoded.
        query: as sent, percent-encoded.
        headers: by name in any case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def arguments(self) -> dict[str, str]:
        """The query's parameters, decoded; the first of each name."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        return dict(reversed(pairs))


@dataclass
class Answer:
    """A status, headers and a body; the body of an answer to HEAD stays empty whatever its Content-Length says."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Plane(ABC):
    """A data plane over HTTP.

    Args:
        changed: called after each request that may have changed the world.

    Attributes:
        label: how its operations begin in the request log and in faults: "S3 CreateBucket".
        read_ms: median duration of the real reads in ms.
        change_ms: the same of what changes something.
    """

    label: ClassVar[str]
    read_ms: ClassVar[float] = 60.0
    change_ms: ClassVar[float] = 60.0

    def __init__(self, world: World, log: RequestLog, faults: Faults, changed: Callable[[], None]) -> None:
        self.world = world
        self.log = log
        self.faults = faults
        self.changed = changed
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def receive(self, request: web.Request) -> Message:
        """Read the request."""
        url = request.rel_url
        return Message(request.method, url.raw_path, url.raw_query_string, request.headers, await request.read())

    @abstractmethod
    def name(self, message: Message) -> tuple[str, bool]:
        """The operation, and whether it changes something."""

    @abstractmethod
    async def answer(self, message: Message, operation: str) -> Answer:
        """Carry out the request."""

    @abstractmethod
    def refusal(self, kind: str) -> Answer:
        """The answer in place of the request, for a fault that strikes before it."""

    async def respond(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Send the answer, or make what is to be sent."""
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def done(self, message: Message) -> None:  # noqa: B027 - most planes hold nothing
        """Let go of what a request held, once it is answered or has failed."""

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        # An application, not a bare server, because it answers `Expect: 100-continue`, with which boto3 sends bodies.
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            application, handle_signals=False, access_log=None, auto_decompress=False, shutdown_timeout=1
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.url = f"http://{HOST}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        message = await self.receive(request)
        try:
            answer = await self._serve(message)
            return await self.respond(request, answer) if answer else cut(request)
        finally:
            self.done(message)

    async def _serve(self, message: Message) -> Answer | None:
        """The answer, or what a fault makes of it. None: the connection is to be cut."""
        began, at = time.perf_counter(), self.world.timestamp()
        operation, mutating = self.name(message)
        operation = f"{self.label} {operation}"
        path = f"{message.method} {message.path}"
        fault = self.faults.take(operation, mutating, path)
        kind = fault.kind if fault else None
        answer: Answer | None
        if kind == "reset":
            answer = None
        elif kind in BEFORE:
            answer = self.refusal(str(kind))
        else:
            delay = self._pace(mutating) + (fault.seconds if fault and kind == "slow" else 0.0)
            if delay:
                await asyncio.sleep(delay)
            self.world.settle()
            answer = await self.answer(message, operation.removeprefix(f"{self.label} "))
            if mutating:
                self.changed()
            if fault and kind == "response_lost":
                answer = replace(self.refusal("unavailable"), status=fault.status) if fault.status else None
        self.log.record(
            at=at,
            operation=operation,
            method=message.method,
            path=message.path,
            status=answer.status if answer else 0,
            duration_ms=(time.perf_counter() - began) * 1000,
            mutating=mutating,
            fault=kind,
        )
        return answer

    def _pace(self, mutating: bool) -> float:
        return (self.change_ms if mutating else self.read_ms) / 1000 * self.world.latency
