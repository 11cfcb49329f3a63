"""A worker that dies in the middle of a call loses nothing: another one takes over, and nothing is made twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from starters.temporal_server import TemporalServer
from tests.starters import eventually
from tests.workflows.house import PACE, house, scaleway_environment, small

VPCS = "POST /vpc/v2/regions/{region}/vpcs"
TAKEN_OVER_IN = 15.0
"""Seconds from the death of a worker to the end of the step that it worked on."""


def test_killed_in_the_middle_of_a_call(temporal: TemporalServer, tmp_path: Path) -> None:
    """The call that the dead worker began still comes to its end at Scaleway; the next worker finds what it made."""
    log = tmp_path / "worker.log"
    data = small(secrets={"token": {"generate": 32}})
    with house(temporal.address) as home, log.open("wb") as output:
        home.fault(VPCS, kind="slow", seconds=3.0, count=1)
        environment = {**os.environ, **scaleway_environment(home.api), "SCALEWAY_INFRA_PACE": str(PACE)}
        doomed = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env={**environment, "TEMPORAL_ADDRESS": temporal.address},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            run = home.begin(data)
            home.until(run, lambda states: states.get("create vpc.main") == "running", patience=60)
            eventually(lambda: "create" in home.works_on(run))
        finally:
            doomed.kill()
            doomed.wait()
        killed = time.monotonic()
        with home.working():
            home.until(run, lambda states: states["create vpc.main"] == "done")
            assert time.monotonic() - killed < TAKEN_OVER_IN
            made = home.result(run).outputs["vpc.main"]["id"]
            assert [item["id"] for item in home.resources()["vpc.vpcs"]] == [made]
            assert not home.plan(data).changes
            values = home.secret_values()
        assert values
        assert not [value for value in values if value in log.read_text()]
