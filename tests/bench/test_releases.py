"""The whole path at once: a release under load on real machines behind a real balancer, and one that goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.rehearsed import FAILED, RELEASED, measured
from emulator.real.haproxy.follower import LoadBalancers
from emulator.real.machines.follower import Machines
from emulator.world import World
from starters.rehearsal import Traffic

LIGHT = Traffic(rate=60, sockets=20, jobs=1)


@pytest.fixture
def real(tmp_path: Path) -> None:
    """Skips where real things cannot be had."""
    for follower in (Machines(tmp_path / "machines"), LoadBalancers(World(), tmp_path / "balancers")):
        if obstacle := follower.obstacle():
            pytest.skip(obstacle)


@pytest.mark.usefixtures("real")
def test_users_notice_neither_a_release_nor_one_that_goes_back() -> None:
    """Two nodes under load: a good release, then one that is never healthy."""
    with measured(2, drain="2s", soak="1s", healthy_within="8s") as site:
        with site.rehearsal.load(LIGHT) as load:
            good = site.deploy()
            bad = site.deploy("fails health")
            seen = load.end()

        assert (good.code, bad.code) == (RELEASED, FAILED), good.told + bad.told
        assert good.record
        assert bad.record
        assert (good.record.result, bad.record.result) == ("released", "rolled back")
        assert [node.node for node in bad.record.nodes] == ["lssm-prod-core-01"]
        assert seen.failures == {}, seen.examples
        assert seen.requests.sent > 500
        assert (seen.sockets.cut, seen.sockets.going_away > 0) == (0, True)
        assert set(seen.releases) == {good.record.previous, good.record.commit}
        assert site.untidy(good.record.commit) == []
