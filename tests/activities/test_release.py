"""Releases on a real machine: its own systemd, a git repository on the network, units that run, fail and die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.release.on_node import OnNode
from activities.release.releases import Releases
from activities.ssh.script import Script
from blueprint.environment.app import App, EnvFile, Migration
from blueprint.errors import (
    CommandFailed,
    FailedState,
    Gone,
    NotReady,
    Refused,
    Retryable,
    SshUnreachable,
    Unhealthy,
    UnknownRef,
)
from blueprint.release.contract import MarkInput, NodeInput, Site, SwitchOutput, WatchInput
from blueprint.release.facts import NodeFacts
from emulator.real.machines.follower import Machines
from tests.activities.conftest import TARGET
from tests.activities.ssh_site import INSTANCE, NODE, Behind
from tests.emulator.real.local import eventually, real_emulator

OBSTACLE = Machines(Path("/nowhere")).obstacle()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")

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


def test_a_release_from_its_ref_to_the_next_one(fleet: Fleet) -> None:
    """Resolved, prepared, switched, checked, marked; then another one in its place."""
    first = fleet.repository.commit(subject="one: the first")
    fleet.repository.tag("v1")
    node = OnNode(fleet.clouds.nodes, fleet.site, NODE)
    for ref in ("main", "v1", first, first[:8]):
        found = node.resolve(ref, "")
        assert (found.commit, found.subject, found.relation) == (first, "one: the first", "first")
    with pytest.raises(UnknownRef, match="nonsense"):
        node.resolve("nonsense", "")

    done = fleet.deploy(first)

    assert (done.previous, done.connections) == ("", 0)
    facts = fleet.look()
    assert facts.current == first
    assert [(unit.active, unit.commit) for unit in facts.units] == [(True, first)] * 2
    assert [(r.commit, r.prepared, r.released_at is not None) for r in facts.releases] == [(first, True, True)]
    assert abs(facts.clock_offset) < 5
    assert facts.free_disk > 0
    assert not facts.restart_needed
    assert fleet.on_node(
        f"cat /srv/tiny/releases/{first}/REVISION; stat -c %U /srv/tiny/releases/{first}/serve.ts"
    ) == (f"{first}\ntiny")

    second = fleet.repository.commit(subject="two")
    assert node.resolve("main", first).relation == "newer"
    assert node.resolve(first, second).relation == "older"
    done = fleet.deploy(second)
    assert done.previous == first
    assert 0 < done.seconds < 30
    assert fleet.look().current == second


def test_every_step_can_be_repeated(fleet: Fleet) -> None:
    """A repetition finds what was done, restarts nothing, and still tells what ran before."""
    before, commit = fleet.repository.commit(), fleet.repository.commit()
    fleet.deploy(before)
    fleet.step(fleet.releases.prepare, fleet.input(commit))
    at = datetime.now(UTC)
    done = fleet.step(fleet.releases.switch, fleet.input(commit), at=at)
    pids = fleet.on_node("systemctl show -P MainPID tiny-api tiny-worker")

    assert done.previous == before
    assert fleet.step(fleet.releases.switch, fleet.input(commit), attempt=2, at=at) == done
    assert fleet.step(fleet.releases.switch, fleet.input(commit)).previous == commit
    fleet.step(fleet.releases.prepare, fleet.input(commit))
    assert fleet.on_node("systemctl show -P MainPID tiny-api tiny-worker") == pids

    at = datetime.now(UTC)
    restarted = fleet.step(fleet.releases.restart, fleet.input(commit), at=at)
    changed = fleet.on_node("systemctl show -P MainPID tiny-api tiny-worker")
    assert set(changed.split()).isdisjoint(pids.split())
    assert fleet.step(fleet.releases.restart, fleet.input(commit), attempt=2, at=at) == restarted
    assert fleet.on_node("systemctl show -P MainPID tiny-api tiny-worker") == changed


def test_a_connection_that_breaks_in_a_switch(fleet: Fleet) -> None:
    """What was begun on the node goes on; the repetition waits for it, and knows what ran before."""
    before, commit = fleet.repository.commit(), fleet.repository.commit()
    fleet.deploy(before)
    fleet.step(fleet.releases.prepare, fleet.input(commit))
    slow = "/run/systemd/system/tiny-worker.service.d"
    fleet.on_node(
        f"mkdir -p {slow}; printf '[Service]\\nExecStop=/bin/sleep 1\\n' >{slow}/slow.conf; systemctl daemon-reload"
    )
    at = datetime.now(UTC)
    first = ActivityEnvironment()
    first.info = replace(first.info, attempt=1, scheduled_time=at)

    def lose() -> None:
        stopping = "systemctl show -P ActiveState tiny-worker"
        eventually(lambda: fleet.on_node(stopping) == "deactivating", "the switch is at work")
        first.cancel()

    thread = threading.Thread(target=lose)
    thread.start()
    with pytest.raises(NotReady):
        first.run(fleet.releases.switch, fleet.input(commit))
    thread.join()
    done = fleet.step(fleet.releases.switch, fleet.input(commit), attempt=2, at=at)
    fleet.on_node(f"rm -r {slow}; systemctl daemon-reload")

    assert done.previous == before
    assert done.seconds >= 1
    assert fleet.look().current == commit
    assert [(unit.active, unit.commit) for unit in fleet.look().units] == [(True, commit)] * 2


def test_a_step_that_comes_late_is_void(fleet: Fleet) -> None:
    """One that waited on the node while others went by changes nothing any more."""
    first, second = fleet.repository.commit(), fleet.repository.commit()
    fleet.step(fleet.releases.prepare, fleet.input(first))
    fleet.step(fleet.releases.prepare, fleet.input(second))
    fleet.step(fleet.releases.switch, fleet.input(second))
    with pytest.raises(Refused, match="later step"):
        fleet.step(fleet.releases.switch, fleet.input(first), at=datetime.now(UTC) - timedelta(minutes=1))
    assert fleet.look().current == second


def test_a_release_that_cannot_be_built(fleet: Fleet) -> None:
    """Its command's last words, in the line that people see first; nothing is prepared, a switch to it is refused."""
    fleet.deploy(fleet.repository.commit())
    runs = fleet.look().current
    commit = fleet.repository.commit(install="echo no such package; exit 7")
    with pytest.raises(CommandFailed, match=r"^[^\n]*exit code 7: no such package"):
        fleet.step(fleet.releases.prepare, fleet.input(commit))
    release = fleet.look().release(commit)
    assert release
    assert not release.prepared
    with pytest.raises(CommandFailed, match="not prepared"):
        fleet.step(fleet.releases.switch, fleet.input(commit))
    assert fleet.look().current == runs


