"""Releases on a real machine, step by step: each can be repeated, and takes up what was broken off."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.release.on_node import OnNode
from blueprint.errors import (
    NotReady,
    Refused,
    UnknownRef,
)
from tests.activities.release_site import OBSTACLE, Fleet
from tests.activities.release_site import fleet as fleet
from tests.activities.ssh_site import NODE
from tests.emulator.real.local import eventually

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")


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
