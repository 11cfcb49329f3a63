"""A Temporal server with its UI, a house of everything else, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from starters.temporal_server import TemporalServer
from tests.ui.temporal_ui import SIZE, TemporalUi
from tests.ui.ui_requests import UiRequests
from tests.workflows.house import House, house


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option for the images of the documents."""
    parser.addoption("--images", type=Path, help="keep pictures of Temporal's UI in this folder")


@pytest.fixture(scope="package")
def with_ui() -> Iterator[TemporalServer]:
    """A Temporal server with its UI."""
    with TemporalServer(None, 0, 0, time_skipping=True) as server:
        yield server


@pytest.fixture(scope="package")
def _house(with_ui: TemporalServer) -> Iterator[House]:
    with house(with_ui.address, "ui-under-test") as built, built.working():
        yield built


@pytest.fixture
def home(_house: House) -> House:
    """A house with a worker and an empty world."""
    _house.api.request("POST", "/_emulator/reset")
    return _house


@pytest.fixture(scope="package")
def requests_of_ui(with_ui: TemporalServer) -> UiRequests:
    """What the UI asks the server."""
    assert with_ui.ui_url
    return UiRequests(with_ui.ui_url)


@pytest.fixture(scope="package")
def _page() -> Iterator[Page]:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here: .ci/run installs it")
    # Its sandbox wants a user other than root, and shared memory that containers do not have.
    options = ["--no-sandbox", "--disable-dev-shm-usage"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=browser, args=options) as chromium,
    ):
        yield chromium.new_page(viewport=SIZE)


@pytest.fixture
def ui(_page: Page, with_ui: TemporalServer, request: pytest.FixtureRequest) -> TemporalUi:
    """The UI in a browser."""
    assert with_ui.ui_url
    return TemporalUi(_page, with_ui.ui_url, request.config.getoption("--images", default=None))