def test_what_a_build_leaves_running_holds_nothing(fleet: Fleet) -> None:
    """Neither the lock, for which the next one would wait, nor the connection."""
    commit = fleet.repository.commit(install="sleep 1000 >/dev/null 2>&1 & echo $! >left")
    fleet.step(fleet.releases.prepare, fleet.input(commit))
    try:
        fleet.on_node("flock --nonblock /var/lib/scaleway-infra/releases/build.lock true")
    finally:
        fleet.on_node(f"kill $(cat /srv/tiny/releases/{commit}/left)")


def test_a_disk_that_is_full_is_not_the_release_s_fault(fleet: Fleet) -> None:
    """Neither of the one that cannot be fetched for want of space, nor of the one that cannot be built."""
    fleet.deploy(fleet.repository.commit())
    fleet.on_node(
        """
        mkdir -p /mnt/small
        mount -t tmpfs -o size=20M tmpfs /mnt/small
        cp -a /srv/tiny/. /mnt/small
        mount --bind /mnt/small /srv/tiny
        cat /dev/zero >/srv/tiny/filled 2>/dev/null || true"""
    )
    try:
        commit = fleet.repository.commit()
        with pytest.raises(FailedState, match="disk is full"):
            fleet.step(fleet.releases.prepare, fleet.input(commit))
        fleet.on_node("truncate -s -1M /srv/tiny/filled")
        commit = fleet.repository.commit(install="cat /dev/zero >more")
        with pytest.raises(FailedState, match="No space left"):
            fleet.step(fleet.releases.prepare, fleet.input(commit))
    finally:
        fleet.on_node("umount /srv/tiny /mnt/small")
    fleet.deploy(fleet.repository.commit())


