"""Instances are real machines: they boot, are told apart, take instructions, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.real.machines.follower import Machines
from tests.emulator.conftest import Api
from tests.emulator.real.local import eventually, ok, private_network, real_emulator, shown

OBSTACLE = Machines(Path("/nowhere")).obstacle()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")

SERVERS = "/instance/v1/zones/fr-par-1/servers"
CLOUD_CONFIG = """\
#cloud-config
hostname: node-01
users:
  - name: lssm
    groups: users
    sudo: ALL=(ALL) NOPASSWD:ALL
write_files:
  - {path: /etc/lssm/note, content: "hello", permissions: "0640", owner: "root:lssm"}
runcmd:
  - echo ran >>/root/ran
  - [touch, "/root/a file"]
"""


@dataclass(frozen=True)
class Login:
    """A way into the machines of a test.

    Attributes:
        key: private key file.
    """

    key: Path

    def run(self, address: str, command: str, *more: str) -> subprocess.CompletedProcess[str]:
        """A command on a machine, as root."""
        options = ["-i", str(self.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=2", "-o", "BatchMode=yes", *more]
        return subprocess.run(
            ["ssh", *options, f"root@{address}", command], capture_output=True, text=True, check=False, timeout=30
        )

    def says(self, address: str, command: str) -> str:
        """What a command prints, once the machine lets us in."""
        done = eventually(
            lambda: (run := self.run(address, command)).returncode == 0 and run, f"{command} at {address}"
        )
        assert done
        return done.stdout.strip()


@pytest.fixture
def login(tmp_path: Path) -> Login:
    """A fresh key."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return Login(key)


@pytest.fixture
def api(tmp_path: Path, login: Login) -> Iterator[Api]:
    """An emulator whose project has the key."""
    with real_emulator(tmp_path) as running:
        body = {"name": "test", "public_key": Path(f"{login.key}.pub").read_text()}
        ok(running.request("POST", "/iam/v1alpha1/ssh-keys", body))
        yield running


def server(api: Api, name: str, network: str, user_data: str = "") -> str:
    """A server that is switched on; its id."""
    body = {"name": name, "commercial_type": "DEV1-M", "image": "debian_bookworm"}
    server_id: str = ok(api.request("POST", SERVERS, body))["server"]["id"]
    ok(api.request("POST", f"{SERVERS}/{server_id}/private_nics", {"private_network_id": network}))
    if user_data:
        url, kind = f"{api.url}{SERVERS}/{server_id}/user_data/cloud-init", {"Content-Type": "text/plain"}
        assert api.session.patch(url, data=user_data, headers=kind, timeout=10).status_code == 204
    act(api, server_id, "poweron")
    return server_id


def act(api: Api, server_id: str, action: str) -> None:
    """An action on a server."""
    assert api.request("POST", f"{SERVERS}/{server_id}/action", {"action": action})[0] == 202


def until(api: Api, server_id: str, state: str) -> dict[str, Any]:
    """The machine, once it is so."""

    def look() -> Any:
        machine = shown(api, "machines").get(server_id)
        return machine if machine and machine["state"] == state else None

    return dict(eventually(look, f"machine is {state}"))


def test_a_server_boots_as_its_user_data_says(api: Api, login: Login) -> None:
    """Host name, users, files, commands; its own address and its own systemd."""
    network, _ = private_network(api)
    machine = until(api, server(api, "node-01", network, CLOUD_CONFIG), "up")
    address = machine["address"]

    assert login.says(address, "cloud-init status --wait") == "status: done"
    assert login.says(address, "hostname; cat /etc/hostname") == "node-01\nnode-01"
    assert login.says(address, "systemctl is-system-running") in ("running", "starting")
    assert login.says(address, "cat /etc/lssm/note; stat -c '%a %U %G' /etc/lssm/note") == "hello640 root lssm"
    assert login.says(address, "id -nG lssm") == "lssm users"
    assert login.says(address, "sudo -u lssm sudo -n id -un") == "root"
    assert login.says(address, "cat /root/ran; ls '/root/a file'") == "ran\n/root/a file"
    assert login.says(address, "bun --version")


