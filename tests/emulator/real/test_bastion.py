"""The bastion, met with OpenSSH's client: who comes in, how far, and what a change does to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.real.bastion import Policy
from tests.emulator.conftest import Api
from tests.emulator.real.local import eventually, ok, private_network, real_emulator, shown

GW = "/vpc-gw/v2/zones/fr-par-1"
POLICY = Policy("127.224.0.1", 61000, ("127.0.0.0/24",), ("ssh-ed25519 AAAA",), ("127.16.3.0/24",))

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("ssh"), reason="needs Linux and the OpenSSH client"
)


@pytest.mark.parametrize(
    ("source", "admitted"), [("127.0.0.1", True), ("127.0.1.1", False), ("10.0.0.1", False), ("::1", False)]
)
def test_a_source_is_admitted_by_the_allowed_networks(source: str, admitted: bool) -> None:
    """An empty list lets nobody in."""
    assert POLICY.admits(source) is admitted
    assert not replace(POLICY, allowed=()).admits(source)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.16.3.9", True), ("127.16.4.9", False), ("127.0.0.1", False), ("localhost", False), ("", False)],
)
def test_a_target_is_reached_by_the_private_subnets(host: str, reached: bool) -> None:
    """Names are not looked up."""
    assert POLICY.reaches(host) is reached


@pytest.mark.parametrize(
    ("user", "key", "known"),
    [("bastion", "ssh-ed25519 AAAA", True), ("root", "ssh-ed25519 AAAA", False), ("bastion", "ssh-rsa AAAA", False)],
)
def test_a_key_is_known_for_the_one_user(user: str, key: str, known: bool) -> None:
    """As at Scaleway, nobody but `bastion` logs in."""
    assert POLICY.knows(user, key) is known


@dataclass
class Site:
    """A gateway with its bastion, in front of a private network."""

    api: Api
    gateway: Any
    network: str
    prefix: str
    folder: Path

    @property
    def bastion(self) -> Any:
        """What the emulator tells of it; None while it is closed."""
        told = shown(self.api, "bastions").get(self.gateway["id"])
        return told if told and "error" not in told else None

    def key(self, name: str) -> Path:
        """A key pair that IAM knows."""
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        ok(self.api.request("POST", "/iam/v1alpha1/ssh-keys", {"name": name, "public_key": _public(path)}))
        return path

    def ssh(self, key: Path, *arguments: str, user: str = "bastion", source: str = "127.0.0.1") -> list[str]:
        """The command that runs OpenSSH's client with the bastion's host key pinned."""
        told = self.bastion
        hosts = self.folder / "known_hosts"
        hosts.write_text(f"[{told['address']}]:{told['port']} {told['host_key']}\n")
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={hosts}", "IdentitiesOnly=yes"]
        flags = [part for option in options for part in ("-o", option)]
        target = f"{user}@{told['address']}"
        return ["ssh", "-F", "none", *flags, "-b", source, "-i", str(key), "-p", str(told["port"]), *arguments, target]

    def through(self, key: Path, host: str, port: int, sent: bytes = b"hello", **who: Any) -> bytes:
        """What a server behind the bastion answers; empty if the bastion does not lead there."""
        command = self.ssh(key, "-W", f"{host}:{port}", **who)
        return subprocess.run(command, input=sent, capture_output=True, timeout=20, check=False).stdout

    def patch(self, **fields: Any) -> None:
        """Change the gateway."""
        ok(self.api.request("PATCH", f"{GW}/gateways/{self.gateway['id']}", fields))

    def allow(self, *ranges: str) -> None:
        """Set who may connect."""
        path = f"{GW}/gateways/{self.gateway['id']}/bastion-allowed-ips"
        ok(self.api.request("PUT", path, {"ip_ranges": list(ranges)}))


def _public(key: Path) -> str:
    return key.with_suffix(".pub").read_text()


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A gateway whose bastion listens."""
    with real_emulator(folder) as api:
        network, prefix = private_network(api)
        body = {"name": "gw", "type": "VPC-GW-S", "enable_bastion": True, "enable_smtp": False}
        gateway = ok(api.request("POST", f"{GW}/gateways", body))
        eventually(lambda: ok(api.request("GET", f"{GW}/gateways/{gateway['id']}"))["status"] == "running", "running")
        link = {"gateway_id": gateway["id"], "private_network_id": network}
        ok(api.request("POST", f"{GW}/gateway-networks", link))
        made = Site(api, gateway, network, prefix, folder)
        eventually(lambda: made.bastion, "the bastion listens")
        yield made


