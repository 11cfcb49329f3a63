"""One house for all tests of the workflows; each test begins with an empty world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from starters.temporal_server import TemporalServer
from tests.workflows.house import House, house


@pytest.fixture(scope="session")
def _house(temporal: TemporalServer) -> Iterator[House]:
    with house(temporal.address, "workflows-under-test") as built, built.working():
        yield built


@pytest.fixture
def home(_house: House) -> House:
    """A house with a worker and an empty world. Environments keep apart by organizations of their own."""
    _house.api.request("POST", "/_emulator/reset")
    return _house
