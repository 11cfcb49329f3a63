"""The site of release tests: one real machine, a git repository on the network, and an application of two units."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.release.on_node import OnNode
from activities.release.releases import Releases
from activities.ssh.script import Script
from blueprint.environment.app import App
from blueprint.errors import (
    Gone,
    Retryable,
)
from blueprint.release.contract import MarkInput, NodeInput, Site, SwitchOutput
from blueprint.release.facts import NodeFacts
from emulator.real.machines.follower import Machines
from tests.activities.conftest import TARGET
from tests.activities.ssh_site import INSTANCE, NODE, Behind
from tests.emulator.real.local import eventually, real_emulator

OBSTACLE = Machines(Path("/nowhere")).obstacle()

PORT = 3000
SERVE = """\
const answer = Number(process.env.ANSWER ?? RELEASE_ANSWER);
Bun.serve({
  hostname: process.env.ADDRESS, port: 3000,
  fetch: async (request) => {
    if (request.url.endsWith("/slow")) await Bun.sleep(1500);
    return new Response(process.cwd(), { status: answer });
  },
});
"""
API_UNIT = """\
[Service]
WorkingDirectory=/srv/tiny/current
EnvironmentFile=/etc/tiny.env
ExecStart=/usr/local/bin/bun serve.ts
Restart=always
RestartSec=1
TimeoutStopSec=5
"""
WORKER_UNIT = """\
[Service]
WorkingDirectory=/srv/tiny/current
ExecStart=/bin/sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
"""


class Repository:
    """A git repository that machines fetch from."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self.url = url
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, answer: int = 200, install: str = "true", program: str = SERVE, subject: str = "a change") -> str:
        """A new release on `main`; its commit."""
        (self._folder / "serve.ts").write_text(program.replace("RELEASE_ANSWER", str(answer)))
        (self._folder / "install.sh").write_text(f"{install}\n")
        (self._folder / "migrate.sh").write_text('echo "$SECRET" >>/srv/tiny/migrated; env | grep -c ^PG; sleep 1\n')
        self._git("add", ".")
        self._git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self._git("rev-parse", "HEAD")

    def tag(self, name: str) -> None:
        """Name what is at the head of `main`."""
        self._git("tag", name)

    def _git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        command = ["git", "-C", str(self._folder), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Fleet(Behind):
    """`lssm-prod` with one real machine that has two units and no release yet."""

    def __init__(self, api: Any, folder: Path, repository: Repository) -> None:
        super().__init__(api, folder)
        self.repository = repository
        self.server_id = self.server(NODE)["id"]
        self.call("POST", f"{INSTANCE}/servers/{self.server_id}/action", {"action": "poweron"})
        self.releases = Releases(self.clouds)
        app = App(
            repository=repository.url,
            directory="/srv/tiny",
            user="tiny",
            install="sh install.sh",
            units=["tiny-api", "tiny-worker"],
            migrate={"command": "sh migrate.sh", "pending": "echo pending 001_a irreversible; echo other"},  # type: ignore[arg-type]
            env_file={"path": "/etc/tiny.env"},  # type: ignore[arg-type]
            keep_releases=2,
            drain=3,
            stop=3,
            healthy_within=4,
        )
        self.site = Site(target=TARGET, app=app, nodes=(NODE,))
        self.address = self._set_up()

    def on_node(self, text: str) -> str:
        """What a script on the node prints."""
        return "\n".join(self.clouds.nodes.run(TARGET, NODE, Script("test", f"set -e\n{text}")).output)

    def _set_up(self) -> str:
        def address() -> str:
            try:
                return OnNode(self.clouds.nodes, self.site, NODE).address
            except (Retryable, Gone):
                return ""

        told = eventually(address, "the node has told its host keys")
        units = f"""
            id tiny >/dev/null 2>&1 || useradd --create-home tiny
            printf 'ADDRESS=%s\\nSECRET=s3cret\\n' {told} >/etc/tiny.env
            chmod 600 /etc/tiny.env
            cat >/etc/systemd/system/tiny-api.service <<'U'\n{API_UNIT}U
            cat >/etc/systemd/system/tiny-worker.service <<'U'\n{WORKER_UNIT}U
            systemctl daemon-reload"""

        def ready() -> bool:
            try:
                self.on_node(units.replace("\n            ", "\n"))
            except Retryable:
                return False
            return True

        eventually(ready, "the node lets us in")
        return told

    # -- steps -------------------------------------------------------------------------------------------------

    def step(self, call: Callable[[Any], Any], argument: Any, attempt: int = 1, at: datetime | None = None) -> Any:
        """One attempt of an activity, as Temporal begins it."""
        environment = ActivityEnvironment()
        scheduled = at or datetime.now(UTC)
        environment.info = replace(environment.info, attempt=attempt, scheduled_time=scheduled)
        return environment.run(call, argument)

    def input(self, commit: str = "") -> NodeInput:
        """The node, and a release."""
        return NodeInput(site=self.site, node=NODE, commit=commit)

    def look(self) -> NodeFacts:
        """The node as it is."""
        return OnNode(self.clouds.nodes, self.site, NODE).look()

    def deploy(self, commit: str) -> SwitchOutput:
        """Prepare, switch, check, mark."""
        self.step(self.releases.prepare, self.input(commit))
        done: SwitchOutput = self.step(self.releases.switch, self.input(commit))
        self.step(self.releases.check, self.input(commit))
        mark = MarkInput(site=self.site, node=NODE, commit=commit, mark="released", at=time.time())
        self.step(self.releases.mark, mark)
        return done


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A git daemon for the repositories below a folder; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [f"--base-path={folder}", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(["git", "daemon", *options], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One machine for all tests: each deploys releases of its own."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "git" / "tiny").mkdir(parents=True)
    with served(folder / "git") as url, real_emulator(folder) as api:
        made = Fleet(api, folder, Repository(folder / "git" / "tiny", f"{url}/tiny"))
        try:
            yield made
        finally:
            made.clouds.nodes.close()