@contextmanager
def echo(host: str) -> Iterator[int]:
    """A server that sends back what it gets, on a port of its own."""
    with socket.create_server((host, 0)) as server:

        def serve(client: socket.socket) -> None:
            with client:
                while data := client.recv(65536):
                    client.sendall(data)

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_it_leads_into_the_private_network_and_nowhere_else(tmp_path: Path) -> None:
    """No shell, no command, no listening, no target outside; only known keys, only the user `bastion`."""
    with site(tmp_path) as here, echo(f"{here.prefix}.7") as port, echo("127.0.0.1") as outside:
        key = here.key("ops")
        assert here.through(key, f"{here.prefix}.7", port) == b"hello"
        assert here.through(key, "127.0.0.1", outside) == b""
        assert here.through(key, f"{here.prefix}.7", port, user="root") == b""

        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
        assert here.through(tmp_path / "other", f"{here.prefix}.7", port) == b""

        shell = subprocess.run([*here.ssh(key), "id"], capture_output=True, text=True, timeout=20, check=False)
        assert (shell.returncode != 0, shell.stdout) == (True, "")
        listening = here.ssh(key, "-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
        refused = subprocess.run(listening, capture_output=True, text=True, timeout=20, check=False)
        assert "remote port forwarding failed" in refused.stderr


def test_many_sessions_and_large_transfers_go_through_whole(tmp_path: Path) -> None:
    """Twelve at once, each with two megabytes there and back."""
    sent = os.urandom(2_000_000)
    with site(tmp_path) as here, echo(f"{here.prefix}.7") as port, ThreadPoolExecutor(12) as pool:
        command = here.ssh(here.key("ops"), "-W", f"{here.prefix}.7:{port}")

        def transfer(_: int) -> tuple[bytes, bool]:
            done = subprocess.run(command, input=sent, capture_output=True, timeout=20, check=False)
            return done.stderr, done.stdout == sent

        assert list(pool.map(transfer, range(12))) == [(b"", True)] * 12


def test_allowed_addresses_are_a_firewall(tmp_path: Path) -> None:
    """Others get no word, not even the server's banner; a change needs no new connection to the API's port."""
    with site(tmp_path) as here, echo(f"{here.prefix}.7") as port:
        key = here.key("ops")
        here.allow("127.0.0.9/32")
        target = (here.bastion["address"], here.bastion["port"])
        eventually(lambda: _greeting(target, "127.0.0.1") == b"", "others are dropped")
        assert _greeting(target, "127.0.0.9").startswith(b"SSH-2.0-")
        assert here.through(key, f"{here.prefix}.7", port, source="127.0.0.9") == b"hello"
        assert here.through(key, f"{here.prefix}.7", port, source="127.0.0.1") == b""

        here.allow("127.0.0.0/8")
        eventually(lambda: _greeting(target, "127.0.0.1") != b"", "all are let in")


def _greeting(target: tuple[str, int], source: str) -> bytes:
    with socket.create_connection(target, timeout=10, source_address=(source, 0)) as client:
        try:
            return client.recv(64)
        except ConnectionResetError:
            return b""


def test_keys_follow_those_of_the_project(tmp_path: Path) -> None:
    """A key that is disabled, or of another project, opens nothing."""
    with site(tmp_path) as here, echo(f"{here.prefix}.7") as port:
        key = here.key("ops")
        assert here.through(key, f"{here.prefix}.7", port) == b"hello"
        [known] = ok(here.api.request("GET", "/iam/v1alpha1/ssh-keys"))["ssh_keys"]
        ok(here.api.request("PATCH", f"/iam/v1alpha1/ssh-keys/{known['id']}", {"disabled": True}))
        eventually(lambda: here.through(key, f"{here.prefix}.7", port) == b"", "a disabled key")
        ok(here.api.request("PATCH", f"/iam/v1alpha1/ssh-keys/{known['id']}", {"disabled": False}))
        eventually(lambda: here.through(key, f"{here.prefix}.7", port) == b"hello", "an enabled key")


def test_the_port_is_open_while_the_bastion_is_enabled(tmp_path: Path) -> None:
    """Off, on another port, off with its gateway; a running session ends with it."""
    with site(tmp_path) as here, echo(f"{here.prefix}.7") as port:
        key = here.key("ops")
        told = here.bastion
        with subprocess.Popen(
            here.ssh(key, "-W", f"{here.prefix}.7:{port}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as session:
            assert session.stdin
            assert session.stdout
            session.stdin.write(b"x")
            session.stdin.flush()
            assert session.stdout.read(1) == b"x"
            here.patch(enable_bastion=False)
            session.wait(20)
        eventually(lambda: not _opens(told["address"], told["port"]), "off")

        here.patch(enable_bastion=True, bastion_port=61001)
        eventually(lambda: here.bastion and here.bastion["port"] == 61001, "on, elsewhere")
        assert here.bastion["fingerprint"] == told["fingerprint"]
        assert here.through(key, f"{here.prefix}.7", port) == b"hello"

        ok(here.api.request("DELETE", f"{GW}/gateways/{here.gateway['id']}"))
        eventually(lambda: not _opens(told["address"], 61001), "gone")
        eventually(lambda: list((tmp_path / "real" / "bastions").iterdir()) == [], "the host key is gone")


def _opens(address: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


def test_a_killed_emulator_comes_back_with_the_same_host_key(tmp_path: Path) -> None:
    """The port goes with the process; another one opens it again, and the pinned key still fits."""
    with site(tmp_path) as here:
        told, gateway_id = here.bastion, here.gateway["id"]
    command = [sys.executable, "-m", "emulator", "--port", "0", "--state", str(tmp_path / "state.db")]
    for _ in range(2):
        with subprocess.Popen(
            [*command, "--real", str(tmp_path / "real")], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            url = process.stdout.readline().split()[-1]
            eventually(partial(_same, url, gateway_id, told["host_key"]), "it is back")
            process.send_signal(signal.SIGKILL)
        assert not _opens(told["address"], told["port"])


def _same(url: str, gateway_id: str, host_key: str) -> bool:
    told = requests.get(f"{url}/_emulator/real", timeout=10).json()["running"]["bastions"]
    return bool(told.get(gateway_id, {}).get("host_key") == host_key)
