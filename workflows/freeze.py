"""Freeze: as long as this run lives, nothing is deployed to its environment.

The running workflow is the freeze, as the running change is the turn: it shows who and why, and cannot be left behind.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

from blueprint.moments import moment
from blueprint.release.facts import FreezeFacts
from workflows.messages import FreezeInput


# It lives for weeks, and replays in any version: none has to stay for it.
@workflow.defn(name="Freeze", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class Freeze:
    """Waits until it is lifted (cancelled), or until its time is over."""

    @workflow.run
    async def run(self, input: FreezeInput) -> FreezeFacts:
        """Wait. Returns what it was, if nobody lifted it."""
        freeze = input.freeze
        workflow.set_current_details(shown(freeze, workflow.info().workflow_id))
        if freeze.until is None:
            await asyncio.Event().wait()
        else:
            await workflow.sleep(
                timedelta(seconds=max(freeze.until - workflow.time(), 0)), summary="until the freeze ends by itself"
            )
        return freeze


def shown(freeze: FreezeFacts, run: str) -> str:
    """A freeze in Markdown, for a stranger.

    Args:
        freeze: who, why, since and until when.
        run: id of the run that is the freeze.
    """
    until = f"It ends by itself at {moment(freeze.until)}." if freeze.until else "It does not end by itself."
    return "\n".join(
        [
            f"**{run.partition('/')[2]} is frozen** by {freeze.by} since {moment(freeze.since)}: {freeze.reason}",
            "",
            "As long as this run lives, deploys are refused, unless they are forced. Applies, rollbacks, backups and "
            f"restores are not. {until}",
            "",
            "To lift it: *Request Cancellation* here, or `scaleway-infra unfreeze` in a terminal.",
        ]
    )
