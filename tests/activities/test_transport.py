"""The transport under the SDK, against servers that misbehave on a real socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from scaleway.instance.v1 import InstanceV1API
from scaleway.vpc.v2 import VpcV2API
from scaleway_core.client import Client

from activities import transport
from activities.transport import sturdy
from blueprint.errors import EngineError, Gone, Refused, Throttled, Unauthenticated, Unavailable
from emulator.world import DEFAULT_PROJECT
from starters.child import HOST, free_port

SECRET_KEY = "22222222-2222-4222-8222-222222222222"
EMPTY = json.dumps({"vpcs": [], "total_count": 0}).encode()
Answer = Callable[["Handler"], None]


class Request(NamedTuple):
    """What a server was sent."""

    path: str
    headers: dict[str, str]
    content: bytes


class Handler(BaseHTTPRequestHandler):
    """Notes each request and answers as its server was told."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Any method."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(Request(self.path, dict(self.headers), content))
        self.server.answer(self)

    do_POST = do_GET  # noqa: N815

    def reply(self, status: int, body: bytes = EMPTY, type_: str = "application/json", **headers: str) -> None:
        """A whole answer; underscores in the names of headers are hyphens."""
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), "Content_Type": type_, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def cut(self, begun: bytes) -> None:
        """No more of an answer than this."""
        self.wfile.write(begun)
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Not on standard error."""


class Server(ThreadingHTTPServer):
    """An HTTP server on a free port."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__((HOST, 0), Handler)
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Count it."""
        self.connections += 1
        return super().get_request()


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server that answers so."""
    with Server(answer) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def client(url: str) -> Client:
    """The SDK's client of an API there."""
    return Client(
        access_key="SCWLOCAL000000000000",
        secret_key=SECRET_KEY,
        api_url=url,
        default_project_id=DEFAULT_PROJECT,
        default_region="fr-par",
        default_zone="fr-par-1",
    )


def failure(url: str) -> EngineError:
    """What listing VPCs raises."""
    with pytest.raises(EngineError) as failed:
        sturdy(VpcV2API, client(url)).list_vp_cs()
    return failed.value


def test_connections_are_kept() -> None:
    """Many calls of one thread, of several API classes too, are one connection."""
    with serving(lambda handler: handler.reply(200)) as server:
        for _ in range(5):
            sturdy(VpcV2API, client(server.url)).list_vp_cs()
        assert (len(server.requests), server.connections) == (5, 1)


def test_what_is_sent() -> None:
    """The key, JSON, booleans as the API reads them, and each value of a list by itself."""
    with serving(lambda handler: handler.reply(200)) as server:
        sturdy(VpcV2API, client(server.url)).list_vp_cs(tags=["a", "b&c"], is_default=False, page=2)
        server.answer = lambda handler: handler.reply(400)
        with pytest.raises(Refused):
            sturdy(VpcV2API, client(server.url)).create_vpc(
                name="n", tags=["t"], enable_routing=True, enable_transitivity=False
            )
    listed, created = server.requests
    assert listed.headers["X-Auth-Token"] == SECRET_KEY
    assert listed.path.startswith("/vpc/v2/regions/fr-par/vpcs?")
    for part in ("tags=a&tags=b%26c", "is_default=false", "page=2"):
        assert part in listed.path
    assert created.headers["Content-Type"].startswith("application/json")
    assert json.loads(created.content)["tags"] == ["t"]


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (lambda h: h.reply(401, b'{"message":"authentication is denied"}'), Unauthenticated, "SCW_SECRET_KEY"),
        (lambda h: h.reply(404, b'{"message":"lbs not Found"}'), Gone, "lbs not Found"),
        (lambda h: h.reply(429, b""), Throttled, "429"),
        (lambda h: h.reply(503, b"<html>busy</html>", "text/html"), Unavailable, "503"),
        (lambda h: h.reply(500, b"["), Unavailable, "500"),
        (lambda h: h.reply(400, b"[1]"), Refused, "400"),
        # Somebody else listens at that address: his 404 does not mean that an object is gone.
        (lambda h: h.reply(404, b"<html>", "text/html; charset=utf-8"), Refused, "check SCW_API_URL"),
        (lambda h: h.reply(200, b"<html>", "text/html"), Refused, "check SCW_API_URL"),
        (lambda h: h.reply(302, b"", Location="http://127.0.0.1:9/"), Refused, "check SCW_API_URL"),
        # Nobody knows whether it happened.
        (lambda h: h.cut(b""), Unavailable, "no answer"),
        (lambda h: h.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"), Unavailable, "no answer"),
        (lambda h: h.cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"), Unavailable, "no answer"),
    ],
)
def test_answers(answer: Answer, expected: type[EngineError], words: str) -> None:
    """The class, and the words that say what to look at; never the key."""
    with serving(answer) as server:
        error = failure(server.url)
    assert type(error) is expected
    assert words in str(error)
    assert "GET /vpc/v2/regions/fr-par/vpcs" in error.message
    assert SECRET_KEY not in str(error)


def test_nobody_listens() -> None:
    """Refused connections are an API that is away."""
    error = failure(f"http://{HOST}:{free_port()}")
    assert type(error) is Unavailable
    assert "SCW_API_URL" in error.remedy


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the call and says nothing does not hold a thread for ever."""
    monkeypatch.setattr(transport, "READ_SECONDS", 0.2)
    done = threading.Event()

    def wait(handler: Handler) -> None:
        done.wait(10)

    with serving(wait) as server:
        error = failure(server.url)
        done.set()
    assert type(error) is Unavailable
    assert "no answer within" in error.message


def test_a_count_in_a_header() -> None:
    """Instance counts in a header; the SDK's types want it in the body."""
    body = json.dumps({"servers": []}).encode()
    with serving(lambda handler: handler.reply(200, body, X_Total_Count="7")) as server:
        assert sturdy(InstanceV1API, client(server.url)).list_servers().total_count == 7


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK would log headers and bodies at debug level, the key among them."""
    caplog.set_level("DEBUG")
    with serving(lambda handler: handler.reply(400, b'{"message":"no"}')) as server:
        failure(server.url)
    assert SECRET_KEY not in caplog.text
