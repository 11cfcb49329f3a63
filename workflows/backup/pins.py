"""Whoever reads a backup pins it, so that retention leaves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import workflow

from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import PinInput
from blueprint.backup.manifest import Pin
from blueprint.backup.site import BackupSite
from blueprint.errors import Gone
from workflows.backup.course import Course
from workflows.parking import Decision

PINNED = timedelta(days=2)
"""After which a pin ends by itself: longer than any run that reads a backup."""


@asynccontextmanager
async def pinned(
    course: Course, site: BackupSite, entry: Entry, reason: str, by: str, choices: Mapping[Decision, str]
) -> AsyncIterator[None]:
    """With a pin on a backup.

    Args:
        course: the run that reads it.
        site: whose backup it is.
        entry: the backup.
        reason: what is done with it.
        by: who started the run.
        choices: what an operator can say when it cannot be pinned.

    Raises:
        GivenUp: it could not be pinned.
        Stopped: the run is to end.
    """
    now = workflow.time()
    pin = Pin(name=workflow.info().run_id, reason=reason, by=by, at=now, until=now + PINNED.total_seconds())
    request = PinInput(site=site, asset=entry.asset, id=entry.id, pin=pin)
    # One that is gone by now does not come back: nobody is asked about that.
    await course.carry_out(
        f"pin {entry.asset}",
        contract.PIN,
        request,
        f"retention leaves {entry.id}",
        choices=choices,
        final=(Gone.code,),
    )
    try:
        yield
    finally:
        # One that cannot be removed ends by itself.
        request = request.model_copy(update={"remove": True})
        await course.tidy(f"unpin {entry.asset}", contract.PIN, request, f"nothing reads {entry.id} any more")
