"""Nodes from inside, on real machines: set up as declared, mended after a change by hand, with the release, gone."""

from __future__ import annotations

import copy
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from activities.registry import LIFECYCLES, Clouds
from activities.release.balancer import Balancer
from activities.release.on_node import OnNode
from activities.settings import ScalewaySettings
from activities.ssh.script import Script
from activities.temporal_client import TemporalBridge
from blueprint.environment import parse
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.plan import Plan
from blueprint.release.contract import MarkInput
from blueprint.release.site import site_of
from emulator.real.machines.follower import Machines
from tests.activities.conftest import TARGET, Control
from tests.activities.site import Site, persistently
from tests.emulator.real.local import eventually, real_emulator

OBSTACLE = Machines(Path("/nowhere")).obstacle()
real = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")

KINDS = [kind for kind in LIFECYCLES if kind.partition("_")[0] not in ("drift", "schedule")]
NODE = "lssm-prod-core-01"
UNIT = """\
[Service]
User=lssm
WorkingDirectory=/srv/lssm/current
EnvironmentFile=/etc/lssm/backend.env
ExecStart=/usr/local/bin/bun serve.ts
[Install]
WantedBy=multi-user.target
"""
SERVE = 'Bun.serve({ hostname: process.env.HOST, port: 3000, fetch: () => new Response("well") });\n'
NASTY = 'it\'s "$HOME" `id` \\ \\n\nand\ttwo'


def file(key: str, prefix: str, repository: str) -> dict[str, Any]:
    """The smallest environment with an application."""
    unit = {"path": "/etc/systemd/system/app.service", "content": UNIT}
    return {
        "network": {"cidr": f"{prefix}.0/24", "gateway": {"bastion": {"allowed": ["127.0.0.1/32"]}}},
        "ssh_keys": {"test": key},
        "secrets": {"session-key": {"generate": 20}},
        "nodes": {
            "core": {
                "type": "DEV1-S",
                "cloud_init": {
                    "packages": ["git"],
                    "users": [{"name": "lssm", "groups": ["video"]}],
                    "write_files": [unit],
                },
            }
        },
        "app": {
            "repository": repository,
            "user": "lssm",
            "install": "true",
            "units": ["app"],
            "drain": "2s",
            "stop": "2s",
            "env_file": {
                "values": {"HOST": "${node.address}", "KEY": "${secret:session-key}", "NASTY": NASTY},
            },
        },
    }


@dataclass
class House:
    """An environment on real machines.

    Attributes:
        site: plans and applies it.
        clouds: the worker's way to it.
        emulator: its local Scaleway.
        file: as declared.
        commit: the one commit of its repository.
    """

    site: Site
    clouds: Clouds
    emulator: Control
    file: dict[str, Any]
    commit: str

    def declared(self, count: int = 1) -> dict[str, Any]:
        """The file with so many nodes."""
        data = copy.deepcopy(self.file)
        data["nodes"]["core"]["count"] = count
        return data

    def on(self, node: str, command: str) -> str:
        """What a command on a node prints."""
        outcome = persistently(lambda: self.clouds.nodes.run(TARGET, node, Script("test", command)))
        return "\n".join(outcome.output)

    def inside(self, node: str) -> OnNode:
        """A node as releases see it."""
        site = site_of(parse({"org": "lssm", "env": "prod", **self.declared()}), TARGET)
        assert site
        return OnNode(self.clouds.nodes, site, node)

    def plan(self, count: int = 1) -> Plan:
        """What would change."""
        return self.site.plan(self.declared(count))


def actions(plan: Plan) -> dict[str, str]:
    """What happens to what."""
    return {change.key: change.action for change in plan.changes}


def differences(plan: Plan) -> dict[str, tuple[Any, Any]]:
    """What is not as declared on the first node."""
    (change,) = [change for change in plan.changes if change.key == "node_setup.core-01"]
    return {difference.path: (difference.old, difference.new) for difference in change.differences}


def writes(house: House) -> int:
    """How often the pool was written."""
    asked = house.emulator.requests()["requests"]
    return sum(entry["method"] == "PUT" and entry["path"].endswith("/servers") for entry in asked)