def test_releases_that_are_not_well(fleet: Fleet) -> None:
    """One that dies is found at once, one that answers badly in time; both say why. The one before is well again."""
    good = fleet.repository.commit()
    fleet.deploy(good)
    dies = fleet.repository.commit(program="console.error('cannot go on'); process.exit(4);")
    fleet.step(fleet.releases.prepare, fleet.input(dies))
    fleet.step(fleet.releases.switch, fleet.input(dies))
    with pytest.raises(Unhealthy, match="cannot go on"):
        fleet.step(fleet.releases.check, fleet.input(dies))

    bad = fleet.repository.commit(answer=503)
    fleet.step(fleet.releases.prepare, fleet.input(bad))
    fleet.step(fleet.releases.switch, fleet.input(bad))
    with pytest.raises(Unhealthy, match="answers 503"):
        fleet.step(fleet.releases.check, fleet.input(bad))
    reason = "answers 503,\nagain and again"
    fleet.step(
        fleet.releases.mark, MarkInput(site=fleet.site, node=NODE, commit=bad, mark="bad", reason=reason, at=1.0)
    )
    marked = fleet.look().release(bad)
    assert marked
    assert marked.bad == "answers 503, again and again"

    fleet.step(fleet.releases.switch, fleet.input(good))
    fleet.step(fleet.releases.check, fleet.input(good))
    fleet.step(fleet.releases.mark, MarkInput(site=fleet.site, node=NODE, commit=bad, mark="released", at=2.0))
    marked = fleet.look().release(bad)
    assert marked
    assert (marked.bad, marked.released_at) == ("", 2.0)


def test_a_node_that_dies_in_the_soak(fleet: Fleet) -> None:
    """A watch ends well when nothing happens, and at once when a unit is killed."""
    commit = fleet.repository.commit()
    fleet.deploy(commit)
    fleet.step(fleet.releases.watch, WatchInput(site=fleet.site, nodes=(NODE,), commit=commit, seconds=1))

    began = threading.Timer(0.5, lambda: fleet.on_node("systemctl kill --signal=KILL tiny-worker"))
    began.start()
    with pytest.raises(Unhealthy, match="tiny-worker has failed"):
        fleet.step(fleet.releases.watch, WatchInput(site=fleet.site, nodes=(NODE,), commit=commit, seconds=20))
    began.join()


def test_drain(fleet: Fleet) -> None:
    """Connections at the node's own address from others count, until they are gone or the time is over."""
    commit = fleet.repository.commit()
    fleet.deploy(commit)
    assert fleet.step(fleet.releases.drain, fleet.input()).before == 0
    with socket.create_connection((fleet.address, PORT), timeout=10) as slow:
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        eventually(lambda: fleet.look().connections == 1, "connected")
        done = fleet.step(fleet.releases.drain, fleet.input())
        assert (done.before, done.left) == (1, 0)
    with socket.create_connection((fleet.address, PORT), timeout=10):
        eventually(lambda: fleet.look().connections == 1, "connected")
        done = fleet.step(fleet.releases.drain, fleet.input(), at=datetime.now(UTC) - timedelta(seconds=2.5))
        assert (done.before, done.left) == (1, 1)
        assert fleet.step(fleet.releases.switch, fleet.input(commit)).connections == 0
        assert fleet.step(fleet.releases.restart, fleet.input(commit)).connections == 1


def test_settings_that_changed(fleet: Fleet) -> None:
    """Seen until the units are restarted."""
    fleet.deploy(fleet.repository.commit())
    assert not fleet.look().restart_needed
    fleet.on_node("cp -p /etc/tiny.env /etc/tiny.env.new; touch /etc/tiny.env.new; mv /etc/tiny.env.new /etc/tiny.env")
    assert fleet.look().restart_needed
    fleet.step(fleet.releases.restart, fleet.input())
    assert not fleet.look().restart_needed


def test_migrations(fleet: Fleet) -> None:
    """With the variables of the env file, once for a step, however often its connection breaks."""
    commit = fleet.repository.commit()
    fleet.step(fleet.releases.prepare, fleet.input(commit))
    plan = fleet.step(fleet.releases.pending, fleet.input(commit))
    assert (plan.pending, plan.irreversible, plan.known) == (("001_a",), ("001_a",), True)

    fleet.on_node("rm -f /srv/tiny/migrated; install -d -o tiny /srv/tiny")
    at = datetime.now(UTC)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=1, scheduled_time=at)
    begun = "test -e /srv/tiny/migrated && echo yes || echo no"

    def cancel() -> None:
        eventually(lambda: fleet.on_node(begun) == "yes", "begun")
        environment.cancel()

    killer = threading.Thread(target=cancel)
    killer.start()
    with pytest.raises(NotReady):
        environment.run(fleet.releases.migrate, fleet.input(commit))
    killer.join()
    done = fleet.step(fleet.releases.migrate, fleet.input(commit), attempt=2, at=at)
    again = fleet.step(fleet.releases.migrate, fleet.input(commit), attempt=3, at=at)

    assert fleet.on_node("cat /srv/tiny/migrated") == "s3cret"
    assert done.log == again.log == "1"
    fleet.step(fleet.releases.migrate, fleet.input(commit))
    assert fleet.on_node("cat /srv/tiny/migrated") == "s3cret\ns3cret"


