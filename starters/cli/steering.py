"""Commands for a run that is under way: watch, retry, skip, abort, cancel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import click

from blueprint.errors import EngineError
from starters.cli.exits import Exit
from starters.cli.runs import tell
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.turns import TURNS, followed, of_option
from starters.engine import Engine, Run
from workflows.messages import AbortInput, Decided, SkipInput


class NothingRuns(EngineError):
    """No run of that kind is under way."""

    code = "nothing_runs"


@click.command()
@environment_argument
@of_option
@pass_session
def watch(session: Session, environment: str, kind: str) -> int:
    """Follow the run that is under way, to its end."""
    loaded = session.load(environment)

    async def main() -> int:
        engine, run = await _current(session, loaded, kind)
        await followed(session, engine, loaded, run, TURNS[kind])
        return Exit.DONE

    return session.run(main)


@click.command()
@environment_argument
@of_option
@pass_session
def retry(session: Session, environment: str, kind: str) -> None:
    """Let every parked step try again: mend the cause first."""
    _decide(session, environment, kind, lambda engine, run: engine.retry(run))


@click.command()
@environment_argument
@click.argument("step", default="")
@click.option("--reason", default="", help="For the record.")
@of_option
@pass_session
def skip(session: Session, environment: str, step: str, reason: str, kind: str) -> None:
    """Let a parked step count as done: STEP, or the only one.

    \b
    Example: scaleway-infra skip prod 'create lb_certificate.api' --reason 'DNS moves tomorrow'
    """
    _decide(session, environment, kind, lambda engine, run: engine.skip(run, SkipInput(step=step, reason=reason)))


@click.command()
@environment_argument
@click.option("--reason", default="", help="For the record.")
@of_option
@pass_session
def abort(session: Session, environment: str, reason: str, kind: str) -> None:
    """End a run that is parked: what runs comes to its end, nothing else begins."""
    _decide(session, environment, kind, lambda engine, run: engine.abort(run, AbortInput(reason=reason)))


@click.command()
@environment_argument
@of_option
@pass_session
def cancel(session: Session, environment: str, kind: str) -> None:
    """Stop the run that is under way: calls in flight come to their end, none begins."""
    loaded = session.load(environment)

    async def main() -> None:
        _, run = await _current(session, loaded, kind)
        await run.cancel()
        session.console.print("Cancelled: calls in flight come to their end. Another apply goes on from there.")

    session.run(main)


def _decide(
    session: Session, environment: str, kind: str, send: Callable[[Engine, Run[Any]], Awaitable[Decided]]
) -> None:
    loaded = session.load(environment)

    async def main() -> None:
        engine, run = await _current(session, loaded, kind)
        await tell(session, engine, run, send(engine, run))

    session.run(main)


async def _current(session: Session, loaded: Loaded, kind: str) -> tuple[Engine, Run[Any]]:
    engine = await session.engine()
    run = await engine.current(loaded.target, TURNS[kind])
    if run is None:
        raise NothingRuns(f"no {kind} is running", subject=loaded.target.environment)
    return engine, run
