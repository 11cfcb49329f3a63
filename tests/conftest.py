"""What tests of several packages share."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator

import pytest

from starters.temporal_server import TemporalServer

# Imports that go on in the background, as a local Scaleway's, write there until the process ends: what they have left
# must not fail a run whose tests have passed.
_BYTECODE = tempfile.TemporaryDirectory(prefix="scaleway-infra-bytecode-", ignore_cleanup_errors=True)
if sys.dont_write_bytecode:
    # The sandbox loads a run's modules anew: without bytecode each run of each test would compile them, too.
    sys.dont_write_bytecode, sys.pycache_prefix = False, _BYTECODE.name
    os.environ["PYTHONDONTWRITEBYTECODE"], os.environ["PYTHONPYCACHEPREFIX"] = "", _BYTECODE.name


@pytest.fixture(scope="session")
def temporal() -> Iterator[TemporalServer]:
    """The real Temporal server, one for all tests, in memory and on free ports.

    It allows time skipping. Tests keep apart by task queues and workflow ids of their own.
    """
    with TemporalServer(None, 0, None, time_skipping=True) as server:
        yield server


def pytest_unconfigure() -> None:
    """Let the Temporal SDK's threads come to rest before Python ends.

    Up to one in ten processes that used a client crashes at interpreter exit otherwise, after all tests have passed
    (temporalio/sdk-python issue 300).
    """
    gc.collect()
    time.sleep(0.1)
    _BYTECODE.cleanup()
