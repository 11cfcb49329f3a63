"""What CI jobs are made of: the workflow files as they stand, reports to a moody GitHub, other houses than GitHub."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint.environment import parse
from blueprint.errors import EnvironmentFileError
from blueprint.plan import Plan
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource
from starters.ci.github import GitHub, GitHubFailed, Marker
from starters.ci.job import LONGEST_SUMMARY, Job
from starters.ci.report import drift_issue, no_plan_comment, plan_comment, plan_marker, plan_outputs
from starters.cli.session import Loaded, Session
from starters.cli.turns import begun
from starters.engine import Run
from tests.starters.github_api import ACTIONS, LONGEST_BODY, REPOSITORY, TOKEN, GitHubApi, github_api
from tests.starters.runner import WORKFLOWS
from tests.workflows.house import small

FILES = sorted(WORKFLOWS.glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
STG = Marker("plan", "stg", "0123456789abcdef")


@pytest.fixture
def api() -> Iterator[GitHubApi]:
    """The stand-in for GitHub."""
    with github_api() as built:
        yield built


@pytest.fixture
def github(api: GitHubApi) -> GitHub:
    """A job's access to it."""
    return GitHub(api.url, REPOSITORY, TOKEN)


def changes(number: int) -> Plan:
    """A plan of so many creations, updates and deletions, with values that try to leave their block."""
    resources = [
        Resource(key=f"lb.{n:04d}", kind="lb", name=f"lb-{n:04d}", fields={"x": f"``` <!-- {n} 🚀 --> " * 30})
        for n in range(number)
    ]
    objects = [Observed(kind="lb", name=item.name, id=item.key, fields={"x": "old"}) for item in resources[::2]]
    return make_plan("lssm-stg", resources, [*objects, Observed(kind="lb", name="gone", id="gone", fields={})])


