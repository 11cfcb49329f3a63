"""How clients connect: where to, whom they trust, and which connection a request takes."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from aiohttp.connector import Connection

from probe.failures import Unanswered

PER_VISITOR = 6
"""Connections that one visitor opens at most, as browsers do over HTTP/1.1; what comes on top waits."""
STALE = 1.0
"""Seconds after sending within which a kept connection that ends without an answer was closed before."""


class Pinned(AbstractResolver):
    """Every name has this address, so that name and TLS server name stay those of the URL (curl's --connect-to).

    Args:
        address: IPv4 address, with or without `:port`.
    """

    def __init__(self, address: str) -> None:
        self._host, _, port = address.partition(":")
        self._port = int(port) if port else None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Answer with the address."""
        return [
            ResolveResult(
                hostname=host,
                host=self._host,
                port=self._port or port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


class _Request(aiohttp.ClientRequest):
    """Looks at a kept connection before it writes, as urllib3 does: the end may have come, and not been read yet."""

    kept = False
    """Whether the connection of the latest attempt has carried a request before."""
    unsent = False
    """Whether nothing of the latest attempt has been written."""
    _seen: ClassVar[WeakSet[object]] = WeakSet()

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send it, the body a turn of the event loop later.

        Raises:
            aiohttp.ServerDisconnectedError: the kept connection had been closed; nothing was sent.
        """
        self.kept = conn.protocol in self._seen
        self._seen.add(conn.protocol)
        self.unsent = True
        if self.kept and _ended(conn):
            raise aiohttp.ServerDisconnectedError
        self.unsent = bool(self.body)
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """Write headers and body, unless the end has come within that turn."""
        if self.kept and _ended(conn):
            if conn.protocol is not None:
                conn.protocol.set_exception(aiohttp.ServerDisconnectedError())
            return
        self.unsent = False
        await super().write_bytes(writer, conn, content_length)


def _ended(conn: Connection) -> bool:
    return conn.transport is None or conn.transport.is_closing() or _readable(conn.transport.get_extra_info("socket"))


def _readable(sock: socket.socket | None) -> bool:
    # An idle connection has nothing to read but its end. poll, since select cannot take descriptors above 1023.
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def repeatable(method: str, error: OSError | aiohttp.ClientError, *, kept: bool, unsent: bool, after: float) -> bool:
    """Whether a client may send a request again on another connection, as RFC 9110 (9.2.2) and RFC 9112 (9.3.1) allow.

    It may if the server had closed the kept connection before the request came whole. A new connection that ends
    without an answer, or one that ends while the server was at it, is a failure.

    Args:
        method: of HTTP.
        error: how the connection ended; no byte of an answer has come.
        kept: whether the connection had carried a request before.
        unsent: whether nothing was written.
        after: seconds since the request was begun.
    """
    # Linux says "broken pipe" if the peer's end came first and its reset afterwards: the reset answers what had been
    # written, so that found nobody. Had the server read the request, only the end would have come.
    missed = isinstance(error, OSError) and error.errno == errno.EPIPE
    return kept and (unsent or missed or (method == "GET" and after < STALE))


class Attempts:
    """Sends one request, and once more where that is safe; aiohttp's own rule would hide failures."""

    def __init__(self) -> None:
        self.retried = 0
        """How often it took another connection."""

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send, as a client middleware of aiohttp."""
        while True:
            sent = time.monotonic()
            try:
                return await handler(request)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                kept, unsent = (request.kept, request.unsent) if isinstance(request, _Request) else (False, False)
                after = time.monotonic() - sent
                if not repeatable(request.method, error, kept=kept, unsent=unsent, after=after):
                    raise Unanswered(str(error) or type(error).__name__) from error
            self.retried += 1


class Connections:
    """The clients: visitors who keep connections, and one session of new ones.

    Args:
        visitors: how many keep connections. Every other one keeps its cookies too, and so stays with one node.
        connect: address to connect to in place of what names resolve to.
        ca: PEM file of authorities; None trusts the system's.
        timeout: seconds for a request as a whole.
    """

    def __init__(self, visitors: int, connect: str | None, ca: Path | None, timeout: float) -> None:
        self._connect = connect
        self._tls = ssl.create_default_context(cafile=ca)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._visitors = [self._session(keep=True, cookies=number % 2 == 0) for number in range(visitors)]
        self._turn = 0
        self.fresh = self._session(keep=False, cookies=False)
        """Takes a new connection for each request."""

    def visitor(self) -> aiohttp.ClientSession:
        """The visitor whose turn it is."""
        self._turn = (self._turn + 1) % len(self._visitors)
        return self._visitors[self._turn]

    async def close(self) -> None:
        """Close every connection."""
        for session in (self.fresh, *self._visitors):
            await session.close()

    def _session(self, *, keep: bool, cookies: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=Pinned(self._connect) if self._connect else None,
            ssl=self._tls,
            limit=PER_VISITOR if keep else 0,
            force_close=not keep,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.CookieJar(unsafe=True) if cookies else aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            request_class=_Request,
        )


def pinnable(url: str) -> bool:
    """Whether the URL has a name: an address in it is connected to as it stands."""
    host = urlsplit(url).hostname or ""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return bool(host)
    return False
