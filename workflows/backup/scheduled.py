"""What a schedule starts: a run under the id that others of its kind have, too."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow

from blueprint.backup.contract import SCHEDULED_WORKFLOW, ScheduledInput
from blueprint.introduction import Introduction
from blueprint.release.record import Origin
from workflows.backup.backup import Backup
from workflows.backup.drill import Drill
from workflows.backup.line import in_line
from workflows.backup.messages import (
    BackupInput,
    DrillInput,
    RetentionInput,
    ScheduledOutput,
)
from workflows.backup.retention import Retention
from workflows.identity import backup_turn, drill_turn

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
BY = "schedule"
"""Who starts what a schedule starts."""


@workflow.defn(name=SCHEDULED_WORKFLOW)
class Scheduled:
    """Wait for the turn, and run as a child what was scheduled."""

    @workflow.run
    async def run(self, input: ScheduledInput) -> ScheduledOutput:
        """Run it.

        Raises:
            ApplicationError: busy, the turn was not free in time.
            ChildWorkflowError: the run failed.
        """
        origin = Origin(by=BY)
        match input.what:
            case "backup":
                backup = BackupInput(site=input.site, reason="schedule", origin=origin)
                return ScheduledOutput(backup=await self._in_line(Backup.run, backup, input, backup_turn))
            case "drill":
                drill = DrillInput(site=input.site, origin=origin)
                return ScheduledOutput(drill=await self._in_line(Drill.run, drill, input, drill_turn))
            case "retention":
                retention = RetentionInput(site=input.site, origin=origin)
                return ScheduledOutput(retention=await self._in_line(Retention.run, retention, input, backup_turn))

    async def _in_line(
        self,
        run: Callable[[Any, I], Coroutine[Any, Any, O]],
        request: I,
        input: ScheduledInput,
        turn: Callable[[str], str],
    ) -> O:
        environment = input.site.target.environment
        workflow.set_current_details(
            f"**{input.what} of {environment}, by schedule**: runs as `{turn(environment)}`, once nothing else does; "
            "its own page says what it is at.\n\n*Request Cancellation* here cancels it, too."
        )
        return await in_line(
            run,
            request,
            id=turn(environment),
            introduction=Introduction(input.what, environment, Origin(by=BY)),
            patience=timedelta(seconds=input.patience),
        )
