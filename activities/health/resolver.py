"""DNS as a client asks it: the answers themselves, which the system's own functions do not show."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from telemetry import calls

CONFIGURATION = Path("/etc/resolv.conf")
PORT = 53
TRIES = 2
"""Of each name server: a datagram may get lost."""


class Unanswered(Exception):
    """There is no answer; the argument says why, in words."""


class Resolver:
    """Asks name servers, the next one if one does not answer.

    Args:
        servers: addresses and ports, the preferred one first.
        timeout: seconds that an answer may take.
    """

    def __init__(self, servers: Sequence[tuple[str, int]], timeout: float) -> None:
        self._servers = servers
        self._timeout = timeout / max(1, len(servers) * TRIES)

    @classmethod
    def of(cls, given: str | None, timeout: float) -> Resolver:
        """The resolver that the worker's settings name, or those of its system.

        Args:
            given: host:port, or None.
            timeout: see the class.
        """
        if given:
            host, _, port = given.rpartition(":")
            return cls([(host, int(port))], timeout)
        return cls(_of_system(), timeout)

    def ask(self, name: str, type: str) -> tuple[str, ...]:
        """The values that a name has of a type.

        Raises:
            Unanswered: the name does not exist, or nobody answers.
        """
        trouble = "the worker's system names no name server"
        for _ in range(TRIES):
            for host, port in self._servers:
                try:
                    with calls.dns(name, type, host, port) as call:
                        reply = self._reply(host, port, DNSRecord.question(name, type))
                        if reply.header.rcode != RCODE.NOERROR:
                            call.failed(RCODE.get(reply.header.rcode))
                except (OSError, DNSError, struct.error) as error:
                    trouble = f"the name server {host} does not answer ({type_of(error)})"
                    continue
                if reply.header.rcode == RCODE.NXDOMAIN:
                    raise Unanswered("the name does not exist")
                if reply.header.rcode == RCODE.NOERROR:
                    return tuple(str(rr.rdata) for rr in reply.rr if QTYPE.get(rr.rtype) == type)
                trouble = f"the name server {host} answers {RCODE.get(reply.header.rcode)}"
        raise Unanswered(trouble)

    def _reply(self, host: str, port: int, query: DNSRecord) -> DNSRecord:
        ipv6 = ":" in host
        reply = DNSRecord.parse(query.send(host, port, timeout=self._timeout, ipv6=ipv6))
        if reply.header.tc:
            reply = DNSRecord.parse(query.send(host, port, tcp=True, timeout=self._timeout, ipv6=ipv6))
        if reply.header.id != query.header.id:
            raise DNSError("the answer is to another question")
        return reply


def type_of(error: BaseException) -> str:
    """How an error is called in a sentence: "timeout", "connection refused"."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError) and error.errno:
        # asyncio puts addresses and ports there.
        return os.strerror(error.errno).lower()
    return str(getattr(error, "strerror", "") or type(error).__name__).lower()


def _of_system() -> list[tuple[str, int]]:
    try:
        lines = CONFIGURATION.read_text().splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines if line.startswith("nameserver")]
    return [(found[1].partition("%")[0], PORT) for found in words if len(found) > 1]
