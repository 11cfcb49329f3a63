"""Commands for CI jobs: plan for a pull request, apply after its merge, deploy of a commit, drift by the clock.

They start and watch; Temporal's address and key are all that they need. What they report goes where the variables of
GitHub or GitLab say, so the same line works in either, and in a shell.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from blueprint.errors import EngineError, PlanOutOfDate
from blueprint.plan import Plan
from blueprint.plan_markdown import plan_markdown
from starters.ci.github import GitHub, Marker, pull_request
from starters.ci.job import Job
from starters.ci.report import (
    drift_issue,
    failure_summary,
    no_plan_comment,
    plan_comment,
    plan_marker,
    plan_outputs,
)
from starters.cli.changing import Approval, fingerprint_option, refusal_of, show_output
from starters.cli.exits import Exit, UsageRefused
from starters.cli.reading import detailed_option
from starters.cli.releasing import Releasing, deploy_of, deploy_plan, started_or_joined
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.turns import begun, followed, wait_for_turn
from starters.cli.watch import patiently
from starters.engine import AnotherChangeRuns, Engine
from starters.origin import origin
from starters.render.plan_text import plan_text
from workflows.messages import ChangeInput, ChangeOutput


@click.group()
@click.option(
    "--outputs", type=click.Path(path_type=Path), help="File for name=value lines; GITHUB_OUTPUT if left out."
)
@click.option("--summary", type=click.Path(path_type=Path), help="File for Markdown; GITHUB_STEP_SUMMARY if left out.")
@pass_session
def ci(session: Session, outputs: Path | None, summary: Path | None) -> None:
    """Commands for CI jobs, which start and watch runs: GitHub Actions, GitLab CI, or any shell."""
    session.job = Job.here(outputs, summary)
    session.waits_for_approval = True
    # What a shell starts in the background ignores SIGINT; a runner that does so still means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # GitLab ends jobs with it, GitHub 7.5 seconds after SIGINT.
    signal.signal(signal.SIGTERM, _as_interrupt)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


@ci.command()
@environment_argument
@detailed_option
@pass_session
def plan(session: Session, environment: str, detailed_exitcode: bool) -> int:
    """Check the file and show what a merge would do: in the pull request, the job's summary, and outputs.

    Outputs: changes, to_add, to_change, to_destroy, fingerprint.
    """
    name, job = Path(environment).stem, session.job
    with _summarized(session, f"Plan for {name}"):
        github = GitHub.here()
        pull = pull_request() if github else None
        try:
            loaded = session.load(environment)
            found = session.run(lambda: _planned(session, loaded))
        except EngineError as error:
            if github and pull:
                # A plan that was shown before is not what a merge would do now.
                github.comment(pull, plan_marker(name, None), no_plan_comment(name, error, job.commit, job.link))
            raise
        _report(session, found)
        if github and pull:
            github.comment(pull, plan_marker(name, found), plan_comment(found, job.commit, job.link))
        if refused := refusal_of(found):
            raise refused
    return Exit.CHANGES if detailed_exitcode and found.changes else Exit.DONE


@ci.command()
@environment_argument
@fingerprint_option
@pass_session
def apply(session: Session, environment: str, fingerprint: str | None) -> int:
    """Do exactly the plan that the merged pull request showed, or that --fingerprint names; else end with 5.

    A job that is run again watches the run that it started, or finds nothing left to do.

    Outputs: those of `ci plan`.
    """
    name = Path(environment).stem
    with _summarized(session, f"Apply of {name}"):
        loaded = session.load(environment)
        return session.run(lambda: _apply(session, loaded, name, fingerprint))


@ci.command()
@environment_argument
@click.option("--ref", help="Commit, tag or branch; the job's commit if left out.")
@pass_session
def deploy(session: Session, environment: str, ref: str | None) -> int:
    """Bring the job's commit to every node, in its turn; a job that is run again watches the run that it started.

    A commit that was overtaken by a newer one while it waited is done.

    Outputs: result (released, unchanged, overtaken, rolled-back, failed), release.
    """
    commit = ref or session.job.commit
    if not commit:
        raise UsageRefused("no CI job says which commit is meant", remedy="add --ref")
    with _summarized(session, f"Deploy of {environment}"):
        loaded = session.load(environment)
        request = deploy_of(loaded, commit)
        releasing = Releasing(
            session, loaded, _confirmed(session, loaded), dry_run=False, wait=True, detach=False, queued=True
        )
        return session.run(lambda: releasing.carry_out(request, deploy_plan, started_or_joined))


@ci.command()
@environment_argument
@detailed_option
@pass_session
def drift(session: Session, environment: str, detailed_exitcode: bool) -> int:
    """Report what differs from the file: in an issue that is opened, kept up to date and closed, and the summary.

    Outputs: those of `ci plan`.
    """
    name = Path(environment).stem
    with _summarized(session, f"Drift of {name}"):
        github = GitHub.here()
        loaded = session.load(environment)

        async def look() -> Plan:
            engine = await session.engine()
            request = loaded.request(refresh=True)
            return (await patiently(session, engine, engine.drift(request), f"looking at {name}")).plan

        found = session.run(look)
        _report(session, found)
        marker = Marker("drift", name)
        if github and found.changes:
            title = f"{found.environment} differs from its file"
            session.stderr.print(github.issue(marker, title, drift_issue(found, session.job.link)), soft_wrap=True)
        elif github:
            github.close(marker)
    return Exit.CHANGES if detailed_exitcode and found.changes else Exit.DONE


# -- parts -------------------------------------------------------------------------------------------------------------


@contextmanager
def _summarized(session: Session, what: str) -> Iterator[None]:
    """A command whose failure is on the job's page, too."""
    try:
        yield
    except EngineError as error:
        session.job.summarize(failure_summary(what, error))
        raise


