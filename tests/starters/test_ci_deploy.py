"""The steps of `deploy-services.yml` in a shell: tests, staging, production, and a run that belongs to the commit."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio import activity

from blueprint.environment import parse
from blueprint.release import contract
from blueprint.release.contract import FactsInput
from blueprint.release.facts import ReleaseFacts
from blueprint.release.site import site_of
from starters import approvals
from starters.cli.exits import Exit
from starters.engine import target_of
from starters.rehearsal import ROOT
from starters.temporal_server import TemporalServer
from tests.starters.ci_site import DEPLOY, Site
from tests.starters.github_api import GitHubApi
from tests.starters.runner import Runner
from tests.workflows.fleet import NEW, OLD, Fleet, fleet_house
from tests.workflows.house import UI, house
from workflows.identity import TASK_QUEUE

NEWER = "d" * 40


class TwoFleets(Fleet):
    """The nodes of staging and of production: whoever asks is told of his own."""

    @activity.defn(name=contract.FACTS.name)
    async def facts(self, input: FactsInput) -> ReleaseFacts:
        """See `blueprint.release.contract`."""
        found: ReleaseFacts = await super().facts(input)
        nodes = tuple(node for node in found.nodes if node.name in input.site.nodes)
        return found.model_copy(update={"nodes": nodes})


@pytest.fixture
def site(temporal: TemporalServer, tmp_path: Path) -> Iterator[tuple[Site, Fleet]]:
    """A repository with two environments of one node each, which run the commit before."""
    org = f"d{uuid.uuid4().hex[:8]}"
    data: dict[str, dict[str, Any]] = {}
    for name in ("stg", "prod"):
        data[name] = yaml.safe_load((ROOT / "environments" / f"{name}.yaml").read_text()) | {"org": org}
        data[name]["app"] |= {"soak": 0.1, "drain": 0.1}
        # What a deploy backs up before it migrates is a matter of other tests, and so is who approves it.
        for section in ("backup", "approval"):
            data[name].pop(section, None)
    sites = [site_of(environment, target_of(environment)) for environment in map(parse, data.values())]
    fleet = TwoFleets([node for found in sites if found for node in found.nodes])
    with house(temporal.address) as home, fleet_house(home, fleet, TASK_QUEUE):
        runner = Runner(tmp_path, "", {"TEMPORAL_ADDRESS": home.address, "TEMPORAL_UI_URL": UI})
        yield Site(home, GitHubApi(), runner, data), fleet


def test_staging_then_production(site: tuple[Site, Fleet]) -> None:
    """Both run the commit at the end; the job once more finds nothing to do; a commit before it was overtaken."""
    repository, fleet = site
    jobs = repository.push(DEPLOY, NEW)
    assert [(job.name, job.last.code) for job in jobs] == [("test", 0), ("deploy (stg)", 0), ("deploy (prod)", 0)]
    assert jobs[0].last.log.endswith("make test\n")
    assert set(fleet.currents()) == {NEW}
    for job in jobs[1:]:
        assert job.last.outputs == {"result": "released", "release": NEW}
        assert f"`{NEW[:9]}`: released" in job.last.summary

    again = repository.push(DEPLOY, NEW)[1:]
    assert [(job.last.code, job.last.outputs["result"]) for job in again] == [(0, "unchanged"), (0, "unchanged")]
    assert all(repository.runs(name, "deploy") == ["COMPLETED"] for name in repository.data)

    fleet.relation = "older"
    late = repository.runner.begin(DEPLOY, "deploy", "prod", "push", NEWER).ended()
    assert (late.code, late.outputs["result"]) == (Exit.DONE, "overtaken")
    assert repository.runs("prod", "deploy") == ["COMPLETED"]


def test_production_waits_for_a_person(site: tuple[Site, Fleet]) -> None:
    """As the repository's own file has it: the job goes on watching, and nothing is switched before somebody's word."""
    repository, fleet = site
    repository.write("prod", approval=yaml.safe_load((ROOT / "environments" / "prod.yaml").read_text())["approval"])
    assert repository.runner.begin(DEPLOY, "deploy", "stg", "push", NEW).ended().code == Exit.DONE
    job = repository.runner.begin(DEPLOY, "deploy", "prod", "push", NEW)
    run = repository.current("prod")
    repository.until(lambda: repository.home.run(approvals.waiting(run)))
    assert set(fleet.currents()) == {OLD, NEW}
    repository.home.run(approvals.approve(run, "ann", "as discussed"))
    ended = job.ended()
    assert (ended.code, ended.outputs["result"]) == (Exit.DONE, "released")
    assert set(fleet.currents()) == {NEW}


def test_what_does_not_do_in_staging(site: tuple[Site, Fleet]) -> None:
    """Staging goes back, and production does not hear of it."""
    repository, fleet = site
    fleet.wrong |= {f"check {node} {NEW[:9]}": "unhealthy" for node in fleet.nodes}
    jobs = repository.push(DEPLOY, NEW)
    assert [job.name for job in jobs] == ["test", "deploy (stg)"]
    assert jobs[-1].last.code == Exit.FAILED
    assert jobs[-1].last.outputs["result"] == "rolled-back"
    assert NEW[:9] in jobs[-1].last.summary
    assert repository.runs("prod", "deploy") == []


def test_cancelled_and_run_again(site: tuple[Site, Fleet]) -> None:
    """The deploy goes on, and the job that is run again joins it: one run for one commit."""
    repository, fleet = site
    gate = fleet.gates["switch"] = threading.Event()
    job = repository.runner.begin(DEPLOY, "deploy", "stg", "push", NEW)
    run = repository.current("stg")
    repository.until(lambda: any(call.startswith("switch") for call in fleet.calls))
    assert job.cancel() == 1
    ended = job.ended()
    assert ended.code == Exit.INTERRUPTED
    assert f"The run goes on: {run.link}" in ended.summary
    assert "scaleway-infra cancel stg" in ended.log

    again = repository.runner.begin(DEPLOY, "deploy", "stg", "push", NEW)
    assert again.process.stdout
    assert "Joined: this very deploy" in next(iter(again.process.stdout))
    gate.set()
    joined = again.ended()
    assert (joined.code, joined.outputs["result"]) == (Exit.DONE, "released")
    assert repository.runs("stg", "deploy") == ["COMPLETED"]


def test_the_next_commit_waits(site: tuple[Site, Fleet]) -> None:
    """Two merges in a row: the second deploy begins when the first has ended, and none is lost."""
    repository, fleet = site
    gate = fleet.gates["switch"] = threading.Event()
    first = repository.runner.begin(DEPLOY, "deploy", "stg", "push", NEW)
    repository.until(lambda: any(call.startswith("switch") for call in fleet.calls))
    second = repository.runner.begin(DEPLOY, "deploy", "stg", "push", NEWER)
    assert second.process.stdout
    assert "Waiting: deploy runs" in next(iter(second.process.stdout))
    gate.set()
    assert first.ended().code == Exit.DONE
    ended = second.ended()
    assert (ended.code, ended.outputs) == (Exit.DONE, {"result": "released", "release": NEWER})
    assert repository.runs("stg", "deploy") == ["COMPLETED", "COMPLETED"]
