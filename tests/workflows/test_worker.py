"""The worker as a process: one that dies loses nothing, one with wrong settings says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from starters.child import HOST
from starters.engine import Run
from starters.temporal_server import TemporalServer
from tests.starters import eventually
from tests.workflows.house import PACE, House, house, scaleway_environment, small
from workflows.messages import ChangeOutput
from workflows.plugin import GRACE

VPCS = "POST /vpc/v2/regions/{region}/vpcs"
TAKEN_OVER_IN = 15.0
"""Seconds from the death of a worker to the end of the step that it worked on."""


@contextmanager
def process(home: House, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is a process of its own, and killed in the end if it still runs."""
    environment = {**os.environ, **scaleway_environment(home.api), "SCALEWAY_INFRA_PACE": str(PACE)}
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env={**environment, "TEMPORAL_ADDRESS": home.address},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def until_in_a_call(home: House, run: Run[ChangeOutput]) -> None:
    """Wait until the VPC is being created."""
    home.until(run, lambda states: states.get("create vpc.main") == "running", patience=60)
    eventually(lambda: "create" in home.works_on(run))


def test_killed_in_the_middle_of_a_call(temporal: TemporalServer, tmp_path: Path) -> None:
    """The call that the dead worker began still comes to its end at Scaleway; the next worker finds what it made."""
    log = tmp_path / "worker.log"
    data = small(secrets={"token": {"generate": 32}})
    with house(temporal.address) as home:
        home.fault(VPCS, kind="slow", seconds=3.0, count=1)
        with process(home, log):
            run = home.begin(data)
            until_in_a_call(home, run)
        killed = time.monotonic()
        with home.working():
            home.until(run, lambda states: states["create vpc.main"] == "done")
            assert time.monotonic() - killed < TAKEN_OVER_IN
            made = home.result(run).outputs["vpc.main"]["id"]
            assert [item["id"] for item in home.resources()["vpc.vpcs"]] == [made]
            assert not home.plan(data).changes
            values = home.secret_values()
        assert 2 in attempts(home, run)
        assert values
        assert not [value for value in values if value in log.read_text()]


def test_told_to_stop_in_the_middle_of_a_call(temporal: TemporalServer, tmp_path: Path) -> None:
    """The call ends, its result counts, and nothing is left to do again: another worker just goes on."""
    log = tmp_path / "worker.log"
    data = small()
    with house(temporal.address) as home:
        home.fault(VPCS, kind="slow", seconds=3.0, count=1)
        with process(home, log) as told:
            run = home.begin(data)
            until_in_a_call(home, run)
            told.terminate()
            assert told.wait(GRACE.total_seconds()) == 0
        with home.working():
            home.result(run)
            assert not home.plan(data).changes
        assert attempts(home, run) == {1}
        assert "stopping: activities under way have" in log.read_text()


def attempts(home: House, run: Run[ChangeOutput]) -> set[int]:
    """Which attempt each activity of a run that is over needed."""
    events = json.loads(home.run(run.handle.fetch_history()).to_json())["events"]
    started = (event.get("activityTaskStartedEventAttributes", {}) for event in events)
    return {begun["attempt"] for begun in started if begun}


GOOD = {
    "SCW_ACCESS_KEY": "SCWLOCAL000000000000",
    "SCW_SECRET_KEY": "22222222-2222-4222-8222-222222222222",
    "SCW_DEFAULT_PROJECT_ID": "11111111-1111-4111-8111-111111111111",
}


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        (
            {
                "SCW_ACCESS_KEY": "my-key",
                "SCW_SECRET_KEY": "planted-value",
                "SCW_API_URL": "api.scaleway.com",
                "SCW_DEFAULT_PROJECT_ID": "",
                "SCALEWAY_INFRA_PACE": "0",
            },
            64,
            ["SCW_ACCESS_KEY: ", "SCW_SECRET_KEY: ", "SCW_API_URL: ", "SCW_DEFAULT_PROJECT_ID: ", "PACE: "],
        ),
        ({"TEMPORAL_NAMESPACE": "nowhere"}, 1, ["check TEMPORAL_NAMESPACE"]),
        ({"TEMPORAL_ADDRESS": f"{HOST}:1"}, 1, [f"no Temporal at {HOST}:1"]),
    ],
    ids=["Scaleway", "namespace", "address"],
)
def test_wrong_settings(temporal: TemporalServer, wrong: dict[str, str], code: int, words: list[str]) -> None:
    """The worker ends at once, says which setting it is, and shows no value of a secret one."""
    ended = subprocess.run(
        [sys.executable, "-m", "worker"],
        env={**os.environ, **GOOD, "TEMPORAL_ADDRESS": temporal.address, **wrong},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert [word for word in words if word not in ended.stderr] == []
    assert "Traceback" not in ended.stderr
    assert "planted-value" not in ended.stdout + ended.stderr