def _report(session: Session, plan: Plan) -> None:
    session.console.print(plan_text(plan))
    session.job.output(**plan_outputs(plan))
    session.job.summarize(plan_markdown(plan))


def _confirmed(session: Session, loaded: Loaded) -> Approval:
    """The workflow file says what is done where; whoever may merge has approved it."""
    return Approval(session, loaded, yes=False, confirm=loaded.environment.env, fingerprint=None)


async def _planned(session: Session, loaded: Loaded) -> Plan:
    engine = await session.engine()
    return await patiently(session, engine, engine.plan(loaded.request()), f"planning {loaded.environment.env}")


async def _apply(session: Session, loaded: Loaded, name: str, fingerprint: str | None) -> int:
    """Join the run of this commit, or look, compare with what was approved, start, follow.

    Raises:
        EngineError: it was refused, or failed.
    """
    engine, commit = await session.engine(), session.job.commit
    while True:
        if output := await _joined(session, engine, loaded):
            return _done(session, output)
        await wait_for_turn(session, engine, loaded)
        found = await _planned(session, loaded)
        _report(session, found)
        if refused := refusal_of(found):
            raise refused
        if not found.steps:
            return Exit.DONE
        approved = ChangeInput(
            request=loaded.request(), fingerprint=_approved(found, name, commit, fingerprint), origin=origin()
        )
        try:
            run = await begun(session, loaded, engine.apply(approved, commit))
        except AnotherChangeRuns:
            # It took the turn between our look and our start.
            continue
        session.stderr.print(f"Started: {run.link}", soft_wrap=True)
        return _done(session, await followed(session, engine, loaded, run))


async def _joined(session: Session, engine: Engine, loaded: Loaded) -> ChangeOutput | None:
    """How the run ended that a job of this commit began earlier, if there is one."""
    running, run = await engine.running(loaded.target), await engine.current(loaded.target)
    if not (running and run and running.brings("apply", session.job.commit)):
        return None
    session.stderr.print(f"Joined: {run.link}", soft_wrap=True)
    output: ChangeOutput = await followed(session, engine, loaded, run)
    return output


def _approved(plan: Plan, name: str, commit: str, fingerprint: str | None) -> str:
    """The fingerprint of the plan, once it is known to be the one that was approved.

    Raises:
        PlanOutOfDate: it is another one, or nobody was shown any.
    """
    where = "--fingerprint"
    if fingerprint is None:
        github = GitHub.here()
        shown = github.approved(commit, name) if github else None
        if shown is None:
            raise PlanOutOfDate(
                "no pull request has shown what this would do",
                subject=plan.environment,
                remedy=f"make one, or name the plan: --fingerprint {plan.fingerprint()}",
            )
        where, fingerprint = f"pull request #{shown[0]}", shown[1]
    if fingerprint != plan.fingerprint():
        raise PlanOutOfDate(
            f"{where} approved {fingerprint or 'no plan'}; what would be done now is {plan.fingerprint()}: "
            "something has changed since",
            subject=plan.environment,
            remedy=f"look at the plan; if it is right: scaleway-infra apply {name} --fingerprint {plan.fingerprint()}",
        )
    return fingerprint


def _done(session: Session, output: ChangeOutput) -> int:
    show_output(session, output)
    counts = ", ".join(f"{count} {action}" for action, count in output.counts.items() if count)
    session.job.summarize(f"Done: {counts}.")
    return Exit.DONE
