"""One house for all tests of the workflows; each test begins with an empty world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from blueprint.backup.site import BackupSite
from starters.temporal_server import TemporalServer
from tests.workflows.house import House, house
from tests.workflows.vault import Vault
from tests.workflows.vault_house import VaultHouse, Vaults, vault_house


@pytest.fixture(scope="session")
def _house(temporal: TemporalServer) -> Iterator[House]:
    with house(temporal.address, "workflows-under-test") as built, built.working():
        yield built


@pytest.fixture
def home(_house: House) -> House:
    """A house with a worker and an empty world. Environments keep apart by organizations of their own."""
    _house.api.request("POST", "/_emulator/reset")
    return _house


@pytest.fixture
def vaults(home: House) -> Iterator[Vaults]:
    """Gives houses of vaults."""
    with ExitStack() as stack:

        def build(site: BackupSite) -> VaultHouse:
            return stack.enter_context(vault_house(home, Vault(site)))

        yield build
