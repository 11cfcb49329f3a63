"""Runs that have a turn of an environment: which one is meant, waiting for it, beginning one, following it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from starters.cli.session import Loaded, Session
from starters.cli.watch import LOOK_EVERY, follow
from starters.engine import AnotherChangeRuns, Engine, Run, Turn
from workflows.identity import backup_turn, drill_turn, turn_id

T = TypeVar("T")
TURNS: dict[str, Turn] = {"change": turn_id, "backup": backup_turn, "drill": drill_turn}
"""By what `--of` calls them: one run of each at a time. Restores are changes; retention has the turn of backups."""

wait_option = click.option("--wait", is_flag=True, help="If another run has the turn, wait for its end first.")
detach_option = click.option("--detach", is_flag=True, help="Start it and do not watch.")
approval_option = click.option(
    "--wait-for-approval",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _, value: _follow_on(context, value),
    help="In a protected environment, keep watching until somebody approves or rejects it.",
)
of_option = click.option(
    "--of",
    "kind",
    type=click.Choice(list(TURNS)),
    default="change",
    show_default=True,
    help="Which run: a restore is a change, retention goes by `backup`.",
)


def _follow_on(context: click.Context, value: bool) -> None:
    session = context.find_object(Session)
    assert session
    session.waits_for_approval = value


async def wait_for_turn(session: Session, engine: Engine, loaded: Loaded, turn: Turn = turn_id) -> None:
    """Wait for the run that has the turn, and say so."""
    if running := await engine.running(loaded.target, turn):
        session.stderr.print(
            f"Waiting: {running.operation} runs, started by {running.started_by}: {running.link}", soft_wrap=True
        )
        await engine.wait_for_turn(loaded.target, every=LOOK_EVERY, turn=turn)


async def in_turn(
    session: Session,
    engine: Engine,
    loaded: Loaded,
    begin: Callable[[], Awaitable[Run[T]]],
    *,
    turn: Turn = turn_id,
    wait: bool,
    detach: bool,
) -> T | None:
    """Begin a run, once its turn is free if that is wanted, and follow it.

    Args:
        session: where to show it.
        engine: connected.
        loaded: the environment.
        begin: starts it.
        turn: which turn it has.
        wait: wait for the turn.
        detach: do not follow it.

    Returns:
        What it gives; None if it is not followed.

    Raises:
        AnotherChangeRuns: the turn is taken, and nobody waits for it.
        EngineError: the run failed.
    """
    while True:
        try:
            run = await begun(session, loaded, begin(), turn)
            break
        except AnotherChangeRuns:
            if not wait:
                raise
            await wait_for_turn(session, engine, loaded, turn)
    session.stderr.print(f"Started: {run.link}", soft_wrap=True)
    if detach:
        return None
    return await followed(session, engine, loaded, run, turn)


async def begun(session: Session, loaded: Loaded, begin: Awaitable[Run[T]], turn: Turn = turn_id) -> Run[T]:
    """Begin a run; whoever interrupts just then is told whether it has begun, for a call in flight is not called back.

    Raises:
        AnotherChangeRuns: the turn is taken.
    """
    session.beginning = _name(loaded, turn)
    beginning = asyncio.ensure_future(begin)
    try:
        run = await asyncio.shield(beginning)
    except asyncio.CancelledError:
        session.running = (_name(loaded, turn), (await beginning).link)
        raise
    session.beginning = ""
    session.job.notice(f"{loaded.target.environment}: {run.link}")
    return run


async def followed(session: Session, engine: Engine, loaded: Loaded, run: Run[T], turn: Turn = turn_id) -> T:
    """Follow a run to its end; whoever interrupts is told that it goes on.

    Raises:
        EngineError: the run failed.
    """
    session.running = (_name(loaded, turn), run.link)
    result = await follow(session, engine, run, loaded.target.environment)
    session.running = None
    return result


def _name(loaded: Loaded, turn: Turn) -> str:
    """What `watch` and `cancel` know a run by."""
    kind = next(name for name, known in TURNS.items() if known is turn)
    return loaded.environment.env + ("" if turn is turn_id else f" --of {kind}")