def test_a_node_that_goes_down_is_not_the_release_s_fault(fleet: Fleet) -> None:
    """Systemd ends scripts and migrations then: the way there is lost, and what the migration did is to be seen."""
    with pytest.raises(SshUnreachable, match="ended by a signal"):
        fleet.on_node("kill -KILL $$")
    commit = fleet.repository.commit()
    fleet.step(fleet.releases.prepare, fleet.input(commit))
    unit = "scaleway-infra-migrate"
    stop = f"until systemctl --quiet is-active {unit}; do sleep 0.1; done; systemctl stop {unit}"
    stopper = threading.Thread(target=fleet.on_node, args=(stop,))
    stopper.start()
    with pytest.raises(FailedState, match="ended by TERM"):
        fleet.step(fleet.releases.migrate, fleet.input(commit))
    stopper.join()


def test_secrets_stay_on_the_node(fleet: Fleet) -> None:
    """Whatever the application prints: a migration, its list, an unhealthy unit. What is declared as plain is shown."""
    url = r"postgresql://app:p/a&s.s*[w]\rd@db:5432/x"
    env_file = fleet.on_node("cp -p /etc/tiny.env /etc/tiny.env.kept; cat /etc/tiny.env")
    written = env_file + '\nMODE="production"\nDATABASE_URL="' + url.replace("\\", "\\\\") + '"\nTOKEN=tok$en-1234\n'
    fleet.on_node(f"cat >/etc/tiny.env <<'E'\n{written}E")
    says = 'echo "url $DATABASE_URL, token <$TOKEN>, mode $MODE"'
    shown = "url [secret], token <[secret]>, mode production"
    app = fleet.site.app.model_copy(
        update={
            "env_file": EnvFile(path="/etc/tiny.env", values={"MODE": "production", "TOKEN": "${secret:token}"}),
            "migrate": Migration(command=f"{says} >&2; {says}; exit 5", pending=f"{says} >&2; echo pending $TOKEN"),
        }
    )
    site = fleet.site.model_copy(update={"app": app})
    commit = fleet.repository.commit(
        program='console.error("I have", process.env.DATABASE_URL, process.env.TOKEN); process.exit(4);'
    )
    node = NodeInput(site=site, node=NODE, commit=commit)
    try:
        fleet.step(fleet.releases.prepare, node)
        assert fleet.step(fleet.releases.pending, node).pending == ("[secret]",)
        with pytest.raises(CommandFailed) as caught:
            fleet.step(fleet.releases.migrate, node)
        assert str(caught.value).count(shown) == 2
        assert "tok$en" not in str(caught.value)
        fleet.step(fleet.releases.switch, node)
        with pytest.raises(Unhealthy, match=r"I have \[secret\] \[secret\]"):
            fleet.step(fleet.releases.check, node)
    finally:
        fleet.on_node("mv /etc/tiny.env.kept /etc/tiny.env")


def test_prune(fleet: Fleet) -> None:
    """The newest stay, and so does whatever runs or ran before."""
    commits = [fleet.repository.commit(subject=f"release {number}") for number in range(5)]
    for commit in commits[:2]:
        fleet.deploy(commit)
    for commit in commits[2:]:
        fleet.step(fleet.releases.prepare, fleet.input(commit))
        time.sleep(0.01)
    fleet.step(fleet.releases.prune, fleet.input(commits[1]))
    kept = {release.commit for release in fleet.look().releases if release.prepared}
    assert kept == {commits[0], commits[1], commits[3], commits[4]}


def test_stop(fleet: Fleet) -> None:
    """A node that goes away runs nothing; it can come back."""
    commit = fleet.repository.commit()
    fleet.deploy(commit)
    fleet.step(fleet.releases.stop, fleet.input())
    assert [unit.active for unit in fleet.look().units] == [False, False]
    fleet.step(fleet.releases.switch, fleet.input(commit))
    fleet.step(fleet.releases.check, fleet.input(commit))