# -- the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_only_credential_is_for_temporal(path: Path) -> None:
    """No key of Scaleway's, no secret of the application's, no right beyond what a job says."""
    text = path.read_text()
    assert set(re.findall(r"secrets\.(\w+)", text)) == {"TEMPORAL_API_KEY"}
    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", text)) <= {
        "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL", "TEMPORAL_API_KEY", "GITHUB_TOKEN",
    }  # fmt: skip
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"].pop("contents") == "read"
        assert set(job["permissions"]) <= {"pull-requests", "issues"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_steps_hear_of_a_cancelled_job(path: Path) -> None:
    """GitHub signals the shell: a command that starts something takes its place. Only plans cancel each other."""
    workflow = yaml.safe_load(path.read_text())
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/(checkout|setup-python)@v\d+\.\d+\.\d+", step["uses"])
            elif "scaleway-infra" in step["run"]:
                assert re.fullmatch(r"exec \S+/scaleway-infra ci \w+ \$\{\{ matrix\.environment \}\}", step["run"])
        assert ("concurrency" in job) == (name == "plan")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_jobs_that_change_something_name_their_environment(path: Path) -> None:
    """GitHub's environment of that name may ask for reviewers before it hands the key over."""
    jobs = yaml.safe_load(path.read_text())["jobs"]
    named = {name: job["environment"] for name, job in jobs.items() if "environment" in job}
    assert named == dict.fromkeys(jobs.keys() & {"apply", "deploy"}, "${{ matrix.environment }}")
    assert named


def test_the_files_are_valid() -> None:
    """As actionlint reads them."""
    if found := shutil.which("actionlint"):
        command = [found]
    elif go := shutil.which("go"):
        command = [go, "run", ACTIONLINT]
    else:
        pytest.skip("neither actionlint nor go is here")
    ended = subprocess.run([*command, *map(str, FILES)], capture_output=True, text=True)
    if "proxy" in ended.stderr or "dial tcp" in ended.stderr:
        pytest.skip(f"actionlint is not to be had here: {ended.stderr.splitlines()[-1]}")
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stdout + ended.stderr


# -- reports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["limit", "broken", "lost"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_moody_github(api: GitHubApi, github: GitHub, mood: str, after: int) -> None:
    """One comment, whether the look or the writing goes wrong, and whether or not the answer was all that got lost."""
    api.moods = [""] * after + [mood]
    github.comment(7, STG, "first")
    api.moods = [""] * after + [mood]
    github.comment(7, STG, "second")
    (comment,) = api.comments
    assert comment["body"] == f"{STG}\nsecond"
    api.moods = [""] * after + [mood]
    github.issue(Marker("drift", "stg"), "drift", "text")
    assert len(api.issues) == 1


def test_a_comment_that_is_right_is_not_written_again(api: GitHubApi, github: GitHub) -> None:
    """Nobody is notified of nothing."""
    github.comment(7, STG, "text")
    github.comment(7, STG, "text")
    assert api.requests == ["GET /issues/7/comments", "POST /issues/7/comments", "GET /issues/7/comments"]


def test_what_is_refused_for_good(api: GitHubApi, github: GitHub) -> None:
    """Said once, with what would help."""
    api.moods = ["forbidden"]
    with pytest.raises(GitHubFailed, match="Resource not accessible") as raised:
        github.comment(7, STG, "text")
    assert "pull-requests: write" in raised.value.remedy
    with pytest.raises(GitHubFailed, match="401 Bad credentials"):
        GitHub(api.url, REPOSITORY, "another").comment(7, STG, "text")
    assert len(api.requests) == 1


def test_only_what_a_job_wrote_is_an_approval(api: GitHubApi, github: GitHub) -> None:
    """Neither a person's comment, nor one about another environment, nor a marker further down."""
    api.merge(7, "c" * 40)
    api.say(7, f"{STG}\nby somebody", "mallory")
    api.say(7, f"quoted:\n{STG}", ACTIONS)
    github.comment(7, Marker("plan", "prod", "fedcba9876543210"), "text")
    assert github.approved("c" * 40, "stg") == (7, "")
    github.comment(7, STG, "text")
    assert github.approved("c" * 40, "stg") == (7, STG.fingerprint)
    assert github.approved("d" * 40, "stg") is None


@pytest.mark.parametrize("number", [0, 1, 3000])
def test_reports_fit(api: GitHubApi, github: GitHub, number: int) -> None:
    """GitHub takes the longest plan and the longest reason; the marker and the block survive the cut."""
    plan = changes(number)
    texts = [
        plan_comment(plan, "c" * 40, "https://github.test/" + "x" * 80),
        drift_issue(plan, "https://github.test/" + "x" * 80),
        no_plan_comment("stg", EnvironmentFileError("line 1: wrong\n" * 20_000), "c" * 40, ""),
    ]
    for text in texts:
        github.comment(7, plan_marker("stg", plan), text)
        (comment,) = api.comments
        assert Marker.of(comment["body"]) == Marker("plan", "stg", plan.fingerprint())
        assert len(comment["body"]) <= LONGEST_BODY
        assert comment["body"].count("```") % 2 == 0
        assert comment["body"].endswith(f"{text[-40:]}")


def test_a_replacement_is_one_to_add_and_one_to_destroy() -> None:
    """As Terraform counts, so that people's limits mean what they think."""
    outputs = plan_outputs(changes(4))
    assert {key: outputs[key] for key in ("changes", "to_add", "to_change", "to_destroy")} == {
        "changes": True, "to_add": 2, "to_change": 2, "to_destroy": 1,
    }  # fmt: skip


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    """Every error of a file at its line, as many as GitHub shows; what has a meaning in a command is escaped."""
    error = EnvironmentFileError(
        "12 errors\n" + "\n".join(f"  line {n}: a: 100% wrong" for n in range(1, 13)), subject="a:b,c.yaml"
    )
    Job(annotates=True).annotate(error)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "::error file=a%3Ab%2Cc.yaml,line=1::a: 100%25 wrong"
    Job().annotate(error)
    assert capsys.readouterr().err == ""


def test_a_summary_that_is_too_long(tmp_path: Path) -> None:
    """What fits is kept, without half a character at the end."""
    job = Job(summary=tmp_path / "summary")
    job.summarize("first")
    job.summarize("é" * LONGEST_SUMMARY)
    job.summarize("last")
    content = (tmp_path / "summary").read_bytes()
    assert LONGEST_SUMMARY - 2 <= len(content) <= LONGEST_SUMMARY
    assert content.decode().startswith("first\n\né")


def test_gitlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It knows commit and page from GitLab's variables; files are named on the command line."""
    for name in ("GITHUB_SHA", "GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CI_COMMIT_SHA", "c" * 40)
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.test/-/jobs/1")
    job = Job.here(tmp_path / "plan.env", tmp_path / "plan.md")
    assert (job.commit, job.link, job.annotates) == ("c" * 40, "https://gitlab.test/-/jobs/1", False)
    job.output(changes=True, to_add=3)
    job.output(fingerprint="0123456789abcdef")
    assert (tmp_path / "plan.env").read_text() == "changes=true\nto_add=3\nfingerprint=0123456789abcdef\n"
    assert GitHub.here() is None


def test_interrupted_while_a_run_is_being_started(tmp_path: Path) -> None:
    """The call in flight is not called back: whoever interrupts is told that the run has begun."""
    session, loaded = Session("human", tmp_path, tmp_path), _loaded()
    begins = asyncio.Event()

    async def begin() -> Run[Any]:
        begins.set()
        await asyncio.sleep(0.2)
        return Run(None, "http://ui.test/run")  # type: ignore[arg-type]

    async def main() -> None:
        starting = asyncio.create_task(begun(session, loaded, begin()))
        await begins.wait()
        assert session.beginning == "test"
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(main())
    assert session.running == ("test", "http://ui.test/run")


def _loaded() -> Loaded:
    data = small()
    return Loaded(data, parse(data))
