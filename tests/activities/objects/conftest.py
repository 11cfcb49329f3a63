"""A bucket for each test."""

from __future__ import annotations

import pytest

from tests.activities.conftest import Control
from tests.activities.objects.bucket import Bucket


@pytest.fixture
def bucket(emulator: Control) -> Bucket:
    """A bucket whose store is in the same project."""
    return Bucket(emulator)


@pytest.fixture(params=["inside", "through the worker"])
def either(request: pytest.FixtureRequest, emulator: Control) -> Bucket:
    """A bucket whose store is in the same project, or in another one."""
    return Bucket(emulator, elsewhere=request.param != "inside")
