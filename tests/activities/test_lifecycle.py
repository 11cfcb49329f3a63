"""What an object's health means for whoever wants to use or change it."""

from __future__ import annotations

import pytest

from activities.lifecycle import require_usable
from blueprint.errors import EngineError, FailedState, NotReady
from blueprint.resource import Health


@pytest.mark.parametrize(
    ("health", "status", "expected"),
    [("pending", "provisioning", NotReady), ("failed", "disk_full", FailedState)],
)
def test_an_object_that_cannot_be_used(health: Health, status: str, expected: type[EngineError]) -> None:
    """What is on its way is waited for; what ended badly is not, and a person is told."""
    with pytest.raises(expected, match=f"rdb_instance.main: .*'{status}'") as caught:
        require_usable("rdb_instance.main", health, status)

    assert caught.value.retryable == (health == "pending")


def test_an_object_that_can_be_used() -> None:
    """Nothing happens."""
    require_usable("rdb_instance.main", "ok", "ready")
