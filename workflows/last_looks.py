"""What the last look at backups, health and drift has found, told by every worker.

A gauge says what its worker saw last. With two workers, the one that did not look this time would go on saying what was
true before, and an alarm would ring on, or not at all; and one that has just started would know nothing until the next
night. What runs found is in Temporal, for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from blueprint.contract import DRIFT_WORKFLOW
from blueprint.health.contract import HEALTH_WORKFLOW, HealthOutput
from telemetry import metrics
from telemetry.looks import Figure, of_assets, of_checks, of_drift
from workflows.backup.messages import BackupOutput, DrillOutput
from workflows.identity import ENVIRONMENT
from workflows.messages import DriftOutput


@dataclass(frozen=True)
class _Look:
    """What a type of workflow finds.

    Attributes:
        gives: its result; if it fails, that is in its error's details.
        figures: what it says, of that environment.
        back: how far back the last one may be.
    """

    gives: type[Any]
    figures: Callable[[str, Any], Iterator[Figure]]
    back: timedelta


_LOOKS: Mapping[str, _Look] = {
    DRIFT_WORKFLOW: _Look(DriftOutput, lambda where, out: of_drift(where, len(out.plan.changes)), timedelta(days=2)),
    HEALTH_WORKFLOW: _Look(HealthOutput, lambda where, out: of_checks(where, out.checks), timedelta(hours=1)),
    "Backup": _Look(BackupOutput, lambda where, out: of_assets(where, out.assets), timedelta(days=2)),
    "Drill": _Look(DrillOutput, lambda where, out: of_assets(where, out.assets), timedelta(days=2)),
}
_MOST = 50
"""Runs of a type that are looked through for the last one of each environment."""


class LastLooks:
    """Tells of each last look once it has ended.

    Args:
        client: connected to Temporal.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: dict[tuple[str, str], datetime] = {}

    async def tell(self) -> None:
        """Tell what is new.

        Raises:
            RPCError: Temporal does not answer.
        """
        found: dict[tuple[str, str], tuple[datetime, str, str]] = {}
        for name, look in _LOOKS.items():
            since = (datetime.now(UTC) - look.back).isoformat()
            query = f'WorkflowType = "{name}" AND ExecutionStatus IN ("Completed", "Failed") AND CloseTime > "{since}"'
            async for run in self._client.list_workflows(query, limit=_MOST):
                key = name, run.typed_search_attributes.get(ENVIRONMENT) or ""
                assert run.close_time
                if run.close_time > max(self._told.get(key, run.start_time), found.get(key, (run.start_time,))[0]):
                    found[key] = run.close_time, run.id, run.run_id
        # Backups and drills tell the same gauges: the newest has the last word.
        for (name, environment), (closed, workflow_id, run_id) in sorted(found.items(), key=lambda item: item[1]):
            output = await self._output(workflow_id, run_id, _LOOKS[name].gives)
            if output is not None:
                for metric, value, attributes in _LOOKS[name].figures(environment, output):
                    metrics.record(metric, value, attributes)
            self._told[name, environment] = closed

    async def _output(self, id: str, run_id: str, gives: type[Any]) -> Any:
        """What a run found; None if it failed before it found anything."""
        handle = self._client.get_workflow_handle(id, run_id=run_id, result_type=gives)
        try:
            return await handle.result(follow_runs=False)
        except WorkflowFailureError as error:
            details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
            return gives.model_validate(details[0]) if details else None
