"""Redis behind the API, met with redis-cli: who gets in and where, and what lives through changes and restarts."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.real.redis_server import Cache, access, directives
from tests.emulator.conftest import Api
from tests.emulator.real.local import eventually, listens, ok, private_network, real_emulator, shown

REDIS = "/redis/v1/zones/fr-par-1"
PASSWORD = "S3cret-pass"
CACHE = Cache(("127.16.3.5",), 6379, "app", PASSWORD, 2**30)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("redis-server"), reason="needs Linux and redis-server"
)


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        (CACHE, {"bind": "127.16.3.5", "port": "6379", "appendonly": "yes", "maxmemory": str(2**30)}),
        (replace(CACHE, settings=(("disable-save", "true"),)), {"appendonly": "no"}),
        (replace(CACHE, settings=(("maxmemory-policy", "allkeys-lru"),)), {"maxmemory-policy": "allkeys-lru"}),
        (replace(CACHE, certificate=("c", "k")), {"port": "0", "tls-port": "6379", "tls-auth-clients": "no"}),
        (replace(CACHE, addresses=("127.1.1.1", "127.1.1.2")), {"bind": "127.1.1.1 127.1.1.2"}),
    ],
)
def test_a_cluster_becomes_directives(cache: Cache, expected: dict[str, str]) -> None:
    """`disable-save` is the API's own word; all others are Redis's."""
    found = directives(cache)
    assert found | expected == found
    assert "disable-save" not in found


def test_the_acl_file_holds_no_password() -> None:
    """And the default user is off unless it is the cluster's."""
    assert PASSWORD not in access(CACHE, "own")
    assert "user default off" in access(CACHE, "own")
    assert "user default off" not in access(replace(CACHE, user="default"), "own")


@dataclass
class Site:
    """A cluster with its server."""

    api: Api
    id: str
    folder: Path
    addresses: list[str]
    port: int
    tls: bool

    @property
    def told(self) -> Any:
        """What the emulator tells of it; None while it does not serve."""
        told = shown(self.api, "caches").get(self.id)
        return told if told and told["serves"] else None

    @property
    def pid(self) -> int:
        """The process that listens."""
        return int(next(line.split(":")[1] for line in self.ask("INFO", "server").split() if "process_id" in line))

    def ask(self, *command: str, password: str = PASSWORD) -> str:
        """What the cluster's user is answered."""
        tls = ["--tls", "--insecure"] if self.tls else []
        return subprocess.run(
            [
                "redis-cli",
                *tls,
                "-h",
                self.addresses[0],
                "-p",
                str(self.port),
                "--user",
                "app",
                "--no-auth-warning",
                *command,
            ],
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": password},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        ).stdout.strip()

    def change(self, method: str, path: str, body: Any) -> None:
        """Write to the cluster."""
        ok(self.api.request(method, f"{REDIS}/clusters/{self.id}{path}", body))


@contextmanager
def site(folder: Path, **fields: Any) -> Iterator[Site]:
    """A cluster whose server answers."""
    with real_emulator(folder) as api:
        network, _ = private_network(api)
        body = {
            "name": "cache",
            "version": "8.6.3",
            "node_type": "RED1-XS",
            "user_name": "app",
            "password": PASSWORD,
            "endpoints": [{"private_network": {"id": network}}],
            "tls_enabled": False,
            **fields,
        }
        cluster = ok(api.request("POST", f"{REDIS}/clusters", body))
        [endpoint] = cluster["endpoints"]
        made = Site(api, cluster["id"], folder, endpoint["ips"], endpoint["port"], cluster["tls_enabled"])
        eventually(lambda: ok(api.request("GET", f"{REDIS}/clusters/{made.id}"))["status"] == "ready", "ready")
        assert made.ask("PING") == "PONG"
        yield made


def test_it_lets_the_user_in_and_only_on_the_private_address(tmp_path: Path) -> None:
    """Neither strangers nor administration; nothing on 127.0.0.1."""
    with site(tmp_path) as here:
        assert here.ask("SET", "key", "value") == "OK"
        assert here.ask("GET", "key") == "value"
        assert here.ask("GET", "key", password="another").startswith(("WRONGPASS", "NOAUTH"))
        assert here.ask("CONFIG", "GET", "dir").startswith("NOPERM")
        with socket.create_connection((here.addresses[0], here.port), timeout=10) as client:
            client.sendall(b"GET key\r\n")
            assert client.recv(64).startswith(b"-NOAUTH")
        assert listens(here.pid) == {(here.addresses[0], here.port)}


def test_password_and_settings_change_under_its_clients(tmp_path: Path) -> None:
    """The process stays; a setting that it only takes at its start restarts it, and the data is there again."""
    with site(tmp_path) as here:
        here.ask("SET", "key", "value")
        before = here.pid
        here.change("PATCH", "", {"password": "0ther-Secret"})
        eventually(lambda: here.told and here.ask("GET", "key", password="0ther-Secret") == "value", "new password")
        assert here.ask("GET", "key").startswith(("WRONGPASS", "NOAUTH"))
        here.change("PATCH", "", {"password": PASSWORD})
        eventually(lambda: here.told and here.ask("GET", "key") == "value", "old password")

        here.change("PUT", "/settings", {"settings": [{"name": "maxmemory-policy", "value": "allkeys-lru"}]})
        eventually(lambda: here.told and "maxmemory_policy:allkeys-lru" in here.ask("INFO", "memory"), "policy")
        assert here.pid == before

        here.change("PUT", "/settings", {"settings": [{"name": "databases", "value": "3"}]})
        eventually(lambda: here.told and here.ask("SELECT", "3").startswith("ERR"), "databases")
        assert here.pid != before
        assert "maxmemory_policy:noeviction" in here.ask("INFO", "memory")
        assert here.ask("GET", "key") == "value"


def test_tls_is_spoken_with_the_certificate_that_the_api_hands_out(tmp_path: Path) -> None:
    """Two nodes are two addresses of the same data; a renewed certificate is taken at once."""
    with site(tmp_path, tls_enabled=True, cluster_size=2) as here:
        first, second = here.addresses
        assert here.ask("SET", "key", "value") == "OK"
        assert _verified(here, second, _certificate(here)) == "value"
        old, before = _certificate(here), here.pid
        here.change("POST", "/renew-certificate", {})
        eventually(lambda: here.told and _verified(here, first, _certificate(here)) == "value", "renewed")
        assert _verified(here, first, old) != "value"
        assert here.pid == before


def _certificate(here: Site) -> str:
    content: str = ok(here.api.request("GET", f"{REDIS}/clusters/{here.id}/certificate"))["content"]
    return base64.b64decode(content).decode()


def _verified(here: Site, address: str, certificate: str) -> str:
    path = here.folder / "ca.pem"
    path.write_text(certificate)
    command = ["redis-cli", "--tls", "--cacert", str(path), "-h", address, "--user", "app", "GET", "key"]
    environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": PASSWORD}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=20, check=False
    ).stdout.strip()


