"""Which version of the engine a worker is: a run ends on the code that it began with.

Off unless one of the two settings is there: for one worker that is replaced in place, replay is enough. Once on, no run
begins before a version was made the current one (`scaleway-infra worker promote`), and a worker of the version before
has to stay until its runs are over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from temporalio.common import WorkerDeploymentVersion

from workflows.identity import TASK_QUEUE

DEPLOYMENT_SETTING = "TEMPORAL_DEPLOYMENT_NAME"
"""Names of both settings: those that Temporal's own controller for workers gives to its workers."""
BUILD_SETTING = "TEMPORAL_WORKER_BUILD_ID"
DEFAULT_DEPLOYMENT = TASK_QUEUE
SOURCES = ("activities", "blueprint", "telemetry", "transfer", "workflows")
"""Packages that a worker runs, besides `worker.py`."""

_ROOT = Path(__file__).resolve().parents[1]
_DIGITS = 12


def deployment_name(environment: Mapping[str, str]) -> str:
    """What workers of all versions are called together.

    Args:
        environment: of the process.
    """
    return environment.get(DEPLOYMENT_SETTING) or DEFAULT_DEPLOYMENT


def version_from(environment: Mapping[str, str]) -> WorkerDeploymentVersion | None:
    """The version that a worker in this environment is; None if it is to have none.

    Args:
        environment: of the process.
    """
    if not (environment.get(DEPLOYMENT_SETTING) or environment.get(BUILD_SETTING)):
        return None
    return WorkerDeploymentVersion(deployment_name(environment), build_id_from(environment))


def build_id_from(environment: Mapping[str, str]) -> str:
    """The build ID that is set, or that of the code.

    Args:
        environment: of the process.
    """
    return environment.get(BUILD_SETTING) or code_digest(_ROOT)


def code_digest(root: Path) -> str:
    """A build ID from what a worker would run: the same code has the same one, wherever it was installed.

    Args:
        root: folder with the packages and `worker.py`.
    """
    digest = hashlib.sha256()
    for path in sorted([root / "worker.py", *(path for name in SOURCES for path in (root / name).rglob("*.*"))]):
        if path.suffix in (".py", ".sh"):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:_DIGITS]