def test_its_host_key_is_the_one_that_it_publishes(api: Api, login: Login, tmp_path: Path) -> None:
    """That is how whoever connects knows that it is the machine."""
    network, _ = private_network(api)
    server_id = server(api, "node-01", network)
    address = until(api, server_id, "up")["address"]
    told = api.session.get(f"{api.url}{SERVERS}/{server_id}/user_data/ssh-host-fingerprints", timeout=10)

    scanned = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", address], capture_output=True, text=True, check=True
    ).stdout
    (tmp_path / "scanned").write_text(scanned)
    seen = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "scanned"], capture_output=True, text=True, check=True
    ).stdout
    assert seen.split()[1] in told.text
    assert "(ED25519)" in told.text


def test_reboot_and_power_keep_the_disk_and_the_first_boot(api: Api, login: Login) -> None:
    """The first boot is the first one only."""
    network, _ = private_network(api)
    server_id = server(api, "node-01", network, CLOUD_CONFIG)
    address = until(api, server_id, "up")["address"]
    login.says(address, "cloud-init status --wait")
    before = login.says(address, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1; touch /root/kept")
    first = until(api, server_id, "up")["pid"]

    act(api, server_id, "reboot")
    eventually(lambda: shown(api, "machines")[server_id]["boots"] == 2, "the second boot")
    assert until(api, server_id, "up")["pid"] != first
    assert login.says(address, "ls /root/kept; cat /root/ran") == "/root/kept\nran"
    assert before

    act(api, server_id, "poweroff")
    until(api, server_id, "off")
    assert login.run(address, "true").returncode == 255
    act(api, server_id, "poweron")
    until(api, server_id, "up")
    assert login.says(address, "ls /root/kept") == "/root/kept"


def test_a_machine_that_is_killed_stays_dead_until_it_is_rebooted(api: Api, login: Login) -> None:
    """As at Scaleway the API goes on to say that it runs, and nothing of it is left."""
    network, _ = private_network(api)
    server_id = server(api, "node-01", network)
    machine = until(api, server_id, "up")
    login.says(machine["address"], "systemd-run --unit=lasting sleep 987654")
    os.kill(machine["pid"], signal.SIGKILL)

    until(api, server_id, "dead")
    assert api.request("GET", f"{SERVERS}/{server_id}")[1]["server"]["state"] == "running"
    assert login.run(machine["address"], "true").returncode == 255
    eventually(lambda: not processes_with("987654"), "no process is left")
    act(api, server_id, "reboot")
    until(api, server_id, "up")
    assert login.says(machine["address"], "id -un") == "root"


def test_two_machines_do_not_meet(api: Api, login: Login) -> None:
    """A unit that one stops runs on at the other, though they share a kernel."""
    network, _ = private_network(api)
    both = [server(api, f"node-0{number}", network) for number in (1, 2)]
    first, second = (until(api, server_id, "up")["address"] for server_id in both)
    for address in (first, second):
        login.says(address, "systemctl is-active same || systemd-run --unit=same sleep 1000")
    login.says(first, "systemctl stop same")

    assert login.says(second, "systemctl is-active same") == "active"


def test_a_deleted_server_leaves_nothing(api: Api, tmp_path: Path) -> None:
    """No process, no mount, no control group, no disk."""
    network, _ = private_network(api)
    server_id = server(api, "node-01", network)
    pid = until(api, server_id, "up")["pid"]
    act(api, server_id, "terminate")
    eventually(lambda: server_id not in shown(api, "machines"), "it is gone")

    assert not Path(f"/proc/{pid}").exists()
    assert server_id not in Path("/proc/mounts").read_text()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/scaleway-{server_id[:13]}"))
    assert not list((tmp_path / "real" / "machines").iterdir())


def processes_with(text: str) -> list[int]:
    """Processes whose command line has this text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text in (folder / "cmdline").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
