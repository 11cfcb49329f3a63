"""The wire to Object Storage: what it asks again, and what is left of work that is called off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError, HTTPClientError

from activities.backup.objects import loop as loops
from activities.backup.objects import wire as wires
from activities.backup.objects.copying import Place, copy
from activities.backup.objects.loop import Lanes, loop
from activities.backup.objects.wire import Wire
from activities.cloud import Cloud
from activities.settings import ScalewaySettings
from blueprint.errors import Refused, Unavailable
from tests.activities.conftest import NO_NODES, NO_TEMPORAL, TARGET

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
BROKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngo"
BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
NO = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
NOTHING = b""


class Stumbling:
    """An Object Storage that answers what it is told to, one connection after the other, and then well."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.asked = 0
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.server = loop().result(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]

        self.deaf = 0
        """Connections of which it reads the head and no more."""

    def close(self) -> None:
        """Listen no more."""

        async def close() -> None:
            self.server.close()

        loop().result(close())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.deaf:
            self.deaf -= 1
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            return
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        self.bodies.append(await reader.readexactly(length))
        self.asked += 1
        writer.write(self.answers.pop(0) if self.answers else GOOD)
        writer.close()


@pytest.fixture
def stumbling() -> Iterator[Stumbling]:
    """One while it listens."""
    server = Stumbling()
    yield server
    server.close()


@pytest.fixture
def wire(stumbling: Stumbling) -> Wire:
    """The way there, which does not wait long."""
    return wire_to(f"http://127.0.0.1:{stumbling.port}")


def wire_to(url: str) -> Wire:
    """The way to an address."""
    unique = "11111111-1111-1111-1111-111111111111"
    settings = ScalewaySettings.model_validate(
        {
            "SCW_ACCESS_KEY": "SCW" + "X" * 17,
            "SCW_SECRET_KEY": unique,
            "SCW_DEFAULT_PROJECT_ID": unique,
            "AWS_ENDPOINT_URL_S3": url,
            "SCALEWAY_INFRA_PACE": 0.01,
        }
    )
    return Wire(Cloud(settings, TARGET, NO_TEMPORAL, NO_NODES))


@pytest.mark.parametrize("trouble", [[BUSY], [NOTHING], [BROKEN], [BUSY, NOTHING, BROKEN, BUSY]])
def test_what_stumbles_is_asked_again(stumbling: Stumbling, wire: Wire, trouble: list[bytes]) -> None:
    """Up to five times, whatever it was; a body is read from its start."""
    stumbling.answers = list(trouble)
    pieces: list[bytes] = []

    async def take(response: aiohttp.ClientResponse) -> bytes:
        pieces.clear()
        async for piece in response.content.iter_any():
            pieces.append(piece)
        return b""

    wire.result(wire.send("GET", "bucket", "key", take=take))
    assert b"".join(pieces) == b"good"
    assert stumbling.asked == len(trouble) + 1


def test_who_asks_for_patience_gets_it(stumbling: Stumbling, wire: Wire) -> None:
    """Requests that come sooner keep what is overloaded so."""
    stumbling.answers = [BUSY.replace(b"Content", b"Retry-After: 1\r\nContent")]
    began = time.monotonic()
    wire.result(wire.send("GET", "bucket", "key"))
    assert time.monotonic() - began >= 1


def test_what_is_sent_is_sent_from_its_start_again(stumbling: Stumbling, wire: Wire, tmp_path: Any) -> None:
    """A file that was read to its end by the first attempt comes as a whole with the second."""
    stumbling.answers = [BUSY]
    (tmp_path / "content").write_bytes(b"content")
    with (tmp_path / "content").open("rb") as content:
        content.seek(3)
        wire.result(wire.send("PUT", "bucket", "key", body=content))
    assert stumbling.bodies == [b"content"] * 2


