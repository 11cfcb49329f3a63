"""Temporal's UI as somebody uses it who has a browser and nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import FloatRect, Locator, Page, ViewportSize, expect

SIZE = ViewportSize(width=1500, height=1100)
"""Of the window, in pixels."""
PATIENCE = 30_000
"""Milliseconds until something has to be seen."""


class TemporalUi:
    """The UI in a browser.

    Args:
        page: of the browser.
        address: of the UI.
        images: where pictures are kept; nowhere if None.
    """

    def __init__(self, page: Page, address: str, images: Path | None) -> None:
        self.page = page
        self._address = address
        self._images = images
        page.set_default_timeout(PATIENCE)

    def find(self, query: str, workflow_id: str) -> Locator:
        """Open the list of runs with a filter, as a saved view does. Returns the run's link, once it is there.

        The list counts anew by itself, and shows what is new at a click on *Refresh*.
        """
        self.page.goto(f"{self._address}/namespaces/default/workflows?query={quote(query)}")
        link = self.page.get_by_role("link", name=workflow_id).first
        deadline = time.monotonic() + PATIENCE / 1000
        while not link.is_visible():
            assert time.monotonic() < deadline, query
            self.page.wait_for_timeout(500)
            self.page.get_by_role("button", name="Refresh").click()
        return link

    def open(self, link: Locator) -> None:
        """Open the page of a run that is in the list."""
        link.click()
        expect(self.page.get_by_role("button", name="More Actions")).to_be_visible(timeout=PATIENCE)

    def current_details(self) -> Locator:
        """Open what the run says of itself. Returns the part of the page that has it."""
        self.page.get_by_test_id("user-metadata-tab").click()
        details = self.page.frame_locator("iframe").last.locator("body")
        try:
            expect(details).not_to_be_empty(timeout=PATIENCE / 3)
        except AssertionError:
            # The page asks once only, and a worker that is busy may have been too slow.
            self.page.keyboard.press("r")
        return details

    def send_update(self, name: str, data: str = "") -> None:
        """Send an update, and wait until it was taken."""
        dialog = self._update(name, data)
        expect(dialog).to_be_hidden(timeout=PATIENCE)

    def refused_update(self, name: str, data: str = "") -> str:
        """Send an update that is refused. Returns what the dialog says, and closes it."""
        dialog = self._update(name, data)
        alert = dialog.locator(".alert.error")
        expect(alert).to_be_visible(timeout=PATIENCE)
        said = alert.inner_text()
        dialog.get_by_test_id("cancel-modal-button").click()
        return said

    def _update(self, name: str, data: str) -> Locator:
        self._choose("Send an Update")
        dialog = self.page.get_by_role("dialog", name="Send an Update")
        dialog.get_by_test_id("update-select-button").click()
        dialog.get_by_role("option", name=name).click()
        if data:
            dialog.get_by_role("textbox").last.fill(data)
        # After typing, the first click is swallowed: the form is laid out anew under the mouse.
        dialog.get_by_role("button", name="Submit").press("Enter")
        return dialog

    def start_again(self) -> None:
        """Start a run like the one on the page, with everything as the form has it, and wait until it was taken."""
        self._choose("Start Workflow Like This One")
        expect(self.page.get_by_test_id("start-workflow")).to_be_visible(timeout=PATIENCE)
        # The form is there before what it is filled with (input, summary, details), and sends what it has by then.
        filled = self.page.locator(".cm-content")
        expect(filled).to_contain_text(["{", re.compile("."), re.compile(".")], timeout=PATIENCE)
        self.page.get_by_role("button", name="Start Workflow", exact=True).click()
        expect(self.page.get_by_text("Workflow started successfully").first).to_be_visible(timeout=PATIENCE)

    def start_empty(self, workflow_id: str, task_queue: str, kind: str) -> None:
        """Start a run by the form of the list's *Start Workflow*, with no more than what the form insists on."""
        self.page.goto(f"{self._address}/namespaces/default/workflows/start-workflow")
        self.page.get_by_label("Workflow ID").fill(workflow_id)
        self.page.get_by_label("Task Queue").fill(task_queue)
        self.page.get_by_label("Workflow Type").fill(kind)
        self.page.get_by_role("button", name="Start Workflow", exact=True).click()
        expect(self.page.get_by_text("Workflow started successfully").first).to_be_visible(timeout=PATIENCE)

    def _choose(self, action: str) -> None:
        self.page.get_by_role("button", name="More Actions").click()
        # By its role: menus for narrow windows have the same entries, hidden.
        self.page.get_by_role("menuitem", name=action).click()

    def expect_status(self, status: str) -> None:
        """Wait until the page says that its run is so: "Running", "Completed", "Failed", ..."""
        expect(self.page.get_by_test_id("execution-status").first).to_contain_text(status, timeout=PATIENCE)

    def picture(self, name: str, height: int = SIZE["height"]) -> None:
        """Keep a picture of the page, if that is wanted.

        Args:
            name: of the file.
            height: pixels of it that tell something.
        """
        if self._images:
            shown = FloatRect(x=0, y=0, width=SIZE["width"], height=height)
            self.page.screenshot(path=self._images / f"{name}.png", clip=shown)
