"""The steps of `infra-scaleway.yml` in a shell: what a pull request, its merge and the morning's look say and leave."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import yaml

from starters.cli.exits import Exit
from starters.rehearsal import ROOT
from tests.starters.ci_site import INFRA, PULL, Site
from tests.starters.github_api import GitHubApi, github_api
from tests.starters.runner import Runner
from tests.starters.shell import NETWORK, NETWORKS
from tests.workflows.house import UI, House, keys, small
from workflows.messages import ApproveInput

COMMIT, NEXT = "c" * 40, "d" * 40
VPCS = "GET /vpc/v2/regions/{region}/vpcs"
SECRETS = {
    "secrets": {"session-key": {"generate": 48}},
    "applications": {"backend": {"policies": [{"permission_sets": ["ObjectStorageReadOnly"]}], "api_key": True}},
}


@pytest.fixture
def github() -> Iterator[GitHubApi]:
    """The stand-in for GitHub."""
    with github_api() as api:
        yield api


@pytest.fixture
def site(home: House, github: GitHubApi, tmp_path: Path) -> Site:
    """A repository with two environments, in an empty world."""
    home.api.request("POST", "/_emulator/reset")
    runner = Runner(tmp_path, github.url, {"TEMPORAL_ADDRESS": home.address, "TEMPORAL_UI_URL": UI})
    org = f"c{uuid.uuid4().hex[:8]}"
    data = {"stg": small(org=org, env="stg"), "prod": small(org=org, env="prod", production=True, **SECRETS)}
    return Site(home, github, runner, data)


def test_from_the_pull_request_to_the_merge(site: Site) -> None:
    """One comment for each environment, kept up to date; the merge does exactly that; once more, nothing is left."""
    for _ in range(120):
        site.github.say(PULL, "Looks good to me.", "reviewer")
    first = site.pull_request(COMMIT)
    assert [(job.name, job.last.code) for job in first] == [("plan (stg)", 0), ("plan (prod)", 0)]
    site.write("prod", secrets={"session-key": {"generate": 48}, "other-key": {"generate": 24}})
    second = site.pull_request(NEXT)

    assert not site.home.requests(mutating=True)
    assert len(site.github.comments) == 122
    for job, name in zip(second, site.data, strict=True):
        plan, number = site.home.plan(site.data[name]), len(keys(site.data[name]))
        assert job.last.outputs == {
            "changes": "true",
            "to_add": str(number),
            "to_change": "0",
            "to_destroy": "0",
            "fingerprint": plan.fingerprint(),
        }
        (comment,) = site.github.told(name)
        assert f"fingerprint={plan.fingerprint()} -->" in comment.splitlines()[0]
        assert f"### Plan for `{site.data[name]['org']}-{name}`" in comment
        assert "+ create vpc.main" in comment
        assert "https://github.test/lssm/infra/actions/runs/4711" in comment
        assert "### Plan for" in job.last.summary

    merged = site.merge(NEXT)
    assert [(job.name, job.last.code) for job in merged] == [("apply (stg)", 0), ("apply (prod)", 0)]
    assert all("Done: " in job.last.summary for job in merged)
    assert all(not site.home.plan(site.data[name]).changes for name in site.data)

    again = site.push(INFRA, NEXT)
    assert [job.last.code for job in again] == [0, 0]
    assert all(job.last.outputs["changes"] == "false" for job in again)
    assert all(site.runs(name, "apply") == ["COMPLETED"] for name in site.data)

    said = [step.log + step.summary for job in (*second, *merged, *again) for step in job.steps.values()]
    secrets = site.home.secret_values()
    assert secrets
    told = "\n".join([*said, *(comment["body"] for comment in site.github.comments)])
    assert not [secret for secret in secrets if secret in told]


def test_the_world_has_changed(site: Site) -> None:
    """What was shown is not what would be done: 5, why, what it is now, and nothing touched, production neither."""
    site.shown("stg", COMMIT)
    site.home.apply(site.data["stg"])
    site.home.forget_requests()
    site.write("stg", security_groups={"extra": {}})

    (job,) = site.push(INFRA, COMMIT)

    assert (job.name, job.last.code) == ("apply (stg)", Exit.OUT_OF_DATE)
    now = site.home.plan(site.data["stg"]).fingerprint()
    for text in (job.last.log, job.last.summary):
        assert f"pull request #{PULL} approved" in text
        assert f"what would be done now is {now}" in text
    assert "::error title=plan_out_of_date::" in job.last.log
    assert "+ create security_group.extra" in job.last.summary
    assert not site.home.requests(mutating=True)
    assert site.runs("prod", "apply") == []


def test_what_nobody_was_shown(site: Site) -> None:
    """A push without a pull request, or with a comment that somebody else wrote: 5."""
    (pushed,) = site.push(INFRA, COMMIT)
    assert pushed.last.code == Exit.OUT_OF_DATE
    assert "no pull request has shown" in pushed.last.summary

    fingerprint = site.home.plan(site.data["stg"]).fingerprint()
    site.github.say(PULL, f"<!-- scaleway-infra plan stg fingerprint={fingerprint} -->\nLooks like a plan.", "mallory")
    (merged,) = site.merge(COMMIT)
    assert merged.last.code == Exit.OUT_OF_DATE
    assert "approved no plan" in merged.last.summary
    assert not site.home.requests(mutating=True)


def test_a_broken_file(site: Site) -> None:
    """Every error is in the diff, and the plan of before is not what a merge would do any more."""
    site.shown("stg", COMMIT)
    site.write("stg", network={"cidr": "10.0.0.0/99"}, colour="blue")
    stg, prod = site.pull_request(NEXT)
    assert (stg.last.code, prod.last.code) == (Exit.FAILED, Exit.DONE)
    assert "::error file=environments/stg.yaml,line=1::colour" in stg.last.log
    assert stg.last.log.count("::error ") == 2
    (comment,) = site.github.told("stg")
    assert "fingerprint= -->" in comment
    assert "### No plan for `stg`" in comment
    assert "colour" in comment


def test_a_fork(site: Site) -> None:
    """It has no key, so nothing is begun for it."""
    assert site.pull_request(COMMIT, "mallory/infra") == []


def test_drift(site: Site) -> None:
    """An issue is opened, kept up to date, and closed."""
    for data in site.data.values():
        site.home.apply(data)
    site.write("prod", security_groups={"extra": {}})
    stg, prod = site.runner.run(INFRA, "schedule", COMMIT)
    assert (stg.last.code, prod.last.code) == (Exit.DONE, Exit.DONE)
    assert (stg.last.outputs["changes"], prod.last.outputs["changes"]) == ("false", "true")
    site.runner.begin(INFRA, "drift", "prod", "schedule", COMMIT).ended()
    (issue,) = site.github.issues
    assert issue["title"] == f"{site.data['prod']['org']}-prod differs from its file"
    assert "+ create security_group.extra" in issue["body"]
    assert issue["state"] == "open"

    site.home.apply(site.data["prod"])
    site.runner.begin(INFRA, "drift", "prod", "schedule", COMMIT).ended()
    assert [issue["state"] for issue in site.github.issues] == ["closed"]


# -- cancelled ---------------------------------------------------------------------------------------------------------


def test_cancelled_at_once(site: Site) -> None:
    """Before Python has found out what it is to do."""
    job = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    assert job.cancel() == 1
    assert job.ended().code != Exit.DONE
    assert site.runs("stg", "apply") == []


def test_cancelled_while_it_plans(site: Site) -> None:
    """Nothing was started, and it says so."""
    site.home.fault(VPCS, kind="unavailable")
    job = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    site.until(lambda: "RUNNING" in site.runs("stg", "plan"))
    assert job.cancel() == 1
    ended = job.ended()
    assert ended.code == Exit.INTERRUPTED
    assert "nothing was started" in ended.summary
    assert "Traceback" not in ended.log
    site.home.mend()
    site.until(lambda: "RUNNING" not in site.runs("stg", "plan"))
    assert site.runs("stg", "apply") == []


def test_cancelled_while_it_waits_for_its_turn(site: Site) -> None:
    """The run that it waits for goes on, and nothing else was started."""
    site.home.fault(NETWORKS, kind="quota_exceeded", count=1)
    other = site.home.begin(site.data["stg"])
    site.home.until_parked(other, NETWORK)
    job = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    assert job.process.stdout
    line = next(line for line in job.process.stdout if "Waiting" in line)
    assert "apply runs, started by" in line
    assert job.cancel() == 1
    ended = job.ended()
    assert ended.code == Exit.INTERRUPTED
    assert "nothing was started" in ended.summary
    site.home.run(site.home.engine.retry(other))
    site.home.result(other)
    assert site.runs("stg", "apply") == ["COMPLETED"]


@contextmanager
def in_the_background() -> Iterator[None]:
    """What begins in here ignores SIGINT, like what a shell starts with `&`."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("harm", ["cancelled", "ended at once", "killed"])