def test_a_body_that_is_not_taken_is_sent_again(
    stumbling: Stumbling, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for one who listens and reads nothing."""
    monkeypatch.setattr(wires, "READ_SECONDS", 0.2)
    stumbling.deaf = 1
    wire.start(wire.send("PUT", "bucket", "key", body=bytes(32 << 20))).result(10)
    assert [len(body) for body in stumbling.bodies] == [32 << 20]


@pytest.mark.parametrize(
    ("answer", "error", "asked"), [(NOTHING, HTTPClientError, 5), (BUSY, ClientError, 5), (NO, ClientError, 1)]
)
def test_what_is_told_in_the_end(
    stumbling: Stumbling, wire: Wire, answer: bytes, error: type[Exception], asked: int
) -> None:
    """No is no at once; no answer is none after five attempts."""
    stumbling.answers = [answer] * 10
    with pytest.raises(error):
        # Of a GET, aiohttp repeats the first try by itself if the connection was closed.
        wire.result(wire.send("POST", "bucket", "key"))
    assert stumbling.asked == asked


def test_an_endpoint_may_end_with_a_slash(stumbling: Stumbling) -> None:
    """As boto3 lets it: a second one would be of another bucket, which has no name."""
    wire = wire_to(f"http://127.0.0.1:{stumbling.port}/")
    wire.result(wire.send("GET", "bucket", "key"))
    assert stumbling.heads[0].startswith(b"GET /bucket/key ")


def test_no_cookie_is_kept(stumbling: Stumbling) -> None:
    """What is said to one project is not said by another, and nothing is sent that is not signed."""
    stumbling.answers = [GOOD.replace(b"Content", b"Set-Cookie: a=b; Path=/\r\nContent")]
    for _ in range(2):
        wire = wire_to(f"http://localhost:{stumbling.port}")
        wire.result(wire.send("GET", "bucket", "key"))
    assert not any(b"cookie" in head.lower() for head in stumbling.heads)


def test_metadata_that_is_text_is_carried_as_it_is(stumbling: Stumbling, wire: Wire) -> None:
    """Neither made ASCII, nor something else."""
    stumbling.answers = [_with_metadata("é".encode()), _with_metadata(b"")]
    wire.result(copy(Place(wire, "bucket", "key"), "x", 4, Place(wire, "store", "blob"), inside=False))
    assert b"\r\nx-amz-meta-name: \xc3\xa9\r\n" in stumbling.heads[1]


@pytest.mark.parametrize("value", [b"caf\xe9", b"a\x01b"])
def test_metadata_that_cannot_be_sent_is_refused_by_name(stumbling: Stumbling, wire: Wire, value: bytes) -> None:
    """Who is told which object it is can mend it."""
    stumbling.answers = [_with_metadata(value)]
    with pytest.raises(Refused, match="x-amz-meta-name") as refused:
        wire.result(copy(Place(wire, "bucket", "key"), "x", 4, Place(wire, "store", "blob"), inside=False))
    assert refused.value.subject == "bucket/key"


def _with_metadata(value: bytes) -> bytes:
    return GOOD.replace(b"Content", b'ETag: "x"\r\nx-amz-meta-name: ' + value + b"\r\nContent")


def test_closed(stumbling: Stumbling, wire: Wire) -> None:
    """Nothing goes out any more."""
    wire.close()
    with pytest.raises(Unavailable, match="given up"):
        wire.result(wire.send("HEAD", "bucket"))
    assert stumbling.asked == 0


def test_lanes() -> None:
    """So much at a time as there are lanes; at the end all is over, and what was under way has cleaned up."""
    running, most, ended = 0, 0, 0

    async def work(seconds: float) -> int:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(seconds)
            return most
        finally:
            running -= 1
            # Whatever is called off may have something to take back.
            await asyncio.sleep(0.01)
            ended += 1

    with Lanes(3) as lanes:
        done = [lanes.start(work(0.001)) for _ in range(10)]
        assert [one.result(10) for one in done][-1] == 3
        begun = [lanes.start(work(3600)) for _ in range(5)]
        deadline = time.monotonic() + 10
        while running < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert (running, ended) == (0, 13)
    assert all(one.cancelled() for one in begun)


def test_activities_that_begin_at_once_share_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wire whose connections are another loop's carries nothing."""

    class Slow:
        def __init__(self) -> None:
            time.sleep(0.1)

        def close(self) -> None:
            """Has nothing to let go."""

    monkeypatch.setattr(loops, "Loop", Slow)
    monkeypatch.setattr(loops, "_made", cache(loops._made.__wrapped__))
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: loop(), range(4)))) == 1
