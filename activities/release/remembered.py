"""What Temporal remembers of an environment's releases, when no node can tell any more."""

from __future__ import annotations

from pydantic import ValidationError
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.temporal_client import TemporalBridge
from blueprint.contract import ENVIRONMENT_ATTRIBUTE, OPERATION_ATTRIBUTE
from blueprint.errors import Unavailable
from blueprint.release.record import RECORD, ReleaseRecord

_MOST = 50
"""Runs that are looked at, the newest first."""


def last_released(temporal: TemporalBridge, environment: str) -> ReleaseRecord | None:
    """The newest deploy or rollback that ended well; None without one, or if the environment was destroyed since.

    A release needs the database that it was made for: an environment that is made anew begins without one. A destroy
    that failed or was cancelled has not come to the end, so what was released still is.

    Raises:
        Unavailable: Temporal does not answer.
    """
    operations = "'deploy', 'rollback', 'destroy'"
    query = f"{ENVIRONMENT_ATTRIBUTE} = '{environment}' AND {OPERATION_ATTRIBUTE} IN ({operations})"

    async def look() -> ReleaseRecord | None:
        async for run in temporal.client.list_workflows(query, limit=_MOST):
            if run.workflow_type == "Destroy":
                if run.status == WorkflowExecutionStatus.COMPLETED:
                    return None
                continue
            try:
                record = ReleaseRecord.model_validate(await run.memo_value(RECORD, None))
            except ValidationError:
                continue
            if record.result == "released":
                return record
        return None

    try:
        return temporal.run(look())
    except (RPCError, TimeoutError):
        raise Unavailable(f"Temporal does not tell what was released on {environment}") from None
