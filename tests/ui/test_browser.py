"""Somebody has a browser with Temporal's UI, and nothing else: a failed run is found, understood and mended there.

One story of each kind. `test_every_activity.py` has all the others, by the requests that these pages make.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from playwright.sync_api import expect

from tests.ui.mishaps import MISHAPS, Scene
from tests.ui.temporal_ui import TemporalUi
from tests.workflows.house import House
from tests.workflows.test_approval import protected, waiting


@contextmanager
def waiting_for_somebody(home: House, ui: TemporalUi, activity: str, picture: str) -> Iterator[Scene]:
    """On the page of a run that waits: the list's filter finds it, and it names object, cause and choices.

    Args:
        home: where it runs.
        ui: the browser.
        activity: what goes wrong.
        picture: how the documents call a picture of the page.
    """
    mishap = MISHAPS[activity]
    with ExitStack() as stack:
        scene = mishap.begin(home, stack)
        home.until(scene.run, parked, patience=60)
        found = ui.find(f'Environment = "{scene.environment}" AND NeedsOperator = true', scene.run.handle.id)
        if activity == "create":
            ui.picture("waiting-runs", height=340)
        ui.open(found)
        details = ui.current_details()
        for told in ("Waiting for an operator", mishap.names, "retry", "abort"):
            expect(details).to_contain_text(told)
        ui.picture(picture)
        yield scene


def test_an_apply_goes_on(home: House, ui: TemporalUi) -> None:
    """A word that makes no sense is refused with a sentence; a click brings the run to its end."""
    with waiting_for_somebody(home, ui, "create", "parked") as scene:
        assert "'create vpc.main' is not parked" in ui.refused_update("skip", '{"step": "create vpc.main"}')
        scene.mend()
        ui.send_update("retry")
        ui.expect_status("Completed")


def test_a_release_goes_back_and_is_started_again(home: House, ui: TemporalUi) -> None:
    """Its way back waits, ends tidily, and the next run is made of the form as it is."""
    with waiting_for_somebody(home, ui, "release_switch", "parked-release") as scene:
        scene.mend()
        ui.send_update("retry")
        ui.expect_status("Failed")
        # The page follows the run's status, but shows its details as they were when it was opened.
        ui.page.reload()
        expect(ui.current_details()).to_contain_text("Start Workflow Like This One")
        ui.start_again()
        where = f'Environment = "{scene.environment}" AND ExecutionStatus = "Completed"'
        ui.open(ui.find(where, scene.run.handle.id))
        ui.expect_status("Completed")


def test_a_backup_is_ended(home: House, ui: TemporalUi) -> None:
    """Somebody gives it up."""
    with waiting_for_somebody(home, ui, "backup_database", "parked-backup") as scene:
        ui.send_update("abort")
        assert home.failure(scene.run) == ("aborted", "ended by an operator: no reason given")
        ui.expect_status("Failed")


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


def test_an_empty_form(home: House, ui: TemporalUi) -> None:
    """A run that is started without its input fails on its page, with a sentence, and holds nothing up."""
    ui.start_empty("environment/empty-form", home.task_queue, "Deploy")
    ui.open(ui.find('WorkflowId = "environment/empty-form"', "environment/empty-form"))
    ui.expect_status("Failed")
    expect(ui.page.get_by_text("it was started with no input").first).to_be_visible()


def parked(states: dict[str, str]) -> bool:
    """Whether nothing is left that could go on by itself."""
    return "parked" in states.values() and "running" not in states.values()
