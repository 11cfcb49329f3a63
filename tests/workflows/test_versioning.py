"""Versions of the worker: what one is called, what Temporal tells of them, and what says that a run waits in vain."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion

from starters.temporal_server import TemporalServer
from starters.worker_versions import Version, VersionNotThere, explained, promote, versions
from tests.workflows.house import house
from tests.workflows.test_replay import definition
from workflows.registry import WORKFLOWS
from workflows.versioning import SOURCES, code_digest, version_from

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environment", "version"),
    [
        ({}, None),
        ({"TEMPORAL_DEPLOYMENT_NAME": "", "TEMPORAL_WORKER_BUILD_ID": ""}, None),
        ({"TEMPORAL_WORKER_BUILD_ID": "0.2.0"}, WorkerDeploymentVersion("scaleway-infra", "0.2.0")),
        (
            {"TEMPORAL_DEPLOYMENT_NAME": "ours", "TEMPORAL_WORKER_BUILD_ID": "0.2.0"},
            WorkerDeploymentVersion("ours", "0.2.0"),
        ),
        ({"TEMPORAL_DEPLOYMENT_NAME": "ours"}, WorkerDeploymentVersion("ours", code_digest(ROOT))),
    ],
    ids=["none", "empty", "build", "both", "digest"],
)
def test_what_a_worker_is_called(environment: dict[str, str], version: WorkerDeploymentVersion | None) -> None:
    """By its settings; by its code if only the deployment is named; by nothing if neither is."""
    assert version_from(environment) == version


def test_other_code_is_another_version(tmp_path: Path) -> None:
    """A copy has the same build ID, and another one with one line more; what Python compiled does not count."""
    for name in SOURCES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "worker.py", tmp_path)
    assert code_digest(tmp_path) == code_digest(ROOT)
    (tmp_path / "workflows" / "__pycache__").mkdir()
    (tmp_path / "workflows" / "__pycache__" / "apply.cpython-311.pyc").write_bytes(b"compiled")
    assert code_digest(tmp_path) == code_digest(ROOT)
    with (tmp_path / "workflows" / "apply.py").open("a") as file:
        file.write("\n")
    assert code_digest(tmp_path) != code_digest(ROOT)


def test_only_what_lives_for_weeks_moves_to_another_version() -> None:
    """Everything else ends on the version that it began with."""
    moving = {
        definition(workflow).name
        for workflow in WORKFLOWS
        if definition(workflow).versioning_behavior == VersioningBehavior.AUTO_UPGRADE
    }
    assert moving == {"Freeze"}


CURRENT = Version("b", "current", 2.0, runs=1, workers=1)


@pytest.mark.parametrize(
    ("found", "good", "words"),
    [
        ([], True, "not versioned"),
        ([CURRENT], True, "b is current"),
        ([CURRENT, Version("a", "draining", 1.0, runs=3, workers=1)], True, "b is current; a has 3 runs to end"),
        ([CURRENT, Version("a", "drained", 1.0, runs=0, workers=0)], True, "b is current"),
        ([CURRENT, Version("a", "draining", 1.0, runs=3, workers=0)], False, "wait for a worker of a (3 runs)"),
        ([Version("b", "current", 2.0, runs=0, workers=0)], False, "wait for a worker of b (new runs)"),
        ([Version("a", "inactive", None, runs=0, workers=1)], False, "none is current"),
    ],
    ids=["none", "one", "draining", "drained", "missed", "nobody", "not promoted"],
)
def test_what_is_said_of_versions(found: list[Version], good: bool, words: str) -> None:
    """It is bad exactly if some run has no worker that could go on with it."""
    said, text, remedy = explained(found)
    assert said is good
    assert words in text
    assert bool(remedy) is not good


def test_a_version_without_a_worker_is_not_promoted(temporal: TemporalServer) -> None:
    """It would leave every new run waiting; and a deployment that never was has no versions."""
    deployment = f"d{uuid.uuid4().hex[:8]}"
    with house(temporal.address) as home:
        with pytest.raises(VersionNotThere) as refused:
            home.run(promote(home.engine, deployment, "never-started"))
        assert "never-started" in refused.value.message
        assert home.run(versions(home.engine, deployment)) == []
