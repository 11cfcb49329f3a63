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
from tests.workflows.house import House, scaleway_environment
from workflows.identity import TASK_QUEUE

ROOT = Path(__file__).parents[2]


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
            yield house
        finally:
            worker.terminate()
            worker.wait(30)
            house.close()
