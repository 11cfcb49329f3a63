"""Commands for runs of any kind: list them, see what one is at, and steer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import click
from rich import box
from rich.markdown import Markdown
from rich.table import Table

from blueprint.errors import EngineError
from starters import runs as library
from starters.cli.session import Session, pass_session
from starters.cli.watch import patiently
from starters.engine import Engine, Run
from starters.runs import RunFacts
from workflows.messages import AbortInput, Decided, SkipInput

_STYLES = {"waiting": "bold red", "running": "cyan", "completed": "green", "failed": "red"}


class _Listing(click.Group):
    """Lists, unless a command is named: `runs prod` is `runs list prod`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """See `click.Group`."""
        named = bool(args) and (args[0] in self.commands or args[0] in context.help_option_names)
        return super().parse_args(context, args if named else ["list", *args])


@click.group(cls=_Listing)
def runs() -> None:
    """List runs, show what one is at, and steer it: retry, skip, abort.

    \b
    Examples: scaleway-infra runs --waiting
              scaleway-infra runs prod
              scaleway-infra runs show environment/lssm-prod
              scaleway-infra runs retry environment/lssm-prod
    """


@runs.command("list")
@click.argument("environment", metavar="[ENV]", required=False)
@click.option("--waiting", is_flag=True, help="Only those that wait for a person.")
@click.option("--most", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@pass_session
def list_(session: Session, environment: str | None, waiting: bool, most: int) -> None:
    """List the newest runs, of one environment or of all."""
    name = session.load(environment).target.environment if environment else ""

    async def main() -> None:
        found = await library.runs(await session.engine(), name, waiting=waiting, most=most)
        if session.is_json:
            session.print_json([asdict(facts) for facts in found])
        elif found:
            session.console.print(_table(found))
        else:
            session.console.print("No run waits for a person." if waiting else "There are no runs.")

    session.run(main)


@runs.command()
@click.argument("id")
@pass_session
def show(session: Session, id: str) -> None:
    """Show what a run is at, and what it waits for. ID is a workflow id, or that of a run."""

    async def main() -> None:
        engine, facts, run = await _found(session, id)
        asking = library.current_details(run)
        try:
            details = await patiently(session, engine, asking, "asking the run")
        except EngineError as error:
            details = f"{error}."
        if session.is_json:
            session.print_json(asdict(facts) | {"details": details})
            return
        _print(session, facts)
        session.console.print()
        if session.console.is_terminal:
            session.console.print(Markdown(details))
        else:
            click.echo(details)

    session.run(main)


@runs.command()
@click.argument("id")
@pass_session
def retry(session: Session, id: str) -> None:
    """Let every parked step of a run try again: mend the cause first."""
    _decide(session, id, lambda engine, run: engine.retry(run))


@runs.command()
@click.argument("id")
@click.option("--step", default="", help="Which parked step; the only one if absent.")
@click.option("--reason", default="", help="For the record.")
@pass_session
def skip(session: Session, id: str, step: str, reason: str) -> None:
    """Let a parked step of a run count as done."""
    _decide(session, id, lambda engine, run: engine.skip(run, SkipInput(step=step, reason=reason)))


@runs.command()
@click.argument("id")
@click.option("--reason", default="", help="For the record.")
@pass_session
def abort(session: Session, id: str, reason: str) -> None:
    """End a run that is parked: what runs comes to its end, nothing else begins."""
    _decide(session, id, lambda engine, run: engine.abort(run, AbortInput(reason=reason)))


async def tell(session: Session, engine: Engine, run: Run[Any], saying: Awaitable[Decided]) -> None:
    """Tell a run what an operator decided, and print what that was about.

    Args:
        session: of the command line.
        engine: connected.
        run: which.
        saying: the update: `engine.retry(run)`, say.

    Raises:
        DecisionRefused: it makes no sense.
    """
    session.telling = run.handle.id
    decided = await patiently(session, engine, library.decided(saying), "telling the run")
    if session.is_json:
        session.print_json(decided.model_dump(mode="json"))
    else:
        session.console.print("Decided about: " + ", ".join(decided.steps), markup=False, soft_wrap=True)


def _decide(session: Session, id: str, say: Callable[[Engine, Run[Any]], Awaitable[Decided]]) -> None:
    async def main() -> None:
        engine, _, run = await _found(session, id)
        await tell(session, engine, run, say(engine, run))

    session.run(main)


async def _found(session: Session, id: str) -> tuple[Engine, RunFacts, Run[Any]]:
    engine = await session.engine()
    facts = await library.find(engine, id)
    return engine, facts, engine.run(facts.id, facts.run_id)


def _table(found: list[RunFacts]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("started (UTC)", "run", "is", "waits for", "by", "id"):
        table.add_column(title, overflow="fold")
    for facts in found:
        what = f"{facts.operation} {facts.environment}" + (f" {facts.commit[:9]}" if facts.commit else "")
        status = f"[{_STYLES.get(facts.status, 'dim')}]{facts.status}[/]"
        table.add_row(f"{facts.since:%m-%d %H:%M:%S}", what, status, facts.waits_for, facts.started_by, facts.id)
    return table


def _print(session: Session, facts: RunFacts) -> None:
    lines = [f"{facts.operation} {facts.environment}: {facts.status}"]
    lines += [f"waits for: {facts.waits_for}"] if facts.waits_for else []
    ended = f", ended {facts.until:%Y-%m-%d %H:%M:%S} UTC" if facts.until else ""
    lines.append(f"started {facts.since:%Y-%m-%d %H:%M:%S} UTC by {facts.started_by}{ended}")
    lines += [f"from: {facts.origin}"] if facts.origin else []
    lines += [f"commit: {facts.commit}"] if facts.commit else []
    lines.append(f"its page: {facts.link}")
    session.console.print("\n".join(lines), markup=False, soft_wrap=True)
