"""Load balancers that are real: what clients meet, what the API tells, and what a change of configuration costs."""

from __future__ import annotations

import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from emulator.real.haproxy.follower import LoadBalancers
from emulator.world import World
from tests.emulator.conftest import Api
from tests.emulator.real.haproxy_servers import Loop, Server, Sockets, under_load
from tests.emulator.real.local import eventually, ok, real_emulator, shown
from tests.emulator.test_lb import pem_chain

LB = "/lb/v1/zones/fr-par-1"
CHECK = {
    "port": 3000,
    "check_delay": 1000,
    "check_max_retries": 1,
    "transient_check_delay": "0.100s",
    "http_config": {"uri": "/healthz"},
}


def _obstacle(folder: Path) -> str | None:
    return LoadBalancers(World(), folder).obstacle()


@pytest.fixture(autouse=True)
def possible(tmp_path: Path) -> None:
    """Skip where HAProxy is absent or port 80 is for others."""
    if sys.platform != "linux":
        pytest.skip("only Linux has all of 127.0.0.0/8")
    if reason := _obstacle(tmp_path / "probe"):
        pytest.skip(reason)


class Balancer:
    """A load balancer with a backend and a frontend on port 80.

    Args:
        api: of the emulator.
        pool: addresses of its servers.
        fields: of the backend.
    """

    def __init__(self, api: Api, pool: list[str], **fields: Any) -> None:
        self.api = api
        lb = ok(api.request("POST", f"{LB}/lbs", {"name": "front", "type": "LB-S"}))
        self.id, self.address, self.name = lb["id"], lb["ip"][0]["ip_address"], lb["ip"][0]["reverse"]
        self.url = f"http://{self.address}/"
        ok(api.request("GET", f"{LB}/lbs/{self.id}"))
        self.settings = {"name": "web", "forward_protocol": "http", "forward_port": 3000, **fields}
        body = {"health_check": CHECK, **self.settings, "server_ip": pool}
        self.backend = ok(api.request("POST", f"{LB}/lbs/{self.id}/backends", body))["id"]
        self.frontend = self.listen(80)
        self.applied()

    def listen(self, port: int, **fields: Any) -> str:
        """Another frontend; its id."""
        body = {"name": f"on-{port}", "inbound_port": port, "backend_id": self.backend, **fields}
        return str(ok(self.api.request("POST", f"{LB}/lbs/{self.id}/frontends", body))["id"])

    def instances(self) -> list[Any]:
        """As the API tells them."""
        found: list[Any] = ok(self.api.request("GET", f"{LB}/lbs/{self.id}"))["instances"]
        return found

    def applied(self) -> None:
        """Wait for all instances to have the last configuration."""
        eventually(lambda: all(each["status"] == "ready" for each in self.instances()), "applied")

    def servers(self, *pool: str) -> None:
        """Set the pool, and wait until it is applied."""
        ok(self.api.request("PUT", f"{LB}/backends/{self.backend}/servers", {"server_ip": list(pool)}))
        self.applied()

    def update(self, **fields: Any) -> None:
        """Change the backend, and wait until it is applied."""
        ok(self.api.request("PUT", f"{LB}/backends/{self.backend}", {**self.settings, **fields}))
        self.applied()

    def health(self) -> dict[str, tuple[str, str]]:
        """State and last check of each server."""
        rows = ok(self.api.request("GET", f"{LB}/lbs/{self.id}/backend-stats"))["backend_servers_stats"]
        return {row["ip"]: (row["server_state"], row["last_health_check_status"]) for row in rows}

    def becomes(self, **expected: tuple[str, str]) -> None:
        """Wait until the servers are like this; `a`, `b` stand for the first, second of the pool."""
        eventually(lambda: dict(zip("ab", self.health().values(), strict=False)) == expected, f"{expected}")

    def shown(self) -> Any:
        """What the follower tells of it; None if it has none."""
        return shown(self.api, "load balancers")["balancers"].get(self.id)

    def workers(self) -> list[int]:
        """Process ids of HAProxy's workers."""
        return [child.pid for child in psutil.Process(self.shown()["pid"]).children() if alive(child.pid)]

    def asked(self, times: int, **options: Any) -> list[str]:
        """Who answers that many new connections."""
        return [requests.get(self.url, timeout=10, **options).text for _ in range(times)]


