"""Commands for a run that waits for approval: approve, reject."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.markdown import Markdown

from blueprint.approval import ApprovalRecord, Waiting
from blueprint.errors import EngineError
from starters import approvals
from starters.cli.exits import Exit, UsageRefused
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.watch import patiently
from starters.engine import Engine, Run
from starters.origin import started_by


class NothingWaits(EngineError):
    """No run of the environment waits for approval."""

    code = "nothing_waits"


@click.command()
@environment_argument
@click.option("--reason", default="", help="For the record.")
@click.option("--fingerprint", metavar="HEX", help="Approve what has this one, instead of being shown it and asked.")
@pass_session
def approve(session: Session, environment: str, reason: str, fingerprint: str | None) -> int:
    """Show what a run would do, and let it do exactly that.

    If it would do something else by now, the approval is refused, and the run shows what it is.

    \b
    Examples: scaleway-infra approve prod
              scaleway-infra approve prod --fingerprint 656c7757cb3063b0 --reason 'as discussed'
    """
    loaded = session.load(environment)

    async def main() -> int:
        engine, run, waiting = await _waiting(session, loaded)
        seen = fingerprint
        if seen is None:
            _show(session, waiting)
            if not sys.stdin.isatty():
                way = f"--fingerprint {waiting.proposal.fingerprint}"
                raise UsageRefused("nobody can be asked here", remedy=f"add {way} once you have looked at it")
            if not click.confirm("Approve it?"):
                session.stderr.print("Nothing was decided: it still waits.")
                return Exit.FAILED
            seen = waiting.proposal.fingerprint
        # The plan is made once more before the approval counts.
        word = approvals.approve(run, started_by(), reason, seen)
        _tell(session, await patiently(session, engine, word, "looking whether it still is this"), run)
        return Exit.DONE

    return session.run(main)


@click.command()
@environment_argument
@click.option("--reason", required=True, help="For the record, and for whoever asked for the run.")
@pass_session
def reject(session: Session, environment: str, reason: str) -> None:
    """End a run that waits for approval: nothing was changed.

    \b
    Example: scaleway-infra reject prod --reason 'not before the weekend'
    """
    loaded = session.load(environment)

    async def main() -> None:
        engine, run, _ = await _waiting(session, loaded)
        word = approvals.reject(run, started_by(), reason)
        _tell(session, await patiently(session, engine, word, "rejecting"), run)

    session.run(main)


async def _waiting(session: Session, loaded: Loaded) -> tuple[Engine, Run[Any], Waiting]:
    engine, name = await session.engine(), loaded.target.environment
    run = await engine.current(loaded.target)
    waiting = await patiently(session, engine, approvals.waiting(run), "asking the run") if run else None
    if run is None or waiting is None:
        what = "the run that is under way does not wait for approval" if run else "no change is running"
        raise NothingWaits(what, subject=name)
    return engine, run, waiting


def _show(session: Session, waiting: Waiting) -> None:
    """What is to be approved: laid out on a terminal, as it is elsewhere."""
    if session.console.is_terminal:
        session.console.print(Markdown(waiting.details()))
    else:
        click.echo(waiting.details())


def _tell(session: Session, record: ApprovalRecord, run: Run[Any]) -> None:
    if session.is_json:
        session.print_json(record.model_dump(mode="json"))
    else:
        click.echo(f"{record}\nThe run: {run.link}")
