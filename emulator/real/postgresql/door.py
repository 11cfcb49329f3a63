"""The public endpoint of a server: the load balancer that it is behind at Scaleway, with its access list."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from dataclasses import dataclass

CHUNK = 1 << 16


@dataclass(frozen=True)
class Public:
    """A public endpoint.

    Attributes:
        address: where it listens, with `port`.
        networks: whoever may connect.
    """

    address: str
    port: int
    networks: tuple[str, ...]

    def admits(self, client: str) -> bool:
        """Whether a client may connect."""
        return any(ipaddress.ip_address(client) in ipaddress.ip_network(network) for network in self.networks)


class Door:
    """Passes connections on to a server, as they are: TLS and log-ins are the server's."""

    def __init__(self) -> None:
        self.public: Public | None = None
        """What it is open for."""
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def open(self, public: Public, address: str, port: int) -> None:
        """Listen, and pass connections on to a server's address.

        Raises:
            OSError: it cannot listen there.
        """

        async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task:
                self._passing.add(task)
                task.add_done_callback(self._passing.discard)
            with contextlib.closing(writer), contextlib.suppress(OSError):
                if public.admits(writer.get_extra_info("peername")[0]):
                    await _pass(reader, writer, address, port)

        self._server = await asyncio.start_server(enter, public.address, public.port)
        self.public = public

    async def close(self) -> None:
        """Listen no longer, and cut off whoever came in."""
        self.public = None
        if self._server:
            self._server.close()
            self._server = None
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(address, port)
    with contextlib.closing(inner_writer):
        ways = [asyncio.create_task(_pump(reader, inner_writer)), asyncio.create_task(_pump(inner_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
