"""What a restore is about to change is backed up first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ChildWorkflowError

from blueprint.backup.site import BackupSite
from blueprint.errors import BackupFailed, Gone
from blueprint.introduction import Introduction
from blueprint.release.record import Origin
from workflows.backup.backup import Backup
from workflows.backup.course import Course, GivenUp
from workflows.backup.line import in_line
from workflows.backup.messages import BackupInput, BackupOutput
from workflows.failures import code_of
from workflows.identity import backup_turn
from workflows.parking import Decision

SAFETY_TURN = timedelta(minutes=30)
"""How long the backup before a restore waits until no other backup runs."""


async def backed_up_first(
    course: Course, site: BackupSite, asset: str, origin: Origin, choices: Mapping[Decision, str]
) -> str:
    """Back up what is live, unless there is nothing.

    Args:
        course: the restore.
        site: the environment that it changes.
        asset: what of it.
        origin: who started the restore.
        choices: what an operator can say when there is no backup; "skip" goes on without it.

    Returns:
        Id of the backup; empty if there is none.

    Raises:
        GivenUp: it failed, and nobody goes on without it.
        Stopped: the run is to end.
    """
    environment = site.target.environment
    request = BackupInput(site=site, only=(asset,), reason="before restore", origin=origin)
    course.enter("backing up", f"What is live is backed up first, as `{backup_turn(environment)}`.")

    async def backed_up() -> BackupOutput | None:
        try:
            return await in_line(
                Backup.run,
                request,
                id=backup_turn(environment),
                introduction=Introduction("backup", environment, origin, f"Of {asset}, before a restore changes it."),
                patience=SAFETY_TURN,
            )
        except ChildWorkflowError as error:
            if _gone(error):
                return None
            raise

    try:
        made = await course.insist(f"back up {asset}", lambda: asyncio.create_task(backed_up()), choices=choices)
    except GivenUp as error:
        if error.decision != "skip":
            raise
        return ""
    return made.id if made else ""


def _gone(error: ChildWorkflowError) -> bool:
    """Whether a backup failed because there is nothing to back up."""
    if not isinstance(error.cause, ApplicationError) or code_of(error) != BackupFailed.code or not error.cause.details:
        return False
    return all(item.code == Gone.code for item in BackupOutput.model_validate(error.cause.details[0]).failures)
