"""The policy that `iam-policy` prints: an environment can be had with it, and with nothing less."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from blueprint.environment import parse
from blueprint.environment.loader import read
from blueprint.errors import PermissionDenied
from blueprint.permissions import Rule, needed
from emulator.world import DEFAULT_ORGANIZATION, DEFAULT_PROJECT
from starters.cli.granting import api_rules
from starters.engine import Run
from tests.workflows.house import House, small
from workflows.messages import AbortInput

IAM = "/iam/v1alpha1"
FILE = read("prod", Path("environments"))
for _section in ("app", "backup", "health", "schedules", "approval"):
    # What goes on inside of machines needs real ones; `bench` does all of it there. Nobody is here to approve.
    FILE.pop(_section, None)
ALL = needed(parse(FILE))
NAMES = [name for rule in ALL for name in rule.permission_sets]
SEEN_BY_DESTROY = ("ObjectStorageBucketsDelete",)
"""Sets that only a destroy takes."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grants are seen at once here, so that nothing is waited for."""
    monkeypatch.setattr("activities.boundary._PATIENCE_OF_A_LOOK", 0.2)
    monkeypatch.setattr(PermissionDenied, "patience", 0.2)


def without(name: str) -> list[Rule]:
    """The policy with one permission set less."""
    return [Rule(rule.scope, tuple(other for other in rule.permission_sets if other != name)) for rule in ALL]


@contextmanager
def allowed(home: House, rules: Sequence[Rule]) -> Iterator[None]:
    """With a worker that has the key of an application with this policy, and no other right."""

    def made(path: str, **body: Any) -> Any:
        status, answer = home.api.request("POST", IAM + path, {"name": "engine", "description": "", **body})
        assert status == 200, answer
        return answer

    scopes: dict[str, dict[str, Any]] = {
        "project": {"project_ids": [DEFAULT_PROJECT]},
        "organization": {"organization_id": DEFAULT_ORGANIZATION},
    }
    specs = [{"permission_set_names": list(r.permission_sets), **scopes[r.scope]} for r in rules if r.permission_sets]
    application = made("/applications")["id"]
    made("/policies", application_id=application, rules=specs)
    key = made("/api-keys", application_id=application)
    with home.working_instead(SCW_ACCESS_KEY=key["access_key"], SCW_SECRET_KEY=key["secret_key"]):
        yield


def outcome(home: House, data: dict[str, Any], **wishes: Any) -> str:
    """How a change ends: "" if it is done, else why it failed, or what parked it; then it is aborted."""
    run = home.begin(data, **wishes)
    deadline = time.monotonic() + 60
    while (status := home.run(run.handle.describe()).status) == WorkflowExecutionStatus.RUNNING:
        assert time.monotonic() < deadline, home.states(run)
        if troubles := _troubles(home, run):
            home.run(home.engine.abort(run, AbortInput(reason="enough")))
            home.failure(run)
            return troubles
        time.sleep(0.05)
    return "" if status == WorkflowExecutionStatus.COMPLETED else home.failure(run)[1]


def _troubles(home: House, run: Run[Any]) -> str:
    states = home.states(run)
    if "parked" not in states.values() or "running" in states.values():
        return ""
    return "\n".join(step.trouble for step in home.progress(run).parked)


def test_with_all_of_it(home: House) -> None:
    """Production is made, is as declared, and goes."""
    with allowed(home, ALL):
        assert outcome(home, FILE) == ""
        assert not home.plan(FILE).changes
        assert outcome(home, FILE, destroy=True, allow_destroy=("*",)) == ""


@pytest.mark.parametrize("name", NAMES)
def test_with_one_less(home: House, name: str) -> None:
    """It stops at what it lacks, and names it."""
    with allowed(home, without(name)):
        trouble = outcome(home, FILE)
        if name in SEEN_BY_DESTROY:
            assert trouble == ""
            trouble = outcome(home, FILE, destroy=True, allow_destroy=("*",))
    stem = name.removesuffix("FullAccess").removesuffix("Manager").removesuffix("ReadOnly")
    assert "403" in trouble
    assert f"the key lacks the permission set {stem}" in trouble, trouble


def test_what_a_small_environment_takes(home: House) -> None:
    """What it does not use it may only look at, and that is enough."""
    data = small(buckets={"shop/files": {}})
    with allowed(home, needed(parse(data))):
        assert outcome(home, data) == ""
        assert not home.plan(data).changes
        assert outcome(home, data, destroy=True, allow_destroy=("*",)) == ""


def test_the_command_prints_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Scaleway's API takes it; ids that nobody knows stay variables of a shell."""
    monkeypatch.delenv("SCW_DEFAULT_ORGANIZATION_ID", raising=False)
    monkeypatch.setenv("SCW_DEFAULT_PROJECT_ID", DEFAULT_PROJECT)
    project, organization = api_rules([parse(FILE)])
    assert project == {"permission_set_names": list(ALL[0].permission_sets), "project_ids": [DEFAULT_PROJECT]}
    assert organization == {
        "permission_set_names": list(ALL[1].permission_sets),
        "organization_id": "$SCW_DEFAULT_ORGANIZATION_ID",
    }
