"""What users ask, asked as they do: by name, over new connections, through the load balancer."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from activities.health.resolver import Resolver, Unanswered, type_of
from blueprint.health.contract import Check, HealthSite, Host, Traffic
from blueprint.health.verdicts import Answer, certificate_check, echo_check, graphql_check, response_check
from telemetry import calls

_MOST_READ = 65_536
"""Bytes of an answer that are looked at."""
_MOST_MESSAGES = 20
"""Of a WebSocket, before the echo: greetings and heartbeats."""
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)
"""For a server to say goodbye: it has answered by then, or it has not."""
_HTTPS = 443


async def look_at_traffic(site: HealthSite, resolver: Resolver | None) -> list[Check]:
    """A check for each name that has a certificate, and for each path; all at once.

    Args:
        site: what there is to ask.
        resolver: what knows where names lead; the system's functions if None.
    """
    traffic = site.traffic
    assert traffic
    names = _Names(resolver) if resolver else None
    # The context reads SSL_CERT_FILE: the local Scaleway's balancer has a certificate of a local authority.
    context = ssl.create_default_context()
    connector = aiohttp.TCPConnector(resolver=names, ssl=context, force_close=True)
    timeout = aiohttp.ClientTimeout(total=site.timeout)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        asked = Asked(session, traffic, site.timeout)
        checks: Sequence[Coroutine[Any, Any, Check]] = [
            *(_certificate(host, names, context, site) for host in traffic.hosts),
            *asked.checks(),
        ]
        return list(await asyncio.gather(*checks))


class Asked:
    """The application, asked in all its ways.

    Args:
        session: over which.
        traffic: where.
        timeout: seconds that an answer may take.
    """

    def __init__(self, session: aiohttp.ClientSession, traffic: Traffic, timeout: float) -> None:
        self._session = session
        self._traffic = traffic
        self._timeout = timeout

    def checks(self) -> list[Coroutine[Any, Any, Check]]:
        """What there is to ask."""
        traffic = self._traffic
        if not traffic.url:
            return []
        asked = [self._get("healthz", traffic.path)]
        asked += [self._get("rest", traffic.rest)] if traffic.rest else []
        asked += [self._graphql()] if traffic.graphql else []
        asked += [self._echo()] if traffic.websocket else []
        return asked

    async def _get(self, name: str, path: str) -> Check:
        return response_check(name, await self._ask("GET", path))

    async def _graphql(self) -> Check:
        query = {"query": "{ __typename }"}
        return graphql_check(await self._ask("POST", self._traffic.graphql, json=query))

    async def _ask(self, method: str, path: str, **more: Any) -> Answer:
        url, began = self._traffic.url + path, time.monotonic()
        try:
            with calls.http("", method, url) as call:
                async with self._session.request(method, url, **more) as response:
                    body = await response.content.read(_MOST_READ)
                    call.answered(response.status)
        except (aiohttp.ClientError, OSError) as error:
            return Answer(time.monotonic() - began, trouble=_told(error))
        return Answer(time.monotonic() - began, response.status, body.decode(errors="replace"))

    async def _echo(self) -> Check:
        sent, received, trouble, began = f"health-{secrets.token_hex(8)}", [""], "", time.monotonic()
        url = self._traffic.url + self._traffic.websocket
        try:
            with calls.http("", "GET", url):
                async with asyncio.timeout(self._timeout), self._session.ws_connect(url, timeout=_CLOSING) as talk:
                    await talk.send_str(sent)
                    while sent not in received[-1] and len(received) <= _MOST_MESSAGES:
                        received.append(await talk.receive_str())
        except (aiohttp.ClientError, OSError, TypeError) as error:
            # `receive_str` says TypeError to everything that is no text, the close frame among it.
            trouble = "it was closed before the echo" if isinstance(error, TypeError) else _told(error)
        return echo_check(sent, received, time.monotonic() - began, trouble)


class _Names(AbstractResolver):
    """Where names lead, by a resolver of our own."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            found = await asyncio.to_thread(self._resolver.ask, host, "A")
        except Unanswered as error:
            raise OSError(None, f"{host}: {error}") from None
        if not found:
            raise OSError(None, f"{host}: the name has no address")
        flags = socket.AI_NUMERICHOST
        return [
            {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": flags}
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


async def _certificate(host: Host, names: _Names | None, context: ssl.SSLContext, site: HealthSite) -> Check:
    assert site.traffic
    name = f"tls/{host.name}" if host.port == _HTTPS else f"tls/{host.name}:{host.port}"
    began, left, trouble = time.monotonic(), None, ""
    try:
        with calls.tls(host.name, host.port):
            async with asyncio.timeout(site.timeout):
                where = (await names.resolve(host.name))[0]["host"] if names else host.name
                _, writer = await asyncio.open_connection(where, host.port, ssl=context, server_hostname=host.name)
        left = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"]) - time.time()
        writer.transport.abort()
    except OSError as error:
        trouble = _told(error)
    return certificate_check(name, time.monotonic() - began, left, trouble, site.traffic.certificate_days)


def _told(error: BaseException) -> str:
    """What went wrong, in words: aiohttp and OpenSSL say much, and little of it to people."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {cause.verify_message}"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, aiohttp.WSServerHandshakeError):
        return f"it answers {cause.status} instead of becoming a WebSocket"
    return f"no answer: {type_of(cause)}"
