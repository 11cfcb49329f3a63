"""Whatever fails: the run is found, understood and mended by what Temporal's UI asks of the server, by nothing else."""

from __future__ import annotations

import re
from contextlib import ExitStack
from importlib import import_module
from pkgutil import walk_packages

import pytest

import blueprint
from blueprint.contract import ActivityType
from tests.ui.mishaps import AGAIN, HEALTH, MISHAPS, UNKNOWN, Mishap, Scene
from tests.ui.ui_requests import Json, UiRequests
from tests.workflows.house import House


def test_every_activity_goes_wrong_here() -> None:
    """The table below leaves none out."""
    names = [found.name for found in walk_packages(blueprint.__path__, "blueprint.") if not found.ispkg]
    contracts = [import_module(name) for name in names if name.rpartition(".")[2] == "contract"]
    known = [value for contract in contracts for value in vars(contract).values()]
    assert set(MISHAPS) == {kind.name for kind in known if isinstance(kind, ActivityType)}


@pytest.mark.parametrize("mishap", MISHAPS.values(), ids=list(MISHAPS))
def test_mended(mishap: Mishap, home: House, requests_of_ui: UiRequests) -> None:
    """From the list to the end: the filter finds it, its page says what happened and what to do, and that works."""
    ui = requests_of_ui
    with ExitStack() as stack:
        scene = mishap.begin(home, stack)
        failed: dict[str, str] = {}
        for stage in mishap.ending:
            run = reach(ui, scene, stage)
            failed |= ui.failed_activities(run)
            if stage in ("parked", "skipped"):
                understood(ui, run, mishap)
                if stage == "parked":
                    scene.mend()
                assert ui.update(run, "retry" if stage == "parked" else "skip") == ""
            elif stage in ("failed", "unknown"):
                if stage == "unknown":
                    unseen(ui, run, mishap)
                assert mishap.ending != AGAIN or mishap.names in ui.failure(run)
                scene.mend()
                ui.start_like(run)
            assert ui.without_summary(run) == []
        if mishap.ending == UNKNOWN:
            assert f"all {len(HEALTH)} checks are well" in ui.current_details(run)
        assert mishap.activity in failed, "it is this one that went wrong"


def reach(ui: UiRequests, scene: Scene, stage: str) -> Json:
    """The run, found by what the list can be filtered by, once it is so far."""
    where = f"Environment = '{scene.environment}'"
    if stage in ("parked", "skipped"):
        return ui.until(f"{where} AND NeedsOperator = true AND ExecutionStatus = 'Running'")
    if stage in ("failed", "unknown"):
        return ui.until(f"{where} AND ExecutionStatus = 'Failed'")
    return ui.until(f"WorkflowId = '{scene.run.handle.id}' AND ExecutionStatus = 'Completed'")


def understood(ui: UiRequests, run: Json, mishap: Mishap) -> None:
    """The page names the object, the cause and every choice, and who asked."""
    details = ui.current_details(run)
    assert "## Waiting for an operator" in details
    assert mishap.names in details
    assert "made to fail" in details or "quota" in details
    assert "| `retry` | none |" in details
    assert "| `abort` | none" in details
    summary, static = ui.user_metadata(run)
    by = ui.memo(run)["by"]
    assert by in summary
    assert f"Asked for by {by}" in static


def unseen(ui: UiRequests, run: Json, mishap: Mishap) -> None:
    """The page tells what could not be looked at from what could, and the run's end says what to do."""
    details = ui.current_details(run)
    assert f"- **could not be checked**: {mishap.names}: made to fail" in details
    others = {other.activity.removeprefix("health_") for other in HEALTH if other != mishap}
    assert set(re.findall(r"^\| `(\w+)` \| up \|", details, re.MULTILINE)) == others
    ended = ui.failure(run)
    assert mishap.names in ended
    assert "see that the worker can look" in ended
