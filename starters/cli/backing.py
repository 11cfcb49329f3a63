"""Commands for backups: backup, backups, drill, retention, pin, unpin."""

from __future__ import annotations

import time

import click

from blueprint.backup.choice import assets_of
from blueprint.backup.site import BackupSite
from blueprint.backup.site_of import backup_site
from blueprint.errors import EngineError
from starters import backups as library
from starters.cli.changing import Approval, confirm_option, yes_option
from starters.cli.exits import Exit, UsageRefused
from starters.cli.outcome import Gives, carried_out, show
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.turns import detach_option, wait_option
from starters.cli.watch import patiently
from starters.engine import Engine
from starters.origin import origin
from starters.render.backup_text import (
    assets_text,
    backup_text,
    catalogue_text,
    drills_text,
    retention_plan_text,
    retention_text,
)
from workflows.backup.messages import (
    BackupInput,
    BackupOutput,
    DrillInput,
    DrillOutput,
    RetentionInput,
    RetentionOutput,
)
from workflows.identity import backup_turn, drill_turn

only_option = click.option(
    "--only", multiple=True, metavar="ASSET", help="Only this one: db/NAME, bucket/NAME, environment (repeatable)."
)
asset_option = click.option("--asset", required=True, metavar="ASSET", help="db/NAME or bucket/NAME.")


@click.command()
@environment_argument
@only_option
@wait_option
@detach_option
@pass_session
def backup(session: Session, environment: str, only: tuple[str, ...], wait: bool, detach: bool) -> int:
    """Make a new backup of every asset, or of some. It is good once a drill has restored and checked it.

    \b
    Examples: scaleway-infra backup prod
              scaleway-infra backup prod --only db/equitya
    """
    loaded = session.load(environment)
    site = site_in(loaded)
    request = BackupInput(site=site, only=assets_in(site, only), origin=origin())

    return session.run(
        lambda: carried_out(
            session,
            loaded,
            lambda engine: library.backup(engine, request),
            Gives(BackupOutput, backup_text),
            turn=backup_turn,
            wait=wait,
            detach=detach,
        )
    )


@click.command()
@environment_argument
@only_option
@pass_session
def backups(session: Session, environment: str, only: tuple[str, ...]) -> None:
    """List every backup: how old, how large, whether it is known to restore, why it stays.

    \b
    Example: scaleway-infra backups prod --only db/equitya
    """
    loaded = session.load(environment)
    site = site_in(loaded)

    async def main() -> None:
        engine = await session.engine()
        looking = library.backups(engine, site, only)
        found = await patiently(session, engine, looking, f"reading the backups of {environment}")
        # Of what the file does not declare any longer there may be backups.
        assets_in(site, tuple(asset for asset in only if not found.catalogue.of(asset)))
        if session.is_json:
            session.print_json(found.model_dump(mode="json"))
            return
        session.console.print(catalogue_text(found.catalogue, time.time()))
        session.console.print()
        session.console.print(assets_text(found.assets))

    session.run(main)


@click.command()
@environment_argument
@only_option
@click.option("--backup", "id", default="", metavar="ID", help="This backup; the newest of each asset if left out.")
@wait_option
@detach_option
@pass_session
def drill(session: Session, environment: str, only: tuple[str, ...], id: str, wait: bool, detach: bool) -> int:
    """Restore backups into a scratch place, check them there, and remove it: only then they count as good.

    \b
    Example: scaleway-infra drill prod --only db/equitya
    """
    loaded = session.load(environment)
    site = site_in(loaded)
    request = DrillInput(site=site, only=assets_in(site, only), id=id, origin=origin())

    return session.run(
        lambda: carried_out(
            session,
            loaded,
            lambda engine: library.drill(engine, request),
            Gives(DrillOutput, lambda output: drills_text(output.records)),
            turn=drill_turn,
            wait=wait,
            detach=detach,
        )
    )


@click.command()
@environment_argument
@click.option("--dry-run", is_flag=True, help="Show what would go and why the rest stays, and nothing else.")
@yes_option
@confirm_option
@wait_option
@detach_option
@pass_session
def retention(
    session: Session, environment: str, dry_run: bool, yes: bool, confirm: str | None, wait: bool, detach: bool
) -> int:
    """Show which backups no rule wants any more, ask, and delete them.

    \b
    Example: scaleway-infra retention prod --dry-run
    """
    loaded = session.load(environment)
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=None)
    request = RetentionInput(site=site_in(loaded), origin=origin())

    async def main() -> int:
        engine = await session.engine()
        planned = await patiently(session, engine, _plan(engine, request), f"reading the backups of {environment}")
        if not session.is_json:
            session.console.print(retention_plan_text(planned.plan))
        elif dry_run:
            session.print_json(planned.model_dump(mode="json"))
        if dry_run:
            return Exit.DONE
        if not approval.given and not approval.ask():
            session.stderr.print("Nothing was deleted.")
            return Exit.FAILED
        return await carried_out(
            session,
            loaded,
            lambda engine: library.retention(engine, request),
            Gives(RetentionOutput, retention_text),
            turn=backup_turn,
            wait=wait,
            detach=detach,
        )

    return session.run(main)


async def _plan(engine: Engine, request: RetentionInput) -> RetentionOutput:
    run = await library.retention(engine, request.model_copy(update={"write": False}))
    return await run.result()


@click.command()
@environment_argument
@click.argument("id")
@asset_option
@click.option("--reason", required=True, help="Why it must stay.")
@pass_session
def pin(session: Session, environment: str, id: str, asset: str, reason: str) -> None:
    """Keep a backup, whatever retention says.

    \b
    Example: scaleway-infra pin prod 20261126T013005Z-3f2a --asset db/equitya --reason 'audit 2026'
    """
    site = site_in(session.load(environment))

    async def main() -> None:
        engine = await session.engine()
        entry = await patiently(session, engine, library.pin(engine, site, asset, id, reason), f"pinning {id}")
        show(session, entry, lambda _: f"{asset} {id} stays until `scaleway-infra unpin`.")

    session.run(main)


@click.command()
@environment_argument
@click.argument("id")
@asset_option
@pass_session
def unpin(session: Session, environment: str, id: str, asset: str) -> None:
    """Leave a backup to retention again."""
    site = site_in(session.load(environment))

    async def main() -> None:
        engine = await session.engine()
        entry = await patiently(session, engine, library.unpin(engine, site, asset, id), f"unpinning {id}")
        show(session, entry, lambda _: f"{asset} {id} goes when no rule wants it any more.")

    session.run(main)


# -- shared with restores ------------------------------------------------------------------------------------------


def site_in(loaded: Loaded) -> BackupSite:
    """What of an environment is backed up.

    Raises:
        UsageRefused: nothing is.
    """
    site = backup_site(loaded.environment, loaded.target)
    if site is None:
        raise UsageRefused(
            "the file has no `backup`", subject=loaded.environment.env, remedy="docs/environment.md says what it is"
        )
    return site


def assets_in(site: BackupSite, only: tuple[str, ...]) -> tuple[str, ...]:
    """The assets that are meant.

    Raises:
        UsageRefused: there is no such asset.
    """
    if not only:
        return ()
    try:
        return assets_of(site.assets, only)
    except EngineError as error:
        raise UsageRefused(error.message, subject=error.subject, remedy=error.remedy) from None
