"""`deploy` while a deploy is under way, against a real Temporal server and a fleet of nodes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint.environment import parse
from blueprint.release.site import site_of
from starters.cli.app import invoke
from starters.cli.exits import Exit
from starters.engine import target_of
from starters.rehearsal import ROOT
from starters.temporal_server import TemporalServer
from tests.workflows.fleet import NEW, OLD, Fleet, FleetHouse, fleet_house
from tests.workflows.house import UI, House, house
from workflows.identity import TASK_QUEUE

OTHER = "c" * 40


@pytest.fixture
def data() -> dict[str, Any]:
    """Prod with two nodes, of an organization of its own."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "environments" / "prod.yaml").read_text())
    data["nodes"]["core"]["count"] = 2
    del data["approval"]
    return data | {"org": f"r{uuid.uuid4().hex[:8]}", "production": False}


@pytest.fixture
def home(temporal: TemporalServer) -> Iterator[House]:
    """A house without a worker of its own."""
    with house(temporal.address) as built:
        yield built


@pytest.fixture
def rolling(
    home: House, data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FleetHouse, list[str]]]:
    """A deploy whose first node is outside the pool until somebody cancels it, and a command line for another one."""
    (tmp_path / "prod.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setenv("TEMPORAL_ADDRESS", home.address)
    monkeypatch.setenv("TEMPORAL_UI_URL", UI)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    environment = parse(data)
    site = site_of(environment, target_of(environment))
    assert site
    fleet = Fleet(site.nodes)
    fleet.site = site
    fleet.slow.add("drain")
    with fleet_house(home, fleet, TASK_QUEUE) as built:
        run = built.begin()
        home.until(run, lambda states: "running" in (states.get(f"drain {node}") for node in site.nodes))
        yield built, ["--directory", str(tmp_path), "deploy", "prod", "--yes", "--detach", "--ref"]
        home.run(run.cancel())
        home.failure(run)


def test_the_same_commit_is_joined(rolling: tuple[FleetHouse, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """A command that lost its terminal is typed again, at whatever moment: what runs is no reason to refuse it."""
    built, command = rolling
    assert len(built.fleet.pool()) == 1
    assert invoke([*command, NEW]) == Exit.DONE
    assert "Joined: this very deploy" in capsys.readouterr().err


def test_another_commit_has_to_wait(rolling: tuple[FleetHouse, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """It is told what runs, not what the fleet looks like in the middle of it."""
    built, command = rolling
    assert invoke([*command, OTHER]) == Exit.BUSY
    assert "deploy runs since" in capsys.readouterr().err
    assert OLD in built.fleet.currents()
