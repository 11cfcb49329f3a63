"""A backup of the databases that a release is about to migrate."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from blueprint.backup.site import BackupSite
from blueprint.introduction import Introduction
from blueprint.release.record import Origin
from workflows.backup.backup import Backup
from workflows.backup.line import in_line
from workflows.backup.messages import BackupInput, BackupOutput
from workflows.identity import backup_turn
from workflows.release.timeline import Timeline

PATIENCE = timedelta(minutes=30)
"""How long a deploy waits for its turn: the backup of the night may be on its way."""


async def back_up(site: BackupSite, origin: Origin, timeline: Timeline) -> str:
    """Back up what the file names, as a step of the release.

    Args:
        site: of the environment.
        origin: who deploys.
        timeline: of the release.

    Returns:
        Which backup to restore if the migrations go wrong, in words.

    Raises:
        FailureError: there is no backup.
        Stopped: the run is to end.
    """
    environment = site.target.environment
    assets = ", ".join(site.before_migration)
    output: BackupOutput = await timeline.follow(
        f"back up {assets}",
        lambda: asyncio.create_task(
            in_line(
                Backup.run,
                BackupInput(site=site, only=site.before_migration, reason="before migration", origin=origin),
                id=backup_turn(environment),
                introduction=Introduction("backup", environment, origin, f"Of {assets}, before a migration."),
                patience=PATIENCE,
            )
        ),
    )
    return f"backup {output.id} of {assets}"
