"""Somebody has a browser with Temporal's UI, and nothing else: a failed run is found, understood and mended there."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.ui.mishaps import MISHAPS, Mishap
from tests.ui.temporal_ui import TemporalUi
from tests.workflows.house import House
from tests.workflows.test_approval import protected, waiting

FAMILIES = (
    "create", "update", "delete", "wait_ready", "plan", "release_switch", "backup_database", "restore_load"
)  # fmt: skip
"""One of each; all the others go wrong in `test_every_activity.py`, by the requests that these pages make."""
PICTURES = {"create": "parked", "release_switch": "parked-release", "backup_database": "parked-backup"}
"""Of which runs the documents have a picture, and how it is called."""


@pytest.mark.parametrize("mishap", [MISHAPS[name] for name in FAMILIES], ids=FAMILIES)
def test_mended(mishap: Mishap, home: House, ui: TemporalUi) -> None:
    """The list's filter finds it; its page names object, cause and choices; a click brings it to its end."""
    with ExitStack() as stack:
        scene = mishap.begin(home, stack)
        where, workflow_id = f'Environment = "{scene.environment}"', scene.run.handle.id
        for stage in mishap.ending:
            if stage == "parked":
                home.until(scene.run, parked, patience=60)
                found = ui.find(f"{where} AND NeedsOperator = true", workflow_id)
                if mishap.activity == "create":
                    ui.picture("waiting-runs", height=340)
                ui.open(found)
                details = ui.current_details()
                for told in ("Waiting for an operator", mishap.names, "retry", "abort"):
                    expect(details).to_contain_text(told)
                if name := PICTURES.get(mishap.activity):
                    ui.picture(name)
                scene.mend()
                ui.send_update("retry")
            elif stage == "failed":
                home.failure(scene.run)
                ui.open(ui.find(f'{where} AND ExecutionStatus = "Failed"', workflow_id))
                ui.expect_status("Failed")
                expect(ui.current_details()).to_contain_text("Start Workflow Like This One")
                scene.mend()
                ui.start_again()
            else:
                ui.open(
                    ui.find(f'{where} AND WorkflowId = "{workflow_id}" AND ExecutionStatus = "Completed"', workflow_id)
                )
                ui.expect_status("Completed")


def test_approved(home: House, ui: TemporalUi) -> None:
    """A protected environment's run shows its plan, and the data to send; what is pasted from there lets it on."""
    run = waiting(home, protected())
    ui.open(ui.find("NeedsOperator = true", run.handle.id))
    details = ui.current_details()
    expect(details).to_contain_text("create vpc.main")
    assert "approve" in ui.refused_update("retry")
    ui.picture("waiting-for-approval")
    data = next(text for text in details.locator("code").all_inner_texts() if "fingerprint" in text)
    ui.send_update("approve", data.replace("YOUR NAME", "ben"))
    assert home.result(run).approval is not None


def test_refused(home: House, ui: TemporalUi) -> None:
    """A word that makes no sense is refused with a sentence, and changes nothing."""
    with ExitStack() as stack:
        scene = MISHAPS["create"].begin(home, stack)
        home.until(scene.run, parked, patience=60)
        ui.open(ui.find(f'Environment = "{scene.environment}" AND NeedsOperator = true', scene.run.handle.id))
        said = ui.refused_update("skip", '{"step": "create vpc.main"}')
        assert "'create vpc.main' is not parked" in said
        ui.send_update("abort")
        assert home.failure(scene.run) == ("aborted", "ended by an operator: no reason given")
        ui.expect_status("Failed")


def parked(states: dict[str, str]) -> bool:
    """Whether nothing is left that could go on by itself."""
    return "parked" in states.values() and "running" not in states.values()
