"""An authoritative name server, over UDP and TCP, for the zones of the DNS API."""

from __future__ import annotations

import asyncio
import struct
import traceback
from collections.abc import Iterator
from typing import cast

from dnslib import EDNS0, QTYPE, RCODE, RR, SOA, TXT, DNSError, DNSHeader, DNSQuestion, DNSRecord

from emulator.dataplane.dns_data import Lookup, lookup
from emulator.world import World

HOST = "127.0.0.1"
SMALLEST_DATAGRAM = 512
LARGEST_DATAGRAM = 1232
"""Bytes of a UDP answer: what every client takes, and what is safe for one that says it takes more (DNS flag day)."""
NEGATIVE_TTL = 60
_TRIES = 20


class NameServer:
    """The name servers of every zone, at one address.

    Attributes:
        url: "127.0.0.1:5353", the address over UDP and TCP.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.url = ""
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1; port 0 takes one that is free for both UDP and TCP.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        for attempt in range(_TRIES):
            server = await asyncio.start_server(self._serve_stream, HOST, port)
            taken = int(server.sockets[0].getsockname()[1])
            try:
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(HOST, taken)
                )
            except OSError:
                server.close()
                if port or attempt == _TRIES - 1:
                    raise
                continue
            self._server, self.url = server, f"{HOST}:{taken}"
            return

    async def stop(self) -> None:
        """Close both sockets."""
        if self._datagrams:
            self._datagrams.close()
        if self._server:
            self._server.close()

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length), HOST, None)
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, query: bytes, client: str, room: int | None) -> bytes | None:
        """The answer to a query; None if it is none.

        Args:
            client: the address that asks, for records that depend on it.
            room: bytes that a datagram may have if the client says nothing; None for a stream.
        """
        try:
            request = DNSRecord.parse(query)
        except DNSError:
            return None
        try:
            reply = self._reply(request, client)
        except Exception:
            # A name server that fails says so, and answers the next query.
            traceback.print_exc()
            reply = _empty(request, RCODE.SERVFAIL)
        packed: bytes = reply.pack()
        if room is not None:
            room = next(
                (min(max(rr.rclass, room), LARGEST_DATAGRAM) for rr in request.ar if rr.rtype == QTYPE.OPT), room
            )
            if len(packed) > room:
                reply = _empty(request, RCODE.NOERROR)
                reply.header.tc = 1
                packed = reply.pack()
        return packed

    def _reply(self, request: DNSRecord, client: str) -> DNSRecord:
        if len(request.questions) != 1 or request.header.opcode != 0:
            return _empty(request, RCODE.NOTIMP)
        question: DNSQuestion = request.q
        name = str(question.qname).rstrip(".").lower()
        self.world.settle()
        found = lookup(self.world, name, QTYPE.get(question.qtype), client)
        if found is None:
            return _empty(request, RCODE.REFUSED)
        reply = _empty(request, RCODE.NOERROR if found.exists else RCODE.NXDOMAIN)
        reply.header.aa = int(not found.delegated)
        for rr in _resource_records(found):
            reply.add_answer(rr)
        for server in found.referral:
            reply.add_auth(*RR.fromZone(f"{server.name}. {server.ttl} IN NS {server.data}"))
        if found.delegated:
            pass
        elif not reply.rr or question.qtype == QTYPE.SOA:
            soa = RR(found.zone, QTYPE.SOA, ttl=NEGATIVE_TTL, rdata=_authority(found))
            if question.qtype == QTYPE.SOA and name == found.zone:
                reply.add_answer(soa)
            else:
                reply.add_auth(soa)
        if any(rr.rtype == QTYPE.OPT for rr in request.ar):
            reply.add_ar(EDNS0(udp_len=LARGEST_DATAGRAM))
        return reply


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self.server.answer(data, address[0], SMALLEST_DATAGRAM)
        if answer is not None:
            self.transport.sendto(answer, address)


def _empty(request: DNSRecord, code: int) -> DNSRecord:
    header = DNSHeader(id=request.header.id, qr=1, rd=request.header.rd, rcode=code)
    return DNSRecord(header, q=request.q)


def _authority(found: Lookup) -> SOA:
    return SOA("ns0.dom.scw.cloud", "hostmaster.scw.cloud", (found.serial, 10_800, 3600, 604_800, NEGATIVE_TTL))


def _resource_records(found: Lookup) -> Iterator[RR]:
    for record in found.answers:
        if record.kind == "TXT":
            yield RR(f"{record.name}.", QTYPE.TXT, ttl=record.ttl, rdata=TXT(_strings(record.data)))
        else:
            yield from RR.fromZone(f"{record.name}. {record.ttl} IN {record.kind} {record.data}")


def _strings(data: str) -> list[bytes]:
    """The character-strings of a TXT record, none over 255 bytes."""
    parts = [part for part in data.split('"')[1::2] if part] or [data.strip('"')]
    return [chunk for part in parts for chunk in _chunks(part.encode())]


def _chunks(text: bytes) -> list[bytes]:
    return [text[start : start + 255] for start in range(0, len(text), 255)] or [b""]