def test_cancelled_while_it_watches(site: Site, harm: str) -> None:
    """The run goes on; a job that is run again joins it, and waits for its end."""
    site.shown("stg", COMMIT)
    site.home.fault(NETWORKS, kind="unavailable")
    with in_the_background() if harm == "ended at once" else nullcontext():
        job = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    run = site.current("stg")
    site.home.until(run, lambda states: states.get(NETWORK) == "running")
    if harm == "killed":
        job.process.kill()
    elif harm == "ended at once":
        job.process.terminate()
    else:
        assert job.cancel() == 1
    ended = job.ended()
    if harm != "killed":
        assert ended.code == Exit.INTERRUPTED
        assert "Traceback" not in ended.log
        for text in (ended.log, ended.summary):
            assert f"The run goes on: {run.link}" in text
            assert "scaleway-infra cancel stg" in text

    again = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    assert again.process.stdout
    assert f"Joined: {run.link}" in next(iter(again.process.stdout))
    site.home.mend()
    assert again.ended().code == Exit.DONE
    assert site.runs("stg", "apply") == ["COMPLETED"]
    assert not site.home.plan(site.data["stg"]).changes


def test_a_protected_environment(site: Site) -> None:
    """The job goes on watching while nobody has approved it; cancelled and run again, it still does, and ends well."""
    site.write("stg", approval={"timeout": "1h"})
    site.shown("stg", COMMIT)
    job = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    run = site.current("stg")
    site.until(lambda: site.home.progress(run).approval)
    assert job.cancel() == 1
    assert f"The run goes on: {run.link}" in job.ended().summary

    again = site.runner.begin(INFRA, "apply", "stg", "push", COMMIT)
    assert again.process.stdout
    assert f"Joined: {run.link}" in next(iter(again.process.stdout))
    site.home.run(run.handle.execute_update("approve", ApproveInput(by="ann", reason="as discussed")))
    assert again.ended().code == Exit.DONE
    assert site.runs("stg", "apply") == ["COMPLETED"]