def machines(house: House) -> dict[str, Any]:
    """Machines that run."""
    found: dict[str, Any] = house.emulator.call("GET", "/_emulator/real")["running"]["machines"]
    return found


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A repository that nodes can fetch from, and its one commit."""
    folder = tmp_path_factory.mktemp("repositories")
    work = folder / "app"
    work.mkdir()
    (work / "serve.ts").write_text(SERVE)
    git = ["git", "-C", str(work), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--export-all", f"--base-path={folder}", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"]
    daemon = subprocess.Popen(["git", "daemon", *options], start_new_session=True)
    try:
        yield f"git://127.0.0.1:{port}/app", commit
    finally:
        daemon.terminate()
        daemon.wait()


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, repository: tuple[str, str], bridge: TemporalBridge
) -> Iterator[House]:
    """One node, applied."""
    folder = tmp_path_factory.mktemp("house")
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "key").write_bytes(key.export_private_key("openssh"))
    (folder / "key").chmod(0o600)
    prefix = f"127.{random.randrange(64, 192)}.{random.randrange(256)}"
    with real_emulator(folder) as api:
        emulator = Control(api)
        known = {field.alias for field in ScalewaySettings.model_fields.values()}
        told = {name: value for name, value in emulator.endpoints["environment"].items() if name in known}
        own = {"SCALEWAY_INFRA_SSH_KEY_FILE": folder / "key", "SSH_AUTH_SOCK": None}
        clouds = Clouds(ScalewaySettings.model_validate(told | own), bridge)
        declared = file(key.export_public_key("openssh").decode().strip(), prefix, repository[0])
        made = House(Site(clouds.cloud(TARGET), KINDS), clouds, emulator, declared, repository[1])
        try:
            made.site.apply(made.declared())
            yield made
        finally:
            clouds.nodes.close()


@real
def test_an_apply_sets_up_the_node(house: House) -> None:
    """Everything is there, for systemd as for people, and a second plan finds nothing to do."""
    assert house.plan().changes == ()
    told = house.on(NODE, "hostname; id -nG lssm; systemctl is-enabled app; stat -c '%a %U' /etc/lssm/backend.env")
    assert told.splitlines() == [NODE, "lssm video", "enabled", "600 root"]


@real
def test_systemd_reads_the_env_file_back(house: House) -> None:
    """Every character of every value."""
    run = "systemd-run --quiet --pipe --wait -p EnvironmentFile=/etc/lssm/backend.env"
    secret = house.clouds.cloud(TARGET).secrets.reveal({"$secret": "/lssm/prod", "name": "session-key"})
    assert house.on(NODE, f"{run} printenv NASTY") == NASTY
    assert house.on(NODE, f"{run} printenv KEY HOST").splitlines() == [secret, house.inside(NODE).address]


@real
def test_a_change_by_hand_is_mended(house: House) -> None:
    """It shows as what it is, and an apply takes it back without touching what is right."""
    before = house.on(NODE, "stat -c %.Y /etc/lssm/backend.env")
    spoil = (
        "echo >>/etc/systemd/system/app.service; chmod 600 /etc/systemd/system/app.service",
        "usermod --groups adm,audio lssm",
        "systemctl --quiet disable app",
        "hostname elsewhere",
        "chown root /srv/lssm",
    )
    house.on(NODE, "\n".join(spoil))
    plan = house.plan()
    assert actions(plan) == {"node_setup.core-01": "update"}
    found = differences(plan)
    assert found.pop("files./etc/systemd/system/app.service.digest")[0]
    assert found == {
        "files./etc/systemd/system/app.service.mode": ("0600", "0644"),
        "users.lssm.groups": (["adm", "audio"], ["video"]),
        "units.app": ("disabled", "enabled"),
        "hostname": (f"elsewhere, {NODE} after a boot", NODE),
        "directories./srv/lssm.owner": ("root:lssm", "lssm:lssm"),
    }

    house.site.apply(house.declared())

    assert house.plan().changes == ()
    assert house.on(NODE, "stat -c %.Y /etc/lssm/backend.env") == before
    assert house.on(NODE, "systemctl show --property NeedDaemonReload --value app") == "no"


@real
def test_an_env_file_changed_by_hand(house: House) -> None:
    """Its secrets are compared with nothing but a digest that stays on the node and the worker."""
    house.on(NODE, "echo EXTRA=1 >>/etc/lssm/backend.env")
    assert differences(house.plan()) == {"env_file.untouched": (False, True)}
    house.site.apply(house.declared())
    assert house.plan().changes == ()
    assert house.on(NODE, "grep -c EXTRA /etc/lssm/backend.env || true") == "0"


@real
def test_a_rotated_secret(house: House) -> None:
    """A new version shows by its name, and no value is in the plan."""
    cloud = house.clouds.cloud(TARGET)
    cloud.secrets.store("/lssm/prod", "session-key", "another value of it")
    plan = house.plan()
    assert differences(plan) == {"env_file.secrets": ("older: session-key", IN_SECRET_MANAGER)}
    assert "another value" not in plan.model_dump_json()
    house.site.apply(house.declared())
    assert house.plan().changes == ()
    assert house.on(NODE, "grep KEY= /etc/lssm/backend.env") == 'KEY="another value of it"'


@real
def test_a_second_node_gets_the_release_and_leaves(house: House) -> None:
    """It runs what the first one runs before anything depends on it; away it goes after its units have stopped."""
    first, second = house.inside(NODE), house.inside("lssm-prod-core-02")
    first.prepare(house.commit)
    persistently(lambda: first.switch(house.commit))
    persistently(lambda: first.check(house.commit))
    mark = {"site": first._site, "node": NODE, "commit": house.commit, "mark": "released", "at": 1000.5}
    first.mark(MarkInput.model_validate(mark))
    assert house.plan().changes == ()

    house.site.apply(house.declared(2))
    assert second.look().runs(house.commit)
    assert house.plan(2).changes == ()
    release = second.look().release(house.commit)
    assert release
    assert release.released_at == mark["at"]

    house.on("lssm-prod-core-02", "systemctl stop app")
    assert actions(house.plan(2)) == {"node_release.core-02": "update"}
    house.site.apply(house.declared(2))
    assert second.look().runs(house.commit)

    plan = house.site.apply(house.declared(1))
    gone = [step.id for step in plan.steps if "core-02" in step.id]
    assert gone.index("delete node_release.lssm-prod-core-02/release") < gone.index("delete server.lssm-prod-core-02")
    assert first.look().runs(house.commit)
    assert house.plan().changes == ()


@real
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_a_node_changes_outside_the_pool(house: House) -> None:
    """With another one to stand in for it; at the end the load balancer finds both well."""
    data = house.declared(2) | {"load_balancer": {"backends": {"api": {"nodes": "core"}}}}
    house.site.apply(data)
    balancer = Balancer(house.clouds.cloud(TARGET), "api")
    eventually(lambda: len(balancer.healthy(balancer.look())) == 2, "both are well")
    house.on("lssm-prod-core-02", "systemctl stop app")

    before = writes(house)
    assert actions(house.site.plan(data)) == {"node_release.core-02": "update"}
    house.site.apply(data)

    assert writes(house) == before + 2
    assert len(balancer.look().members) == 2
    assert house.inside("lssm-prod-core-02").look().runs(house.commit)
    assert len(balancer.healthy(balancer.look())) == 2
    house.site.apply(house.declared(1))
    eventually(lambda: len(machines(house)) == 1, "the second machine is gone")


@real
def test_a_node_out_of_reach(house: House) -> None:
    """A machine that is dead breaks no plan, and shows as what it is; a destroy does not wait for it."""
    (machine,) = machines(house).values()
    os.kill(machine["pid"], signal.SIGKILL)

    plan = house.plan()

    assert actions(plan) == {"node_setup.core-01": "update", "node_release.core-01": "update"}
    assert differences(plan)["reachable"] == (False, True)
    plan = house.site.apply(house.declared(), destroy=True)
    assert {"node_release.core-01", "server.core-01"} <= {c.key for c in plan.changes if c.action == "delete"}
    eventually(lambda: not machines(house), "no machine is left")