def test_a_killed_server_comes_back_and_a_deleted_one_leaves_nothing(tmp_path: Path) -> None:
    """With the data of the moment before."""
    with site(tmp_path) as here:
        here.ask("SET", "key", "value")
        before, address = here.pid, (here.addresses[0], here.port)
        os.kill(before, signal.SIGKILL)
        eventually(lambda: here.told and here.ask("GET", "key") == "value" and here.pid != before, "it is back")
        ok(here.api.request("DELETE", f"{REDIS}/clusters/{here.id}"))
        eventually(lambda: here.id not in shown(here.api, "caches"), "it is gone")
        assert list((tmp_path / "real" / "caches").iterdir()) == []
        with socket.socket() as client:
            assert client.connect_ex(address) != 0


def test_it_ends_with_the_emulator_and_starts_again_with_its_data(tmp_path: Path) -> None:
    """However the emulator ended."""
    with site(tmp_path) as here:
        here.ask("SET", "key", "value")
        pid, told = here.pid, here.told
    assert not Path(f"/proc/{pid}").exists()

    command = [sys.executable, "-m", "emulator", "--port", "0", "--state", str(tmp_path / "state.db")]
    with subprocess.Popen([*command, "--real", str(tmp_path / "real")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        eventually(lambda: _caches(url).get(here.id) == told, "it is back")
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not _opens(here.addresses[0], here.port), "no process is left behind")

    with real_emulator(tmp_path) as api:
        again = replace(here, api=api)
        eventually(lambda: again.told, "it is back once more")
        assert again.ask("GET", "key") == "value"


def _opens(address: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


def _caches(url: str) -> dict[str, Any]:
    running: dict[str, Any] = requests.get(f"{url}/_emulator/real", timeout=10).json()
    return dict(running["running"]["caches"])