# -- elsewhere ---------------------------------------------------------------------------------------------------------


def test_gitlab(site: Site) -> None:
    """The scripts of the example: the apply does exactly the plan whose fingerprint came along with the pipeline."""
    jobs = yaml.safe_load((ROOT / "docs" / "examples" / "gitlab-ci.yml").read_text())
    variables = {"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_SHA": COMMIT, "GITLAB_USER_LOGIN": "ann"}
    variables |= {"ENVIRONMENT": "stg", "TEMPORAL_ADDRESS": site.home.address, "TEMPORAL_API_KEY": ""}

    def script(name: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": os.environ["PATH"], "HOME": str(site.runner.checkout), "PYTHONPATH": str(ROOT)}
        lines = "\n".join(jobs[name]["script"])
        checkout = site.runner.checkout
        return subprocess.run(
            ["bash", "-ec", lines], cwd=checkout, env=path | variables, capture_output=True, text=True
        )

    planned = script(".plan")
    assert planned.returncode == Exit.DONE, planned.stderr
    outputs = dict(line.split("=") for line in (site.runner.checkout / "plan.env").read_text().splitlines())
    assert outputs["fingerprint"] == site.home.plan(site.data["stg"]).fingerprint()
    assert "+ create vpc.main" in (site.runner.checkout / "plan.md").read_text()
    variables["fingerprint"] = "0123456789abcdef"
    assert script(".apply").returncode == Exit.OUT_OF_DATE
    variables |= outputs
    applied = script(".apply")
    assert applied.returncode == Exit.DONE, applied.stderr
    assert site.runs("stg", "apply") == ["COMPLETED"]
