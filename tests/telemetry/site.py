"""A worker that is a process of its own, with settings of its own, on a local Scaleway."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starters.temporal_server import TemporalServer
from tests.emulator.conftest import running
from tests.emulator.real.local import eventually
from tests.workflows.house import House, scaleway_environment
from workflows.identity import TASK_QUEUE

ROOT = Path(__file__).parents[2]
LISTENS = f"working on {TASK_QUEUE}"
"""What a worker logs when it begins."""


@contextmanager
def worked(temporal: TemporalServer, log: Path, **settings: str) -> Iterator[House]:
    """A house whose worker is such a process, and has ended in order at the end.

    Args:
        temporal: the server.
        log: what the worker prints.
        settings: more variables of its environment.
    """
    with running() as api, log.open("w") as output:
        house = House(api, temporal.address, TASK_QUEUE)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environment |= {"TEMPORAL_ADDRESS": temporal.address, "SCALEWAY_INFRA_PACE": "0.02"}
        environment |= scaleway_environment(api) | settings
        worker = subprocess.Popen([sys.executable, "-m", "worker"], env=environment, cwd=ROOT, stderr=output)
        try:
            # A cold start on a busy machine is no part of what is waited for afterwards.
            eventually(lambda: LISTENS in log.read_text(), "the worker listens")
            yield house
        finally:
            worker.terminate()
            worker.wait(30)
            house.close()
