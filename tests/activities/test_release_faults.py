"""Releases on a real machine that do not build, do not run, or lose their node, and what else can go wrong."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from blueprint.environment.app import EnvFile, Migration
from blueprint.errors import (
    CommandFailed,
    FailedState,
    NotReady,
    SshUnreachable,
    Unhealthy,
)
from blueprint.release.contract import MarkInput, NodeInput, WatchInput
from tests.activities.release_site import OBSTACLE, PORT, Fleet
from tests.activities.release_site import fleet as fleet
from tests.activities.ssh_site import NODE
from tests.emulator.real.local import eventually

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")


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
    # Two of one length: each is a secret of its own. Keys of several lines, whose last one looks like a name, and JSON
    # with a line that ends in a quote of its own. And a password that drivers know as it was before it was quoted.
    secrets = (
        '"\nTOKEN=tok$en-1234\nOTHER=as-long-1234\nKEY="begin+key\nRm9vYmFy=\n"\nCACHE="redis://:50%25%2F\\\\off@c"\n'
        'BARE="bare+key\nQmFyRm9v="\nJSON="{\n\\"key\\": \\"in-json-1234\\"\n}"\n'
    )
    written = env_file + '\nMODE="production"\nDATABASE_URL="' + url.replace("\\", "\\\\") + secrets
    fleet.on_node(f"cat >/etc/tiny.env <<'E'\n{written}E")
    says = (
        """echo "url $DATABASE_URL, token <$TOKEN>, other <$OTHER>, cache <"'50%/\\off'">, mode $MODE, """
        """keys $KEY$BARE, json $JSON\""""
    )
    shown = (
        "token <[secret]>, other <[secret]>, cache <[secret]>, mode production, "
        "keys [secret]\n[secret]\n[secret]\n[secret], json {\n[secret]\n}"
    )
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
        assert str(caught.value).count(f"url [secret], {shown}") == 2
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
