"""Instances are real machines: they boot, are told apart, take instructions, and leave nothing behind."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from emulator.real.machines.follower import Machines
from emulator.real.machines.rootfs import LOCKED, SAMPLE
from tests.emulator.conftest import Api
from tests.emulator.real.local import eventually, ok, private_network, real_emulator, shown

OBSTACLE = Machines(Path(tempfile.gettempdir()) / "machines").obstacle()
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
  - {path: /etc/lssm/note, content: "hello", permissions: "0640", owner: "root:lssm", defer: true}
  - {path: /var/run/node/note, content: "aGVsbG8=", encoding: b64}
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

    def host_key(self, address: str) -> str:
        """The host key that a machine shows."""
        scan = ["ssh-keyscan", "-t", "ed25519", address]
        found = eventually(lambda: subprocess.run(scan, capture_output=True, text=True, check=False).stdout, "host key")
        return str(found)


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
    assert login.says(address, "cat /run/node/note") == "hello"
    assert not Path("/run/node").exists(), "a link of the machine led out of it"
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

    (tmp_path / "scanned").write_text(login.host_key(address))
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

    login.says(address, "systemd-run --property=ExecStop='/bin/touch /root/stopped' sleep 1000")
    act(api, server_id, "poweroff")
    until(api, server_id, "off")
    assert login.run(address, "true").returncode == 255
    act(api, server_id, "poweron")
    until(api, server_id, "up")
    assert login.says(address, "ls /root/kept /root/stopped") == "/root/kept\n/root/stopped"


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


def test_a_crash_is_not_a_reboot(api: Api, login: Login) -> None:
    """The end of its init is the end; a reboot that it asks for by itself is none, and the API does not count it."""
    network, _ = private_network(api)
    server_id = server(api, "node-01", network)
    machine = until(api, server_id, "up")
    login.run(machine["address"], "systemctl reboot")
    again = eventually(lambda: (now := shown(api, "machines")[server_id])["pid"] != machine["pid"] and now, "reboot")
    assert again
    assert again["boots"] == 1
    until(api, server_id, "up")
    login.says(machine["address"], "uptime")

    # Seen from here: the only child of systemd-nspawn's own, which is the only child of the namespaces' keeper.
    (nspawn,) = psutil.Process(until(api, server_id, "up")["pid"]).children()
    (init,) = nspawn.children()
    init.kill()
    until(api, server_id, "dead")


def test_what_goes_wrong_at_the_first_boot_is_told(api: Api, login: Login) -> None:
    """And keeps nobody from looking; the later steps are done all the same."""
    network, _ = private_network(api)
    user_data = (
        "#cloud-config\nwrite_files: [{path: /etc/x, owner: nobody-here}]\nbootcmd: [ls]\nruncmd: [touch /root/ran]\n"
    )
    machine = until(api, server(api, "node-01", network, user_data), "up")

    failed = eventually(
        lambda: (run := login.run(machine["address"], "cloud-init status --wait")).returncode == 1 and run, "status"
    )
    assert failed
    assert failed.stdout.strip() == "status: error"
    told = login.says(machine["address"], "cat /var/log/cloud-init-output.log; ls /root/ran")
    assert "not understood here: bootcmd" in told
    assert "failed: put /etc/x" in told
    assert told.endswith("/root/ran")


def test_a_script_runs_once(api: Api, login: Login) -> None:
    """User data may be a program."""
    network, _ = private_network(api)
    server_id = server(api, "node-01", network, '#!/bin/bash\necho "$BASH_VERSION" >>/root/ran\n')
    address = until(api, server_id, "up")["address"]
    login.says(address, "cloud-init status --wait")
    act(api, server_id, "reboot")
    eventually(lambda: shown(api, "machines")[server_id]["boots"] == 2, "the second boot")
    until(api, server_id, "up")
    assert len(login.says(address, "cloud-init status --wait >/dev/null; cat /root/ran").splitlines()) == 1


def test_the_sample_is_installed_without_a_network(api: Api, login: Login) -> None:
    """By a user of its own: the image holds what the lock file names."""
    network, _ = private_network(api)
    address = until(api, server(api, "node-01", network, "#cloud-config\nusers: [lssm]\n"), "up")["address"]
    for name in LOCKED:
        content = base64.b64encode((SAMPLE / name).read_bytes()).decode()
        login.says(address, f"install -d -o lssm /srv/app && base64 -d <<<{content} >/srv/app/{name}")

    variables = "BUN_INSTALL_CACHE_DIR,NPM_CONFIG_REGISTRY"
    install = f"cd /srv/app && unshare --net sudo -u lssm --preserve-env={variables} bun install --frozen-lockfile"
    done = login.run(address, f"{install} --production && ls node_modules/elysia/package.json")
    assert done.returncode == 0, done.stderr


def test_neighbours_are_known_by_name(api: Api, login: Login) -> None:
    """As Scaleway's DNS of private networks knows them, those that come later too."""
    network, _ = private_network(api)
    first = until(api, server(api, "node-01", network), "up")["address"]
    second = until(api, server(api, "node-02", network), "up")["address"]

    assert login.says(first, "getent hosts node-02.app.internal").split()[0] == second
    assert login.says(second, "getent hosts node-01.app.internal").split()[0] == first
    assert login.says(first, "getent hosts node-01").split()[0] == first


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
    assert not list(Path("/sys/fs/cgroup").glob(f"**/scaleway-{server_id}"))
    assert not list((tmp_path / "real" / "machines").iterdir())


def test_machines_end_with_the_emulator_and_are_there_again(tmp_path: Path, login: Login) -> None:
    """However it ended: their disks are kept, their first boot is not repeated, and no process is left between."""
    with real_emulator(tmp_path) as api:
        body = {"name": "test", "public_key": Path(f"{login.key}.pub").read_text()}
        ok(api.request("POST", "/iam/v1alpha1/ssh-keys", body))
        network, _ = private_network(api)
        ids = [server(api, f"node-0{number}", network, CLOUD_CONFIG) for number in (1, 2)]
        machines = [until(api, server_id, "up") for server_id in ids]
        keys = [login.host_key(machine["address"]) for machine in machines]
        act(api, ids[1], "poweroff")
        until(api, ids[1], "off")
        assert login.says(machines[0]["address"], "cloud-init status --wait") == "status: done"
    assert not Path(f"/proc/{machines[0]['pid']}").exists()

    command = [sys.executable, "-m", "emulator", "--port", "0", "--state", str(tmp_path / "state.db")]
    with subprocess.Popen([*command, "--real", str(tmp_path / "real")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        assert login.says(machines[0]["address"], "cat /root/ran") == "ran"
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not processes_with(ids[0]), "no process is left")
    assert ids[0] not in Path("/proc/mounts").read_text()

    with real_emulator(tmp_path) as api:
        until(api, ids[0], "up")
        assert login.says(machines[0]["address"], "cat /root/ran") == "ran"
        assert login.host_key(machines[0]["address"]) == keys[0]
        assert shown(api, "machines").get(ids[1], {"state": "off"})["state"] == "off"
        ok(api.request("DELETE", f"{SERVERS}/{ids[1]}"))
        eventually(lambda: not (tmp_path / "real" / "machines" / ids[1]).exists(), "the disk of one that was off")


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
