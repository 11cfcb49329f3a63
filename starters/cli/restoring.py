"""Commands that bring data back: restore, drop."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from pydantic import BaseModel
from rich.console import RenderableType

from blueprint.backup.contract import BucketRestoreInput, BucketRestoreOutput, DropOutput, ManagedRestoreOutput
from blueprint.backup.scratch import require_scratch
from blueprint.environment.scalars import parse_duration
from blueprint.errors import EngineError
from starters import backups as library
from starters.cli.backing import site_in
from starters.cli.changing import Approval, confirm_option, yes_option
from starters.cli.exits import Exit, UsageRefused
from starters.cli.outcome import Gives, carried_out
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.turns import detach_option, wait_for_turn, wait_option
from starters.engine import Engine, Run
from starters.origin import origin
from starters.render.backup_text import restored_bucket_text, restored_database_text, restored_instance_text
from workflows.backup.messages import (
    DropInput,
    RestoreBucketInput,
    RestoreDatabaseInput,
    RestoreDatabaseOutput,
    RestoreInstanceInput,
)

M = TypeVar("M", bound=BaseModel)
_AGO = re.compile(r"(.+?)\s+ago")
_EITHER = (("to", "in_place"), ("backup", "back_to"), ("to", "back_to"), ("into", "back_to"), ("backup", "at"))
"""Options of `restore` of which only one can be meant."""


@dataclass(frozen=True)
class Wish:
    """What `restore` was asked for, as it was typed."""

    database: str | None
    bucket: str | None
    instance: str | None
    backup: str
    to: str
    in_place: bool
    into: str | None
    back_to: str
    prefix: str
    at: str | None
    remove_newer: bool
    dry_run: bool

    def require_sense(self) -> None:
        """See that the options fit together.

        Raises:
            UsageRefused: they do not; the remedy is a command that does.
        """
        named = [name for name in ("database", "bucket", "instance") if getattr(self, name)]
        if len(named) != 1:
            raise UsageRefused(
                "what is to be restored has to be said once" if not named else f"{' and '.join(named)} at once",
                remedy="--database NAME, --bucket NAME or --instance NAME",
            )
        belongs = {
            "database": ("to", "in_place", "into", "back_to"),
            "bucket": ("prefix", "at", "remove_newer", "dry_run"),
            "instance": (),
        }
        for kind, options in belongs.items():
            for option in options:
                if getattr(self, option) and kind != named[0]:
                    raise UsageRefused(f"{_flag(option)} is for --{kind}", remedy=f"leave it out, or --{kind}")
        for one, other in _EITHER:
            if getattr(self, one) and getattr(self, other):
                raise UsageRefused(f"{_flag(one)} and {_flag(other)} at once", remedy="one of them")


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


@click.command()
@environment_argument
@click.option("--database", metavar="NAME", help="A database, from its backup.")
@click.option("--bucket", metavar="NAME", help="A bucket, by its full name: only what differs is written.")
@click.option("--instance", metavar="NAME", help="A new database instance of that name, from Scaleway's snapshot.")
@click.option(
    "--backup", default="", metavar="ID", help="Which; else the newest good one, of a bucket the newest not bad."
)
@click.option("--to", default="", metavar="NAME", help="Database: the name of the restored one, beside the live one.")
@click.option("--in-place", is_flag=True, help="Database: it takes the place of the live one, which is kept.")
@click.option("--into", metavar="ENV", help="Database: another environment gets it, masked.")
@click.option("--back-to", default="", metavar="NAME", help="Database: one that was kept becomes the live one again.")
@click.option("--prefix", default="", help="Bucket: only objects whose key starts with it.")
@click.option("--at", metavar="TIME", help="Bucket: a moment, '2026-11-26 09:00' (UTC), or '2h ago'.")
@click.option("--remove-newer", is_flag=True, help="Bucket: objects that came later are deleted.")
@click.option("--dry-run", is_flag=True, help="Bucket: only tell what differs.")
@yes_option
@confirm_option
@wait_option
@detach_option
@pass_session
def restore(
    session: Session, /, environment: str, yes: bool, confirm: str | None, wait: bool, detach: bool, **wish: object
) -> int:
    """Bring a database, a bucket or an instance back.

    A database is restored beside the live one and checked there. With --in-place the two change names in the end, after
    a safety backup; the one that was live is kept. If that fails, nothing has changed. A bucket is backed up first, and
    then objects of it that differ are written over.

    \b
    Examples: scaleway-infra restore prod --database equitya
              scaleway-infra restore prod --database equitya --backup 20261126T013005Z-3f2a --in-place --confirm prod
              scaleway-infra restore prod --database equitya --back-to before_equitya_... --confirm prod
              scaleway-infra restore prod --database equitya --into stg --in-place --confirm stg
              scaleway-infra restore prod --bucket equitya-prod-files --at '2h ago' --dry-run
    """
    wanted = Wish(**wish)  # type: ignore[arg-type]
    wanted.require_sense()
    loaded = session.load(environment)
    changed = session.load(wanted.into) if wanted.into else loaded
    approval = Approval(session, changed, yes=yes, confirm=confirm, fingerprint=None)
    restoring = Restoring(session, loaded, changed, wanted, approval, wait=wait, detach=detach)
    return session.run(restoring.carry_out)


class Restoring:
    """One restore.

    Args:
        session: where to show it.
        loaded: the environment whose backup it is.
        changed: the environment that gets it.
        wish: what was asked for.
        approval: whether it may be carried out.
        wait: wait for another run first.
        detach: do not watch it.
    """

    def __init__(
        self,
        session: Session,
        loaded: Loaded,
        changed: Loaded,
        wish: Wish,
        approval: Approval,
        *,
        wait: bool,
        detach: bool,
    ) -> None:
        self._session = session
        self._loaded = loaded
        self._changed = changed
        self._wish = wish
        self._approval = approval
        self._wait = wait
        self._detach = detach
        self._site = site_in(loaded)

    async def carry_out(self) -> int:
        """Have it approved, begin it, follow it; the exit code.

        Raises:
            EngineError: it was refused, or failed.
        """
        self._require_known()
        if self._wait:
            await wait_for_turn(self._session, await self._session.engine(), self._changed)
        if self._wish.database:
            return await self._database(self._wish.database)
        if self._wish.bucket:
            return await self._bucket(self._wish.bucket)
        return await self._instance()

    def _require_known(self) -> None:
        site, wish = self._site, self._wish
        databases, buckets = [item.name for item in site.databases], [item.name for item in site.buckets]
        for kind, name, known in (("database", wish.database, databases), ("bucket", wish.bucket, buckets)):
            if name and name not in known:
                raise UsageRefused(f"no {kind} {name} is backed up", remedy=f"one of {', '.join(known)} fits")

    async def _database(self, database: str) -> int:
        wish = self._wish
        request = RestoreDatabaseInput(
            site=self._site,
            database=database,
            id=wish.backup,
            to=wish.to,
            in_place=wish.in_place,
            into=site_in(self._changed) if wish.into else None,
            back_to=wish.back_to,
            origin=origin(),
        )
        replaces = wish.in_place or wish.back_to
        what = f"{database} of {self._changed.environment.env} is replaced; what is live now is kept."
        if replaces and not self._approved(what):
            return Exit.FAILED
        gives = Gives(RestoreDatabaseOutput, restored_database_text)
        return await self._run(lambda engine: library.restore_database(engine, request), gives)

    async def _bucket(self, bucket: str) -> int:
        wish = self._wish
        wanted = BucketRestoreInput(
            site=self._site,
            bucket=bucket,
            id=wish.backup,
            at=moment_of(wish.at) if wish.at else None,
            prefix=wish.prefix,
            remove_newer=wish.remove_newer,
            write=not wish.dry_run,
        )
        request = RestoreBucketInput(request=wanted, origin=origin())
        newer = " Those that came later are deleted." if wish.remove_newer else ""
        what = f"Objects of {bucket} that differ are overwritten.{newer} What is there now is backed up first."
        if not wish.dry_run and not self._approved(what):
            return Exit.FAILED

        def text(output: BucketRestoreOutput) -> RenderableType:
            return restored_bucket_text(output, written=not wish.dry_run)

        return await self._run(lambda engine: library.restore_bucket(engine, request), Gives(BucketRestoreOutput, text))

    async def _instance(self) -> int:
        name = self._wish.instance or ""
        request = RestoreInstanceInput(site=self._site, id=self._wish.backup, name=name, origin=origin())
        if not self._approved(f"A new instance {name} is made, and costs what its like does."):
            return Exit.FAILED

        def text(output: ManagedRestoreOutput) -> RenderableType:
            return restored_instance_text(output, name)

        return await self._run(
            lambda engine: library.restore_instance(engine, request), Gives(ManagedRestoreOutput, text)
        )

    def _approved(self, what: str) -> bool:
        if self._approval.given:
            return True
        self._session.stderr.print(what)
        if self._approval.ask():
            return True
        self._session.stderr.print("Nothing was changed.")
        return False

    async def _run(self, begin: Callable[[Engine], Awaitable[Run[M]]], gives: Gives[M]) -> int:
        return await carried_out(self._session, self._changed, begin, gives, wait=self._wait, detach=self._detach)


@click.command()
@environment_argument
@click.argument("name")
@yes_option
@confirm_option
@wait_option
@pass_session
def drop(session: Session, environment: str, name: str, yes: bool, confirm: str | None, wait: bool) -> int:
    """Drop a database that a restore made (restore_...) or kept (before_...).

    \b
    Example: scaleway-infra drop prod before_equitya_20261126t013005z3f2a --confirm prod
    """
    loaded = session.load(environment)
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=None)
    site = site_in(loaded)
    try:
        require_scratch(name, [item.name for item in site.databases])
    except EngineError as error:
        raise UsageRefused(error.message, subject=name, remedy="restore_... and before_... can be dropped") from None
    request = DropInput(site=site, name=name, origin=origin())

    def text(output: DropOutput) -> RenderableType:
        return f"Dropped: {', '.join(output.names) or 'nothing: there is no such database'}"

    if not approval.given and not approval.ask():
        session.stderr.print("Nothing was dropped.")
        return Exit.FAILED
    return session.run(
        lambda: carried_out(
            session,
            loaded,
            lambda engine: library.drop_database(engine, request),
            Gives(DropOutput, text),
            wait=wait,
        )
    )


def moment_of(text: str) -> float:
    """Seconds since the epoch of '2026-11-26 09:00', of ISO 8601 with a zone, or of '2h ago'.

    Args:
        text: as it was typed. Without a zone it is UTC; a zone's name may follow: '2026-11-26 09:00 Europe/Paris'.

    Raises:
        UsageRefused: it is none of these, or lies ahead.
    """
    now = datetime.now(UTC)
    if found := _AGO.fullmatch(text.strip()):
        try:
            return now.timestamp() - float(parse_duration(found[1].replace(" ", "")))
        except (ValueError, EngineError, TypeError):
            raise UsageRefused(f"{text!r} is no time", remedy="'2h ago', '30m ago' or '1d ago' fit") from None
    stamp, _, zone = text.strip().rpartition(" ") if "/" in text else (text.strip(), "", "")
    try:
        at = datetime.fromisoformat(stamp)
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(zone) if zone else UTC)
    except (ValueError, ZoneInfoNotFoundError):
        raise UsageRefused(
            f"{text!r} is no time", remedy="'2026-11-26 09:00' (UTC), '2026-11-26T09:00+01:00' or '2h ago' fit"
        ) from None
    if at > now:
        raise UsageRefused(f"{text!r} lies ahead", remedy="a moment that has been")
    return at.timestamp()
