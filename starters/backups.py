"""Backups as a library: begin backups, drills, retention and restores, and read the catalogue."""

from __future__ import annotations

import time

from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import BucketRestoreOutput, DropOutput, ManagedRestoreOutput
from blueprint.backup.manifest import Pin
from blueprint.backup.site import BackupSite
from starters.engine import Engine, Run
from starters.origin import started_by
from workflows.backup.backup import Backup
from workflows.backup.drill import Drill
from workflows.backup.look import Backups, DropDatabase, PinBackup
from workflows.backup.messages import (
    BackupInput,
    BackupOutput,
    BackupsInput,
    BackupsOutput,
    DrillInput,
    DrillOutput,
    DropInput,
    PinRunInput,
    RestoreBucketInput,
    RestoreDatabaseInput,
    RestoreDatabaseOutput,
    RestoreInstanceInput,
    RetentionInput,
    RetentionOutput,
)
from workflows.backup.restore import RestoreDatabase
from workflows.backup.restore_others import RestoreBucket, RestoreInstance
from workflows.backup.retention import Retention
from workflows.identity import backup_turn, drill_turn

BY_HAND = "operator"
"""Name of the pin that a person sets; a backup has one of them."""


async def backup(engine: Engine, request: BackupInput) -> Run[BackupOutput]:
    """Begin to back up an environment.

    Raises:
        AnotherChangeRuns: another backup, or retention, is running.
    """
    what = f"Assets: {', '.join(request.only) or 'all'}."
    return await engine.take_turn(Backup.run, "backup", request.site.target, request, what, turn=backup_turn)


async def drill(engine: Engine, request: DrillInput) -> Run[DrillOutput]:
    """Begin to restore backups into a scratch place and check them there.

    Raises:
        AnotherChangeRuns: another drill is running.
    """
    what = f"Assets: {', '.join(request.only) or 'all'}. Backup: {request.id or 'the newest of each'}."
    return await engine.take_turn(Drill.run, "drill", request.site.target, request, what, turn=drill_turn)


async def retention(engine: Engine, request: RetentionInput) -> Run[RetentionOutput]:
    """Begin to delete what no rule wants; or only tell what that is, which takes nobody's turn.

    Raises:
        AnotherChangeRuns: a backup, or another retention, is running.
    """
    target = request.site.target
    if not request.write:
        return await engine.look(Retention.run, "retention", target, request, "Only shows what would go.")
    return await engine.take_turn(
        Retention.run, "retention", target, request, "Deletes what no rule wants.", turn=backup_turn
    )


async def restore_database(engine: Engine, request: RestoreDatabaseInput) -> Run[RestoreDatabaseOutput]:
    """Begin to bring a database back.

    Raises:
        AnotherChangeRuns: a change of the environment that gets it is running.
    """
    target = (request.into or request.site).target
    source = request.back_to or request.id or "the newest good backup"
    return await engine.take_turn(
        RestoreDatabase.run, "restore", target, request, f"Database {request.database} from {source}."
    )


async def restore_bucket(engine: Engine, request: RestoreBucketInput) -> Run[BucketRestoreOutput]:
    """Begin to bring a bucket back; or only tell what differs, which takes nobody's turn.

    Raises:
        AnotherChangeRuns: a change of the environment is running.
    """
    target = request.request.site.target
    if not request.request.write:
        about = f"Only shows what differs in the bucket {request.request.bucket}."
        return await engine.look(RestoreBucket.run, "restore", target, request, about)
    return await engine.take_turn(RestoreBucket.run, "restore", target, request, f"Bucket {request.request.bucket}.")


async def restore_instance(engine: Engine, request: RestoreInstanceInput) -> Run[ManagedRestoreOutput]:
    """Begin to make an instance from a snapshot.

    Raises:
        AnotherChangeRuns: a change of the environment is running.
    """
    return await engine.take_turn(
        RestoreInstance.run, "restore", request.site.target, request, f"Instance {request.name} from a snapshot."
    )


async def drop_database(engine: Engine, request: DropInput) -> Run[DropOutput]:
    """Begin to drop a database that a restore made or kept.

    Raises:
        AnotherChangeRuns: a change of the environment is running.
    """
    return await engine.take_turn(DropDatabase.run, "drop", request.site.target, request, f"Database {request.name}.")


async def backups(engine: Engine, site: BackupSite, only: tuple[str, ...] = ()) -> BackupsOutput:
    """The catalogue, and how the assets are."""
    run = await engine.look(Backups.run, "backups", site.target, BackupsInput(site=site, only=only))
    return await run.result()


async def pin(engine: Engine, site: BackupSite, asset: str, id: str, reason: str) -> Entry:
    """A backup stays, whatever retention says."""
    return await _pin(engine, site, asset, id, reason, remove=False)


async def unpin(engine: Engine, site: BackupSite, asset: str, id: str) -> Entry:
    """A backup stays no longer than retention says."""
    return await _pin(engine, site, asset, id, "", remove=True)


async def _pin(engine: Engine, site: BackupSite, asset: str, id: str, reason: str, *, remove: bool) -> Entry:
    mark = Pin(name=BY_HAND, reason=reason, by=started_by(), at=time.time())
    request = PinRunInput(site=site, asset=asset, id=id, pin=mark, remove=remove)
    operation, about = "unpin" if remove else "pin", f"Backup: {asset} {id}."
    run = await engine.look(PinBackup.run, operation, site.target, request, about)
    return await run.result()
