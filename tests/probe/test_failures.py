"""Failures of each kind are recognized, and nothing else is one."""

from __future__ import annotations

import asyncio
import errno
import socket

import aiohttp
import pytest
from aiohttp import web

from probe import run_load
from probe.connections import repeatable
from probe.load import Kind
from tests.probe.service import RELEASE, Raw, Service, abort, load, probed, probed_raw

NO_NAME = ".".join(["n" * 60] * 5)
"""Too long for a name in DNS: no resolver is asked."""
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def _request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and reset."""
    await _request(reader)
    abort(writer)


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and close."""
    await _request(reader)
    writer.close()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and never answer."""
    await reader.read()
    writer.close()


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close in the middle of the answer."""
    await _request(reader)
    writer.write(WHOLE[:-1])
    writer.close()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer in no protocol that is known."""
    await _request(reader)
    writer.write(b"\x15\x03\x01 what is this\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("kind", [Kind.GET, Kind.FRESH, Kind.POST])
@pytest.mark.parametrize(
    ("answer", "name"),
    [(reset, "reset"), (close, "no answer"), (hang, "timeout"), (half, "cut answer"), (babble, "not HTTP")],
)
def test_connections_that_go_wrong(answer: Raw, name: str, kind: Kind) -> None:
    """On a connection's first request nothing is tried again: each is a failure, whatever the method."""
    report = probed_raw(answer, timeout=0.2 if answer is hang else 5.0, mix={kind: 1}, rate=50, duration=0.1)
    assert report.failures == {name: report.requests.sent}
    assert report.requests.failed == report.requests.sent > 0
    assert report.requests.retried == 0
    assert report.examples[0].what == kind


def test_refused() -> None:
    """Nobody listens; and since nobody is answered, all of it is one pause."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        report = asyncio.run(run_load(load(f"http://127.0.0.1:{taken.getsockname()[1]}")))
    assert report.failures == {"refused": report.requests.sent}
    assert report.longest_pause.seconds == pytest.approx(report.seconds, rel=0.5)
    assert report.longest_wait.seconds < report.longest_pause.seconds


def test_name_not_resolved() -> None:
    """Nobody has such a name."""
    report = asyncio.run(run_load(load(f"http://{NO_NAME}", rate=20, duration=0.1)))
    assert set(report.failures) == {"name not resolved"}


@pytest.mark.parametrize("status", [302, 404, 500, 502, 503, 504])
def test_statuses(status: int) -> None:
    """Each by its number; every third goes wrong."""
    asked = 0

    async def trouble(_request: web.Request) -> web.Response | None:
        nonlocal asked
        asked += 1
        return web.Response(status=status, text="sorry") if asked % 3 == 0 else None

    report = probed(Service(trouble))
    assert report.failures == {str(status): report.requests.sent // 3}
    assert report.requests.sent == asked > 3
    assert report.releases[RELEASE].requests == asked - asked // 3
    assert report.examples[0].detail == "sorry"


@pytest.mark.parametrize("kind", [Kind.GET, Kind.POST, Kind.GRAPHQL])
def test_wrong_body(kind: Kind) -> None:
    """The body is not what was sent, or not of the release in the header."""

    async def trouble(_request: web.Request) -> web.Response:
        return web.Response(text='{"release": "another"}', headers={"X-Release": RELEASE})

    report = probed(Service(trouble), mix={kind: 1})
    assert report.failures == {"wrong body": report.requests.sent}


def test_examples_are_bounded() -> None:
    """Failures are all counted; not all are told."""
    report = probed_raw(close, rate=1000, duration=0.2)
    assert len(report.examples) == 50 < report.failed


END = aiohttp.ServerDisconnectedError()
RESET = aiohttp.ClientOSError(errno.ECONNRESET, "reset")
PIPE = aiohttp.ClientOSError(errno.EPIPE, "broken pipe")


@pytest.mark.parametrize(
    ("method", "error", "kept", "unsent", "after", "expected"),
    [
        # Nothing was written.
        ("GET", END, True, True, 0.0, True),
        ("POST", END, True, True, 0.0, True),
        # Written on a connection whose end crossed it: a GET does no harm twice.
        ("GET", END, True, False, 0.1, True),
        ("GET", RESET, True, False, 0.1, True),
        ("POST", END, True, False, 0.1, False),
        ("POST", RESET, True, False, 0.1, False),
        # The reset answers what was written.
        ("POST", PIPE, True, False, 0.1, True),
        # The server was at it.
        ("GET", END, True, False, 1.5, False),
        # The connection was made for this request.
        ("GET", END, False, False, 0.0, False),
        ("GET", RESET, False, False, 0.0, False),
        ("POST", PIPE, False, False, 0.0, False),
    ],
)
def test_what_may_be_sent_again(
    method: str, error: aiohttp.ClientError, kept: bool, unsent: bool, after: float, expected: bool
) -> None:
    """Only what came after the server's end, on a kept connection."""
    assert repeatable(method, error, kept=kept, unsent=unsent, after=after) is expected


def _serving(requests: int, cut: Raw) -> Raw:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(requests):
            head = await _request(reader)
            if b"POST" in head:
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
            writer.write(WHOLE)
        await cut(reader, writer)

    return answer


async def idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without waiting for another request."""
    writer.close()


@pytest.mark.parametrize("kind", [Kind.HEALTH, Kind.GRAPHQL])
def test_a_kept_connection_closed_while_idle_is_no_failure(kind: Kind) -> None:
    """Nothing was sent on it, so any client opens another one, whatever the method."""
    report = probed_raw(_serving(2, idle), mix={kind: 1})
    assert report.failures == {}
    assert report.requests.sent > 10


@pytest.mark.parametrize(("cut", "name"), [(close, "no answer"), (reset, "reset")])
def test_a_kept_connection_closed_under_the_request(cut: Raw, name: str) -> None:
    """A GET is sent again, and that stays visible; a POST may have been done, so it has failed."""
    report = probed_raw(_serving(2, cut), mix={Kind.HEALTH: 1})
    assert report.failures == {}
    assert 0 < report.requests.retried < report.requests.sent
    assert report.kinds["health"].retried == report.requests.retried
    report = probed_raw(_serving(2, cut), mix={Kind.JOB: 1})
    assert report.requests.retried == 0
    assert report.failures[name] > 0


def test_a_get_cut_while_the_server_was_at_it_is_a_failure() -> None:
    """However safe it is to repeat: somebody waited in vain."""

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        await asyncio.sleep(1.2)
        writer.close()

    report = probed_raw(_serving(1, late), mix={Kind.HEALTH: 1}, visitors=1, rate=4, duration=0.4)
    assert report.failures == {"no answer": 1}
    assert report.requests.retried == 0
