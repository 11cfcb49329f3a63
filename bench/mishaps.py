"""What can happen to the ground that a release stands on: a full disk, SSH that is lost, a power cut, a silent API."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.rehearsed import Rehearsed

FIRST, SECOND = "lssm-prod-core-01", "lssm-prod-core-02"
"""The nodes, in the order in which a release comes to them."""
DOWN = 60.0
"""Seconds without the load balancer's API."""
AWAY = 20.0
"""Seconds without SSH that the engine sits out."""
BOOT = 60.0
"""Seconds that a machine has to come up again."""

FILL = """
kept=/srv/lssm small=/mnt/small
mkdir -p $small
mount -t tmpfs -o size=$(($(du -sk $kept | cut -f1) + 500000))k tmpfs $small
cp -a $kept/. $small
mount --bind $small $kept
touch /run/struck
systemd-run --quiet --collect --unit=fill sh -c '
    until [ /srv/lssm/repository.git/FETCH_HEAD -nt /run/struck ]; do sleep 0.01; done
    fallocate -l 480M /srv/lssm/filled
    cat /dev/zero >>/srv/lssm/filled'
"""
"""A small disk, with room enough for the look before a release, that is full once the release is fetched."""
EMPTY = "systemctl stop fill 2>/dev/null || true; umount -l /srv/lssm /mnt/small"
DEAF = "systemctl stop ssh; pkill -KILL -x sshd || true"
"""No new connection, and none of the old ones. The machine sees its own processes only."""
HEAR = "systemctl start ssh"


@dataclass(frozen=True)
class Mishap:
    """One of them.

    Attributes:
        strike: let it happen.
        mend: what a person would do about it.
        after: step whose end it follows; empty: it is there before the deploy.
        lasts: seconds until it is mended without anybody being asked; None: once the run has ended or asks.
        stake: connections that it may cost, counted just before.
    """

    strike: Callable[[Rehearsed], None]
    mend: Callable[[Rehearsed], None]
    after: str = ""
    lasts: float | None = None
    stake: Callable[[Rehearsed], int] = lambda site: 0


def server_id(site: Rehearsed, name: str) -> str:
    """Which server of the API a node is."""
    return str(machine(site, name)["id"])


def machine(site: Rehearsed, name: str) -> dict[str, Any]:
    """What the local Scaleway shows of a node's machine, with its id."""
    machines: dict[str, dict[str, Any]] = site.ask("real")["running"]["machines"]
    return next({"id": key, **shown} for key, shown in machines.items() if shown["name"] == name)


def in_machine(site: Rehearsed, name: str, script: str) -> str:
    """Run a script in a machine, past its SSH server; what it prints.

    Raises:
        RuntimeError: it fails.
    """
    command = ["nsenter", f"--target={_init(machine(site, name)['pid'])}", "--mount", "--pid", "--ipc", "--uts"]
    done = subprocess.run([*command, "bash", "-euc", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    return done.stdout


def cut_power(site: Rehearsed, name: str) -> None:
    """End a machine as a power cut does."""
    os.kill(machine(site, name)["pid"], signal.SIGKILL)


def power_up(site: Rehearsed, name: str) -> None:
    """Boot a machine by the API, and wait until it is up.

    Raises:
        TimeoutError: it does not come up.
    """
    before, endpoints = machine(site, name), site.rehearsal.endpoints
    zone = endpoints.scaleway["SCW_DEFAULT_ZONE"]
    answer = requests.post(
        f"{endpoints.api_url}/instance/v1/zones/{zone}/servers/{before['id']}/action",
        json={"action": "reboot"},
        headers={"X-Auth-Token": endpoints.scaleway["SCW_SECRET_KEY"]},
        timeout=30,
    )
    answer.raise_for_status()
    deadline = time.monotonic() + BOOT
    while (now := machine(site, name))["state"] != "up" or now["boots"] == before["boots"]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} does not come up again: {now}")
        time.sleep(0.2)


def _in_machine(name: str, script: str) -> Callable[[Rehearsed], None]:
    def run(site: Rehearsed) -> None:
        in_machine(site, name, script)

    return run


def _init(pid: int) -> int:
    """The first process of a machine, below the one that stands for it outside."""
    while Path(f"/proc/{pid}/comm").read_text().strip() != "systemd":
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


def _connected(site: Rehearsed) -> int:
    """Established connections to the application on the first node: the balancer's."""
    listed = ["ss", "-Htn", "state", "established", f"src = {machine(site, FIRST)['address']} and sport = :3000"]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.count("\n")


def _cut_power(site: Rehearsed) -> None:
    cut_power(site, FIRST)


def _power_up(site: Rehearsed) -> None:
    power_up(site, FIRST)


def _silence(site: Rehearsed) -> None:
    site.ask("faults", "PUT", {"faults": [{"operation": "* /lb/v1/*", "kind": "unavailable", "count": None}]})


def _speech(site: Rehearsed) -> None:
    site.ask("faults", "DELETE")


FULL_DISK = Mishap(_in_machine(SECOND, FILL), _in_machine(SECOND, EMPTY))
"""On the second node, while releases are prepared side by side."""
SSH_AWAY = Mishap(_in_machine(FIRST, DEAF), _in_machine(FIRST, HEAR), f"drain {FIRST}", AWAY)
"""While the first node switches; shorter than the engine's patience."""
SSH_LOST = Mishap(_in_machine(FIRST, DEAF), _in_machine(FIRST, HEAR), f"drain {FIRST}")
"""The same for good."""
POWER_CUT = Mishap(_cut_power, _power_up, f"balance {FIRST}", stake=_connected)
"""Of the first node, while it is watched with the new release and has its share of the traffic."""
NO_BALANCER_API = Mishap(_silence, _speech, f"drain {FIRST}", DOWN)
"""While the first node is out of the pool and has to come back into it."""
