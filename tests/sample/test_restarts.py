"""Restarts under real systemd: what the unit promises."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.sample.restarts import Trial, measure


@pytest.fixture
def root(rootfs: Path | None) -> Path:
    """A root file system to boot."""
    if os.geteuid():
        pytest.skip("only root boots machines")
    for program in ("systemd-nspawn", "haproxy"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if rootfs is None:
        pytest.skip("no root file system: one is made when a machine of the local Scaleway is first started")
    return rootfs


def test_a_restart_loses_nothing_nor_does_a_release_that_cannot_start(root: Path, bun: str) -> None:
    """The old server goes on until a new one listens: clients see nothing of it, and each socket is closed once."""
    with tempfile.TemporaryDirectory(prefix="restarts-", dir="/var/tmp") as folder:
        trial = Trial(root=root, bun=Path(bun), restarts=1, every=2.5, rate=100, sockets=20, broken=True)
        report = measure(trial, Path(folder))
    assert report.failures == {}
    assert report.requests.sent > 300
    assert set(report.releases) == {"release-a", "release-b"}
    assert (report.sockets.going_away, report.sockets.cut) == (20, 0)
