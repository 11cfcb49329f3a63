"""The API server: its routes, and how it stops without losing anything."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import requests

from tests.sample.conftest import HOST, RELEASE, Program, listens, wait

Start = Callable[..., Program]


def url(api: Program, path: str) -> str:
    """The address of a route."""
    return f"http://{HOST}:{api.port}{path}"


def in_flight(api: Program, path: str) -> http.client.HTTPConnection:
    """A request that the server has read and not answered yet."""
    connection = http.client.HTTPConnection(HOST, api.port, timeout=10)
    connection.request("GET", path)
    # The server reads in the order of arrival.
    requests.get(url(api, "/healthz"), timeout=5).raise_for_status()
    return connection


def test_routes_without_services(start_api: Start) -> None:
    """Everything that needs no service works; the rest says 503; each answer names the release."""
    api = start_api()
    table = [
        ("GET", "/healthz", None, 200, {"status": "ok", "release": RELEASE}),
        ("GET", "/rest/release", None, 200, {"release": RELEASE}),
        ("GET", "/rest/slow?seconds=0.01", None, 200, {"release": RELEASE, "seconds": 0.01}),
        ("GET", "/rest/slow?seconds=1000", None, 422, None),
        ("POST", "/rest/jobs", {}, 503, {"error": "not available: SQS_QUEUE_URL is not set"}),
        ("GET", "/rest/jobs/1", None, 503, {"error": "not available: DATABASE_URL is not set"}),
        ("GET", "/rest/visits", None, 503, {"error": "not available: REDIS_URL is not set"}),
        (
            "POST",
            "/graphql",
            {"query": '{ release echo(text: "a") }'},
            200,
            {"data": {"release": RELEASE, "echo": "a"}},
        ),
        ("GET", "/absent", None, 404, None),
    ]
    for method, path, sent, status, body in table:
        answer = requests.request(method, url(api, path), json=sent, timeout=5)
        assert (path, answer.status_code, answer.headers["X-Release"]) == (path, status, RELEASE)
        assert body is None or answer.json() == body


def test_echo_is_exact(start_api: Start) -> None:
    """A body comes back as it is, with its media type."""
    body = bytes(range(256)) * 64
    for media in ("application/octet-stream", "application/json"):
        answer = requests.post(url(start_api(), "/rest/echo"), body, headers={"Content-Type": media}, timeout=5)
        assert (answer.content, answer.headers["Content-Type"]) == (body, media)


def test_listens_on_its_own_address_only(start_api: Start) -> None:
    """Machines of a rehearsal share a network: a neighbour's address must stay free."""
    api = start_api()
    assert listens(HOST, api.port)
    assert not listens("127.45.0.9", api.port)


def test_release_is_the_commit_outside_of_a_deployment(release: Path, start: Start, tmp_path: Path) -> None:
    """Without REVISION git knows it, and without git it is dev."""
    shutil.copytree(release / "src", tmp_path / "src")

    def told() -> str:
        say = 'import { release } from "./src/release.ts"; console.log(release)'
        program = start("--eval", say, folder=tmp_path)
        program.ended()
        return program.said.strip()

    assert told() == "dev"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "a"], cwd=tmp_path, check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert told() == commit.strip()


def test_stop_answers_what_is_in_flight(start_api: Start) -> None:
    """A slow request gets its answer though the listener has closed meanwhile, and the process ends well after it."""
    api = start_api()
    slow = in_flight(api, "/rest/slow?seconds=1.5")
    api.ask_to_stop()
    wait(lambda: not listens(HOST, api.port))
    assert api.process.poll() is None
    answer = slow.getresponse()
    assert (answer.status, answer.headers["Connection"], bool(answer.read())) == (200, "close", True)
    assert api.ended() == 0
    assert "SIGTERM: 1 requests and 0 sockets are open" in api.said


def test_stop_serves_open_connections_a_last_time(start_api: Start) -> None:
    """A balancer may be sending on a kept connection: it is answered, told to close, and only then closed."""
    api = start_api(LINGER_MS="2000")
    kept = [http.client.HTTPConnection(HOST, api.port, timeout=5) for _ in range(8)]
    for connection in kept:
        connection.request("GET", "/rest/release")
        answer = connection.getresponse()
        answer.read()
        assert answer.headers["Connection"] != "close"
    api.ask_to_stop()
    wait(lambda: "SIGTERM" in api.said)
    paths = ["/rest/release", "/healthz", "/absent", "/rest/visits", "/graphql?query={release}"]
    for connection, path in zip(kept, paths, strict=False):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (path, answer.headers["Connection"]) == (path, "close")
        assert answer.read()
    assert api.ended() == 0


