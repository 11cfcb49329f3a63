"""The requests of the mix: what each sends, and what is a right answer to it."""

from __future__ import annotations

import asyncio
import json
import random
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp

from probe.connections import Attempts, Connections
from probe.failures import WRONG_BODY, name_of
from probe.ledger import Ledger
from probe.load import Kind, Load

LARGEST = 16 * 1024
"""Bytes of the largest body that is posted."""
RELEASE = "X-Release"
"""Header in which an answer tells its release."""

_INK = "".join(random.Random(0).choices(string.ascii_letters, k=LARGEST))


@dataclass(frozen=True)
class Ask:
    """What a kind of request sends.

    Attributes:
        method: of HTTP.
        path: with its query.
        media: media type of the body.
        body: makes the body of a request from its number.
        right: whether the body is right, of what was sent, what came, and the release in the header.
    """

    method: str
    path: str
    media: str | None = None
    body: Callable[[int], bytes | None] = lambda _: None
    right: Callable[[bytes, bytes, str | None], bool] = lambda _sent, _came, _release: True


def echo_body(number: int) -> bytes:
    """A body of up to 16 KiB which no other request sends."""
    mark = f"{number} "
    return (mark + _INK[: number * 7919 % (LARGEST - len(mark))]).encode()


def _tells_release(_sent: bytes, came: bytes, release: str | None) -> bool:
    # Header and body are of one answer: a mixture of two releases, or of two clients' answers, shows here.
    return bool(came) if release is None else release.encode() in came


def asks(slow: float) -> Mapping[Kind, Ask]:
    """Every kind's request.

    Args:
        slow: seconds that the slow one asks for.
    """
    get = Ask("GET", "/rest/release", right=_tells_release)
    query = json.dumps({"query": "{ release }"}).encode()
    return {
        Kind.GET: get,
        Kind.FRESH: get,
        Kind.POST: Ask(
            "POST", "/rest/echo", "application/octet-stream", echo_body, lambda sent, came, _release: came == sent
        ),
        Kind.GRAPHQL: Ask("POST", "/graphql", "application/json", lambda _number: query, _tells_release),
        Kind.HEALTH: Ask("GET", "/healthz"),
        Kind.SLOW: Ask("GET", f"/rest/slow?seconds={slow:g}"),
        Kind.JOB: Ask("POST", "/rest/jobs", "application/json", lambda number: json.dumps({"n": number}).encode()),
    }


class Requests:
    """Sends requests and enters in the ledger what became of them.

    Args:
        load: what is asked for.
        connections: the clients.
        ledger: where it is entered.
    """

    def __init__(self, load: Load, connections: Connections, ledger: Ledger) -> None:
        self._urls = [url.rstrip("/") for url in load.urls]
        self._timeout = load.timeout
        self._slow = load.slow
        self._asks = asks(load.slow)
        self._connections = connections
        self._ledger = ledger
        self._number = 0
        self._open: set[asyncio.Task[None]] = set()
        self.job_ids: list[str] = []
        """Ids of the jobs that were taken."""

    def send(self, kind: Kind, due: float) -> None:
        """Send one, and do not wait for it."""
        self._ledger.arrived(kind, due)
        task = asyncio.create_task(self._one(kind, due))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def finish(self) -> None:
        """Wait for those under way; each has its time-out."""
        while self._open:
            await asyncio.wait(self._open)

    async def _one(self, kind: Kind, due: float) -> None:
        attempts = Attempts()
        try:
            failure, detail = await self._answer(kind, attempts)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure, detail = name_of(error), f"{type(error).__name__}: {error}"
        for _ in range(attempts.retried):
            self._ledger.retried(kind)
        self._ledger.ended(kind, due, time.monotonic(), failure, detail)

    async def _answer(self, kind: Kind, attempts: Attempts) -> tuple[str | None, str]:
        self._number += 1
        ask = self._asks[kind]
        # What is slow has a connection of its own, so that one which ends in between is never taken for an idle one.
        own = kind in (Kind.FRESH, Kind.SLOW)
        session = self._connections.fresh if own else self._connections.visitor()
        sent = ask.body(self._number)
        async with session.request(
            ask.method,
            self._urls[self._number % len(self._urls)] + ask.path,
            data=sent,
            headers={"Content-Type": ask.media} if ask.media else None,
            timeout=aiohttp.ClientTimeout(total=self._timeout + (self._slow if kind == Kind.SLOW else 0)),
            allow_redirects=False,
            middlewares=(attempts,),
        ) as response:
            came = await response.read()
            release = response.headers.get(RELEASE)
            if not 200 <= response.status < 300:
                return str(response.status), came[:200].decode(errors="replace")
            if not ask.right(sent or b"", came, release):
                return WRONG_BODY, f"release {release}: {came[:200].decode(errors='replace')}"
            if kind == Kind.JOB:
                self.job_ids.append(str(json.loads(came)["id"]))
            if release is not None:
                self._ledger.release(release, time.monotonic(), requests=1)
            return None, ""
