"""What runs give, and how it is shown: that of a failed run, too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from rich.console import RenderableType

from blueprint.errors import EngineError
from starters.cli.exits import Exit
from starters.cli.session import Loaded, Session
from starters.cli.turns import in_turn
from starters.engine import Engine, Run, Turn
from workflows.identity import turn_id

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Gives(Generic[M]):
    """What runs of a kind give.

    Attributes:
        type: its model. A run that fails may have one in its error's details.
        text: how people see it.
    """

    type: type[M]
    text: Callable[[M], RenderableType]


async def carried_out(
    session: Session,
    loaded: Loaded,
    begin: Callable[[Engine], Awaitable[Run[M]]],
    gives: Gives[M],
    *,
    turn: Turn = turn_id,
    wait: bool,
    detach: bool = False,
) -> int:
    """Begin a run, follow it to its end and show what it gave; the exit code.

    Args:
        session: where to show it.
        loaded: the environment whose turn it has.
        begin: starts it.
        gives: what it gives.
        turn: which turn it has.
        wait: wait for the turn.
        detach: do not follow it.

    Raises:
        AnotherChangeRuns: the turn is taken, and nobody waits for it.
        EngineError: the run failed. What it gave all the same is shown.
    """
    engine = await session.engine()
    with _shown_on_failure(session, gives):
        output = await in_turn(session, engine, loaded, lambda: begin(engine), turn=turn, wait=wait, detach=detach)
    if output is not None:
        show(session, output, gives.text)
    return Exit.DONE


def show(session: Session, output: M, text: Callable[[M], RenderableType]) -> None:
    """Show what a run gave.

    Args:
        session: where to.
        output: what it gave.
        text: how people see it; programs get all of it as JSON.
    """
    if session.is_json:
        session.print_json(output.model_dump(mode="json"))
    else:
        session.console.print(text(output))


@contextmanager
def _shown_on_failure(session: Session, gives: Gives[M]) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        if error.details and not session.is_json:
            with suppress(ValidationError):
                session.console.print(gives.text(gives.type.model_validate(error.details[0])))
        raise