def test_stop_closes_sockets_as_going_away(start_api: Start) -> None:
    """Clients are told 1001, not all at once, and none keeps the process from ending."""
    api = start_api(WS_CLOSE_WINDOW_MS="600")

    async def scenario() -> list[float]:
        async with aiohttp.ClientSession() as session:
            sockets = [await session.ws_connect(url(api, "/ws")) for _ in range(20)]
            for socket in sockets:
                assert await socket.receive_json(timeout=5) == {"release": RELEASE}
                await socket.send_str("hello")
                assert await socket.receive_str(timeout=5) == "hello"
            loop = asyncio.get_running_loop()
            api.ask_to_stop()

            async def closed(socket: aiohttp.ClientWebSocketResponse) -> float:
                message = await socket.receive(timeout=10)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
                return loop.time()

            return sorted(await asyncio.gather(*map(closed, sockets)))

    times = asyncio.run(scenario())
    assert times[-1] - times[0] > 0.1
    assert api.ended() == 0
    assert "cut after" not in api.said


def test_grace_ends_what_never_ends(start_api: Start) -> None:
    """A request that outlasts the grace is cut, and the process still ends well."""
    api = start_api(GRACE_MS="800")
    slow = in_flight(api, "/rest/slow?seconds=60")
    api.ask_to_stop()
    assert api.ended() == 0
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        slow.getresponse()
    assert "cut after 800 ms: 1 requests and 0 sockets" in api.said


def test_successor_takes_the_port_over(start_api: Start, tmp_path: Path) -> None:
    """The next process listens before the last one stops: requests on new connections find one of them at any time."""
    env = {"RUNTIME_DIRECTORY": str(tmp_path)}
    first = start_api(**env)
    failures: list[Exception] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            try:
                requests.get(url(first, "/rest/release"), timeout=5).raise_for_status()
            except requests.RequestException as error:
                failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    second = start_api(PORT=str(first.port), **env)
    assert first.ended() == 0
    enough.set()
    asking.join()
    assert failures == []
    assert (tmp_path / "api.pid").read_text().strip() == str(second.process.pid)
    assert listens(HOST, first.port)


def test_new_connections_come_to_the_successor_alone(start_api: Start, tmp_path: Path) -> None:
    """While both listen, in every generation: nothing waits at the old listener when it closes."""
    env = {"RUNTIME_DIRECTORY": str(tmp_path), "LINGER_MS": "1500"}
    old = start_api(**env)
    for _ in range(2):
        new = start_api(PORT=str(old.port), **env)
        wait(lambda old=old: "SIGTERM" in old.said)  # type: ignore[misc]
        answers = [requests.get(url(new, "/healthz"), timeout=5) for _ in range(60)]
        # The old one would tell its clients to close.
        assert {answer.headers.get("Connection") for answer in answers} == {None}
        assert "stopped" not in old.said
        assert old.ended() == 0
        old = new


def test_another_program_with_the_old_process_id_is_left_alone(start: Start, start_api: Start, tmp_path: Path) -> None:
    """Process ids come round again."""
    other = start("--eval", "console.log('up'); setInterval(() => {}, 1000)")
    wait(lambda: "up" in other.said)
    (tmp_path / "api.pid").write_text(str(other.process.pid))
    start_api(RUNTIME_DIRECTORY=str(tmp_path))
    assert other.process.poll() is None


def test_a_stopped_service_ends_after_its_server(start_api: Start) -> None:
    """`systemctl stop` returns when every request is answered."""
    service = start_api("src/service.ts")
    slow = in_flight(service, "/rest/slow?seconds=1")
    service.ask_to_stop()
    assert service.ended() == 0
    assert slow.getresponse().status == 200
    assert not listens(HOST, service.port)


def test_a_server_left_alone_goes_on_and_ends_by_itself(start_api: Start) -> None:
    """Its service was killed and no successor comes: clients are served for a while, then it ends in order."""
    service = start_api("src/service.ts", HANDOVER_MS="1000")
    service.process.kill()
    service.ended()
    assert requests.get(url(service, "/healthz"), timeout=5).ok
    wait(lambda: not listens(HOST, service.port))
    wait(lambda: "no successor came" in service.said)
    wait(lambda: "stopped" in service.said)


def test_graphql_refuses_without_a_database(start_api: Start) -> None:
    """An error in GraphQL's own shape."""
    query = json.dumps({"query": '{ jobs(since: "2026-01-01") { id times } }'})
    answer = requests.post(url(start_api(), "/graphql"), query, headers={"Content-Type": "application/json"}, timeout=5)
    assert answer.json()["errors"]
