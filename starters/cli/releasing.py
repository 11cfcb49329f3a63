"""Commands for releases: deploy, rollback, releases, freeze, unfreeze."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click

from blueprint.backup.site_of import backup_site
from blueprint.contract import Target
from blueprint.errors import EngineError, ReleaseRefused
from blueprint.release.contract import Site
from blueprint.release.decision import ReleasePlan, plan_rollback, short
from blueprint.release.record import ReleaseRecord
from blueprint.release.site import site_of
from starters.cli.changing import Approval, confirm_option, yes_option
from starters.cli.exits import Exit, UsageRefused
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.turns import approval_option, begun, detach_option, followed, wait_for_turn, wait_option
from starters.cli.watch import patiently
from starters.engine import AnotherChangeRuns, Engine, Run
from starters.origin import origin
from starters.releases import freeze as begin_freeze
from starters.releases import record_of, records
from starters.releases import unfreeze as end_freeze
from starters.render.release_text import (
    release_markdown,
    release_plan_text,
    release_record_text,
    releases_text,
)
from workflows.messages import ReleaseInput, ReleaseLook

force_option = click.option("--force", is_flag=True, help="Also an older, unrelated or bad commit.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would happen, and nothing else.")


@click.command()
@environment_argument
@click.option("--ref", required=True, help="Branch, tag or commit; resolved once.")
@force_option
@dry_run_option
@yes_option
@confirm_option
@wait_option
@approval_option
@detach_option
@pass_session
def deploy(
    session: Session,
    environment: str,
    ref: str,
    force: bool,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
    wait: bool,
    detach: bool,
) -> int:
    """Bring a commit to every node, without a request lost; back by itself if it does not do.

    \b
    Examples: scaleway-infra deploy prod --ref main --dry-run
              scaleway-infra deploy prod --ref v1.4.2 --confirm prod
    """
    loaded = session.load(environment)
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=None, gated=True)
    request = deploy_of(loaded, ref, force=force)
    releasing = Releasing(session, loaded, approval, dry_run=dry_run, wait=wait, detach=detach)
    return session.run(lambda: releasing.carry_out(request, deploy_plan, started_or_joined))


@click.command()
@environment_argument
@click.option("--to", default="", metavar="RELEASE", help="Start of a commit; the last good release if left out.")
@click.option("--reason", default="", help="What is wrong with the release that goes; kept with it.")
@force_option
@dry_run_option
@yes_option
@confirm_option
@wait_option
@detach_option
@pass_session
def rollback(
    session: Session,
    environment: str,
    to: str,
    reason: str,
    force: bool,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
    wait: bool,
    detach: bool,
) -> int:
    """Bring the release before back to every node; the one that goes is marked as bad.

    \b
    Examples: scaleway-infra rollback prod --confirm prod
              scaleway-infra rollback prod --to 3f2a91c --confirm prod
    """
    loaded = session.load(environment)
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=None)
    request = ReleaseInput(site=_site(loaded), force=force, origin=origin(), reason=reason)
    releasing = Releasing(session, loaded, approval, dry_run=dry_run, wait=wait, detach=detach)

    def plan_of(look: ReleaseLook) -> ReleasePlan:
        return plan_rollback(look.facts, request.site.app, to, force=force)

    async def begin(session: Session, engine: Engine, release: ReleaseInput) -> Run[ReleaseRecord]:
        return await engine.rollback(release)

    return session.run(lambda: releasing.carry_out(request, plan_of, begin))


@click.command()
@environment_argument
@pass_session
def releases(session: Session, environment: str) -> None:
    """Show what the nodes run, what they can go back to, and the latest deploys."""
    loaded = session.load(environment)
    request = ReleaseInput(site=_site(loaded), origin=origin())

    async def main() -> None:
        engine = await session.engine()
        look: ReleaseLook = await patiently(
            session, engine, engine.releases(request), f"looking at the nodes of {environment}"
        )
        kept = await records(engine, loaded.target)
        if session.is_json:
            shown = {
                "facts": look.facts.model_dump(mode="json"),
                "records": [item.model_dump(mode="json") for item in kept],
            }
            session.print_json(shown)
        else:
            session.console.print(releases_text(look.facts, kept))

    session.run(main)


@click.command()
@environment_argument
@click.option("--reason", required=True, help="What whoever is refused is told.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="Ends by itself after so many hours.")
@pass_session
def freeze(session: Session, environment: str, reason: str, hours: float | None) -> None:
    """Refuse deploys until `unfreeze`. Rollbacks and applies go on.

    \b
    Example: scaleway-infra freeze prod --reason 'Black Friday' --hours 48
    """
    loaded = session.load(environment)

    async def main() -> None:
        engine = await session.engine()
        facts = await begin_freeze(engine, loaded.target, reason, hours)
        session.console.print(f"Frozen by {facts.by}: {facts.reason}")

    session.run(main)


@click.command()
@environment_argument
@pass_session
def unfreeze(session: Session, environment: str) -> None:
    """Let deploys begin again."""
    loaded = session.load(environment)

    async def main() -> None:
        await end_freeze(await session.engine(), loaded.target)
        session.console.print("Deploys may begin again.")

    session.run(main)


def deploy_of(loaded: Loaded, ref: str, *, force: bool = False) -> ReleaseInput:
    """What a deploy of a ref works on.

    Raises:
        UsageRefused: the environment has no application.
    """
    return ReleaseInput(
        site=_site(loaded),
        ref=ref,
        force=force,
        origin=origin(),
        backup=backup_site(loaded.environment, loaded.target),
        approval=loaded.environment.approval,
    )


def _site(loaded: Loaded) -> Site:
    site = site_of(loaded.environment, loaded.target)
    if site is None:
        raise UsageRefused(
            "the file has no `app`", subject=loaded.environment.env, remedy="docs/environment.md says what it is"
        )
    return site


def deploy_plan(look: ReleaseLook) -> ReleasePlan:
    """What a deploy of the ref that was looked for would do."""
    assert look.plan is not None
    return look.plan


async def started_or_joined(session: Session, engine: Engine, release: ReleaseInput) -> Run[ReleaseRecord]:
    """The deploy of this commit: a new run, or the one that somebody started a moment ago.

    Raises:
        AnotherChangeRuns: something else runs.
    """
    try:
        return await engine.deploy(release)
    except AnotherChangeRuns:
        if run := await _joined(session, engine, release.site.target, release.ref):
            return run
        raise


async def _joined(session: Session, engine: Engine, target: Target, commit: str) -> Run[ReleaseRecord] | None:
    """The deploy of this commit that is under way already, or None if nothing is.

    Raises:
        AnotherChangeRuns: something else is.
    """
    run, running = await engine.current(target), await engine.running(target)
    if run is None or running is None:
        return None
    if not (commit and running.brings("deploy", commit)):
        raise AnotherChangeRuns(running)
    session.stderr.print(f"Joined: this very deploy was started by {running.started_by}.")
    return run


class Releasing:
    """One deploy or rollback, from the look to the record.

    Args:
        session: where to show it.
        loaded: the environment.
        approval: whether it may be carried out.
        dry_run: show what would happen, and nothing else.
        wait: wait for a change that is running first.
        detach: do not watch it.
        queued: several commits wait for the turn, and it comes to them in any order: one that the nodes' release
            contains already is done.
    """

    def __init__(
        self,
        session: Session,
        loaded: Loaded,
        approval: Approval,
        *,
        dry_run: bool,
        wait: bool,
        detach: bool,
        queued: bool = False,
    ) -> None:
        self._session = session
        self._loaded = loaded
        self._approval = approval
        self._dry_run = dry_run
        self._wait = wait
        self._detach = detach
        self._queued = queued

    async def carry_out(
        self,
        request: ReleaseInput,
        plan_of: Callable[[ReleaseLook], ReleasePlan],
        begin: Callable[[Session, Engine, ReleaseInput], Awaitable[Run[ReleaseRecord]]],
    ) -> int:
        """Look, show what would happen, have it approved, start it, follow it; the exit code.

        Raises:
            EngineError: it was refused, or failed.
        """
        engine = await self._session.engine()
        while True:
            try:
                return await self._carry_out(engine, request, plan_of, begin)
            except AnotherChangeRuns:
                # It took the turn between our look and our start: what it changes has to be looked at again.
                if not self._wait:
                    raise

    async def _carry_out(
        self,
        engine: Engine,
        request: ReleaseInput,
        plan_of: Callable[[ReleaseLook], ReleasePlan],
        begin: Callable[[Session, Engine, ReleaseInput], Awaitable[Run[ReleaseRecord]]],
    ) -> int:
        session, target = self._session, self._loaded.target
        if self._wait:
            running = await engine.running(target)
            # Not for itself: a CI job that is run again goes on watching what it has started.
            if not (running and running.brings("deploy", request.ref)):
                await wait_for_turn(session, engine, self._loaded)
            elif run := await _joined(session, engine, target, request.ref):
                return await self._started(engine, run)
        look = await patiently(session, engine, engine.releases(request), f"looking at the nodes of {target.env}")
        plan = plan_of(look)
        ends = self._dry_run or not (plan.batches or plan.refusals)
        # Before the refusals: in the middle of a deploy nodes look as if they stood in the way of the next one.
        if not ends and (run := await _joined(session, engine, target, plan.commit if plan.action == "deploy" else "")):
            return await self._started(engine, run)
        if not session.is_json:
            session.console.print(release_plan_text(plan, request.site.app))
        elif ends:
            session.print_json(plan.model_dump(mode="json"))
        if ends:
            return self._nothing_to_do(plan, "unchanged")
        if self._queued and {refusal.code for refusal in plan.refusals} == {"older"}:
            return self._nothing_to_do(plan, "overtaken")
        if plan.refusals:
            raise ReleaseRefused(
                "; ".join(refusal.text for refusal in plan.refusals),
                subject=short(plan.commit),
                remedy="; ".join(dict.fromkeys(refusal.remedy for refusal in plan.refusals)),
            )
        if not self._approval.given and not self._approval.ask():
            session.stderr.print("Nothing was changed.")
            return Exit.FAILED
        # From here on it is this commit, whatever becomes of the branch.
        resolved = request.model_copy(update={"ref": plan.commit})
        return await self._started(engine, await begun(session, self._loaded, begin(session, engine, resolved)))

    def _nothing_to_do(self, plan: ReleasePlan, result: str) -> int:
        if self._dry_run:
            return Exit.DONE
        job = self._session.job
        job.output(result=result, release=plan.commit)
        why = "all nodes run it already" if result == "unchanged" else f"{short(plan.previous)} contains it already"
        job.summarize(f"### {plan.action} {self._loaded.target.environment} `{short(plan.commit)}`: {why}")
        return Exit.DONE

    async def _started(self, engine: Engine, run: Run[ReleaseRecord]) -> int:
        self._session.stderr.print(f"Started: {run.link}", soft_wrap=True)
        return Exit.DONE if self._detach else await self._follow(engine, run)

    async def _follow(self, engine: Engine, run: Run[ReleaseRecord]) -> int:
        """To the end, and then how it went, whether it failed or not."""
        failure: EngineError | None = None
        try:
            record: ReleaseRecord | None = await followed(self._session, engine, self._loaded, run)
        except EngineError as error:
            failure, record = error, await record_of(run)
        if record:
            self._tell(record)
        if failure:
            # The record has told the rest: the end of what a node printed, say.
            raise type(failure)(failure.message.splitlines()[0]) if record and record.reason else failure
        return Exit.DONE

    def _tell(self, record: ReleaseRecord) -> None:
        if self._session.is_json:
            self._session.print_json(record.model_dump(mode="json"))
        else:
            self._session.console.print(release_record_text(record))
        self._session.job.output(result=record.result.replace(" ", "-"), release=record.commit)
        self._session.job.summarize(release_markdown(record))
