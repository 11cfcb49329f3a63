"""A command line, and a house where it does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from starters.temporal_server import TemporalServer
from tests.starters.shell import Shell
from tests.workflows.house import UI, House, house


@pytest.fixture(scope="module")
def home(temporal: TemporalServer) -> Iterator[House]:
    """A house with a worker, for all tests of a file."""
    with house(temporal.address) as built, built.working():
        yield built


@pytest.fixture
def shell(home: House, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A command line that reaches the house, in an empty world."""
    home.api.request("POST", "/_emulator/reset")
    monkeypatch.setenv("TEMPORAL_ADDRESS", home.address)
    monkeypatch.setenv("TEMPORAL_UI_URL", UI)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
    return Shell(home, tmp_path, capsys)