@contextmanager
def sockets_of(balancer: Balancer, count: int) -> Iterator[Sockets]:
    """That many WebSockets, while the block runs."""
    sockets = Sockets(balancer.url, count)
    try:
        sockets.connect()
        yield sockets
    finally:
        sockets.close()


WELL, DOWN = ("running", "passed"), ("stopped", "failed")


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def accepts(address: str, port: int = 80) -> bool:
    """Whether something listens."""
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """Two servers that run, at addresses of their own."""
    loop = Loop()
    prefix = f"127.{random.randrange(64, 192)}.{random.randrange(256)}"
    servers = (Server(loop, f"{prefix}.5"), Server(loop, f"{prefix}.6"))
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()
    loop.close()


@contextmanager
def balanced(folder: Path, *servers: Server, **fields: Any) -> Iterator[Balancer]:
    """An emulator with a load balancer before these servers, all of them well."""
    with real_emulator(folder) as api:
        balancer = Balancer(api, [server.address for server in servers], **fields)
        balancer.becomes(**dict.fromkeys("ab"[: len(servers)], WELL))
        yield balancer


def test_requests_take_turns_and_tell_of_the_client(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """Round robin; servers learn the client's address and protocol."""
    with balanced(tmp_path, *pair) as balancer:
        answers = balancer.asked(6)
        assert {answer: answers.count(answer) for answer in answers} == {server.address: 3 for server in pair}
        assert pair[0].headers["X-Forwarded-For"].startswith("127.")
        assert pair[0].headers["X-Forwarded-Proto"] == "http"


def test_a_cookie_keeps_a_client_with_its_server(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """Until that server leaves the pool."""
    sticky = {"sticky_sessions": "cookie", "sticky_sessions_cookie_name": "SRVID"}
    with balanced(tmp_path, *pair, **sticky) as balancer:
        client = requests.Session()
        answers = {client.get(balancer.url, timeout=10).text for _ in range(6)}
        assert len(answers) == 1
        assert set(balancer.asked(4)) == {server.address for server in pair}
        [left] = {server.address for server in pair} - answers
        balancer.servers(left)
        # An open connection gets one more answer of the former worker, which closes it then.
        client.close()
        assert {client.get(balancer.url, timeout=10).text for _ in range(4)} == {left}


def test_acls_refuse_and_redirect(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """The one with the lowest index is asked first."""
    redirect = {"type": "redirect", "redirect": {"type": "scheme", "target": "https", "code": 301}}
    acls = [
        {"name": "all", "index": 2, "action": redirect},
        {
            "name": "admin",
            "index": 1,
            "action": {"type": "deny"},
            "match": {"http_filter": "path_begin", "http_filter_value": ["/admin"]},
        },
    ]
    with balanced(tmp_path, *pair) as balancer:
        ok(balancer.api.request("PUT", f"{LB}/frontends/{balancer.frontend}/acls", {"acls": acls}))
        balancer.applied()
        answer = requests.get(f"{balancer.url}a?b=c", allow_redirects=False, timeout=10)
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{balancer.address}/a?b=c")
        assert requests.get(f"{balancer.url}admin", allow_redirects=False, timeout=10).status_code == 403


def handshake(balancer: Balancer, name: str, *, trusted: str | None = None) -> tuple[list[str], str | None]:
    """The names of the certificate that is shown for a name, and the protocol agreed on."""
    context = ssl.create_default_context(cafile=trusted or shown(balancer.api, "load balancers")["authority"])
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((balancer.address, 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        certificate: Any = secure.getpeercert()
        return [value for _, value in certificate["subjectAltName"]], secure.selected_alpn_protocol()


def test_tls_shows_the_certificate_of_the_name(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """Issued by the authority of the folder for names that lead here, or brought along."""
    with balanced(tmp_path, *pair) as balancer:
        path, name = f"{LB}/lbs/{balancer.id}/certificates", balancer.name
        orders = [
            {"letsencrypt": {"common_name": name, "subject_alternative_name": [f"www.{name}"]}},
            {"letsencrypt": {"common_name": f"b.{name}"}},
            {"custom_certificate": {"certificate_chain": (chain := pem_chain("brought.example"))}},
        ]
        made = [ok(balancer.api.request("POST", path, order))["id"] for order in orders]
        astray = {"letsencrypt": {"common_name": name, "subject_alternative_name": ["elsewhere.example"]}}
        failed = ok(balancer.api.request("POST", path, astray))["id"]
        assert ok(balancer.api.request("GET", f"{LB}/certificates/{failed}"))["status"] == "error"
        balancer.listen(443, certificate_ids=made)
        balancer.applied()

        assert handshake(balancer, f"www.{name}") == ([name, f"www.{name}"], "h2")
        assert handshake(balancer, f"b.{name}") == ([f"b.{name}"], "h2")
        own = tmp_path / "own.pem"
        own.write_text(chain)
        assert handshake(balancer, "brought.example", trusted=str(own))[0] == ["brought.example"]
        folder = Path(balancer.shown()["configuration"]).parent / "certificates"
        assert {each.stem for each in folder.iterdir()} == set(made)
        shown_one = ok(balancer.api.request("GET", f"{LB}/certificates/{made[0]}"))
        assert len(shown_one["fingerprint"]) == 40


def test_a_server_that_fails_its_check_gets_nothing_and_the_statistics_say_so(
    tmp_path: Path, pair: tuple[Server, Server]
) -> None:
    """And it is back after checks that pass."""
    with balanced(tmp_path, *pair) as balancer:
        pair[0].well = False
        balancer.becomes(a=DOWN, b=WELL)
        assert set(balancer.asked(6)) == {pair[1].address}
        pair[0].well = True
        balancer.becomes(a=WELL, b=WELL)
        assert set(balancer.asked(6)) == {server.address for server in pair}


def test_a_reload_keeps_what_the_checks_found(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """A server that is down does not get requests until the new worker has found it out anew."""
    check = {**CHECK, "check_delay": 20_000, "transient_check_delay": "20s"}
    with balanced(tmp_path, *pair) as balancer:
        pair[0].stop()
        balancer.becomes(a=DOWN, b=WELL)
        ok(balancer.api.request("PUT", f"{LB}/backends/{balancer.backend}/healthcheck", check))
        balancer.applied()
        balancer.update(max_retries=0, timeout_server=9000)
        assert set(balancer.asked(8)) == {pair[1].address}
        assert balancer.health()[pair[0].address] == DOWN
        pair[0].start()


def test_changes_of_the_pool_lose_no_request_and_cut_no_websocket(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """Under load, each server leaves the pool and comes back; sockets stay with the server that left."""
    first, second = (server.address for server in pair)
    with balanced(tmp_path, *pair) as balancer, sockets_of(balancer, 4) as sockets, under_load(balancer.url) as load:
        assert sorted(sockets.ask()) == [first, first, second, second]
        for pool in ([second], [first, second], [first], [second, first]) * 2:
            balancer.servers(*pool)
            seen = len(load.answers)
            assert set(balancer.asked(8)) == set(pool)
            eventually(lambda: len(load.answers) > seen + 30, "load")  # noqa: B023
        assert sorted(sockets.ask()) == [first, first, second, second]
    assert load.failures == []
    assert len(load.answers) > 300
    assert {answer for _, answer in load.answers} == {first, second}


def test_a_long_answer_outlives_a_reload(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """It goes on in the old worker, which ends after it."""
    with balanced(tmp_path, *pair) as balancer:
        [worker] = balancer.workers()
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(requests.get, f"{balancer.url}?slow=1.5", timeout=10)
            eventually(lambda: any(server.busy for server in pair), "asked")
            balancer.servers(pair[0].address)
            assert worker in balancer.workers()
            assert asked.result().text in {server.address for server in pair}
        eventually(lambda: worker not in balancer.workers(), "the old worker ends")


def test_retries_cover_a_server_that_is_away_for_a_moment(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """The only one of the pool: requests wait, and none is lost."""
    # Three checks have to fail before it counts as down: until then there is something to try again.
    patient = {**CHECK, "check_max_retries": 3, "transient_check_delay": "1s"}
    with balanced(tmp_path, pair[0], max_retries=8, timeout_connect=200, health_check=patient) as balancer:
        with under_load(balancer.url) as load:
            eventually(lambda: len(load.answers) > 50, "load")
            pair[0].stop()
            time.sleep(0.3)
            pair[0].start()
            seen = len(load.answers)
            eventually(lambda: len(load.answers) > seen + 100, "load")
        assert load.failures == []
        assert max(load.waits) > 0.2


def test_instances_are_ready_once_the_configuration_is_applied_and_only_then(
    tmp_path: Path, pair: tuple[Server, Server]
) -> None:
    """What changes nothing for HAProxy is applied without a reload."""
    with balanced(tmp_path, *pair) as balancer:
        [before], workers = balancer.instances(), balancer.workers()
        balancer.update(name="renamed")
        [after] = balancer.instances()
        assert after["updated_at"] > before["updated_at"]
        assert balancer.workers() == workers
        balancer.update(timeout_server=7000)
        [last] = balancer.instances()
        assert last["updated_at"] > after["updated_at"]
        assert "timeout server 7000ms" in Path(balancer.shown()["configuration"]).read_text()
        eventually(lambda: set(balancer.workers()).isdisjoint(workers), "another worker")


def test_what_haproxy_refuses_is_an_error_and_what_ran_runs_on(tmp_path: Path, pair: tuple[Server, Server]) -> None:
    """It is applied once the documents are right again."""
    wrong = {
        "name": "wrong",
        "index": 1,
        "action": {"type": "deny"},
        "match": {"http_filter": "regex", "http_filter_value": ["("]},
    }
    with balanced(tmp_path, *pair) as balancer:
        acl = ok(balancer.api.request("POST", f"{LB}/frontends/{balancer.frontend}/acls", wrong))["id"]
        eventually(lambda: {each["status"] for each in balancer.instances()} == {"error"}, "refused")
        assert "regex" in balancer.shown()["error"]
        assert set(balancer.asked(4)) == {server.address for server in pair}
        ok(balancer.api.request("DELETE", f"{LB}/acls/{acl}"))
        balancer.applied()
        assert balancer.shown()["error"] is None


def test_processes_that_die_are_started_again_and_a_deleted_one_is_gone(
    tmp_path: Path, pair: tuple[Server, Server]
) -> None:
    """A worker, a master, and in the end all of it."""
    with balanced(tmp_path, *pair) as balancer:
        for kind in ("worker", "master"):
            former = [balancer.shown()["pid"], *balancer.workers()]
            os.kill(former[0 if kind == "master" else 1], signal.SIGKILL)
            eventually(lambda: not any(alive(pid) for pid in former), "ended")  # noqa: B023
            eventually(lambda: balancer.shown()["applied"] and accepts(balancer.address), "again")
            eventually(lambda: balancer.health() == dict.fromkeys((pair[0].address, pair[1].address), WELL), "well")
            assert set(balancer.asked(4)) == {server.address for server in pair}
        master, folder = balancer.shown()["pid"], Path(balancer.shown()["configuration"]).parent
        ok(balancer.api.request("DELETE", f"{LB}/lbs/{balancer.id}"))
        eventually(lambda: balancer.shown() is None, "gone")
        assert not alive(master)
        assert not accepts(balancer.address)
        assert not folder.exists()


def test_an_emulator_that_is_stopped_or_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    """And the next one on the same state starts it again."""
    for ending in (signal.SIGKILL, signal.SIGTERM):
        with _emulator(tmp_path) as (process, api):
            known = api.request("GET", f"{LB}/lbs")[1]["lbs"]
            if not known:
                Balancer(api, ["127.64.0.5"])
                known = api.request("GET", f"{LB}/lbs")[1]["lbs"]
            address = known[0]["ip"][0]["ip_address"]
            eventually(lambda: accepts(address), "listens")  # noqa: B023
            master = shown(api, "load balancers")["balancers"][known[0]["id"]]["pid"]
            processes = [master, *(child.pid for child in psutil.Process(master).children())]
            process.send_signal(ending)
            process.wait(10)
        eventually(lambda: not any(alive(pid) for pid in processes), "ended")  # noqa: B023
        assert not accepts(address)


class Remote:
    """Just enough of an emulator of another process for `Api`."""

    def __init__(self, url: str) -> None:
        self.url = url


@contextmanager
def _emulator(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Api]]:
    """The emulator as people start it, on a free port."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--state", str(folder / "state.db")]
    with subprocess.Popen([*command, "--real", str(folder / "real")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        try:
            yield process, Api(Remote(url))  # type: ignore[arg-type]
        finally:
            process.kill()


def test_an_obstacle_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HAProxy on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _obstacle(tmp_path) == "load balancers need HAProxy: apt-get install haproxy"
