"""What is known of a release when no node is left that could tell."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RawValue, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.release.remembered import last_released
from activities.temporal_client import TemporalBridge
from blueprint.release.record import RECORD, ReleaseRecord, Result
from tests.emulator.real.local import eventually
from workflows.identity import ENVIRONMENT, OPERATION


@workflow.defn(dynamic=True)
class Ended:
    """Any run, at its end: what it leaves is what is looked at."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        """End well, or not."""
        if not workflow.payload_converter().from_payload(args[0].payload, bool):
            raise ApplicationError("made to fail")


async def remember(
    bridge: TemporalBridge, environment: str, runs: Sequence[tuple[str, str, Result | Literal["destroyed"]]]
) -> None:
    """Runs that Temporal remembers, one after the other as an environment's turn makes them."""
    queue = f"remembered-{uuid.uuid4()}"
    async with Worker(bridge.client, task_queue=queue, workflows=[Ended], workflow_runner=UnsandboxedWorkflowRunner()):
        for operation, commit, result in runs:
            attributes = [SearchAttributePair(ENVIRONMENT, environment), SearchAttributePair(OPERATION, operation)]
            memo = {} if operation == "destroy" else {RECORD: _record(environment, commit, result)}
            handle = await bridge.client.start_workflow(
                operation.capitalize(),
                result in ("released", "destroyed"),
                id=f"remembered/{uuid.uuid4()}",
                task_queue="nobody" if result == "running" else queue,
                memo=memo,
                search_attributes=TypedSearchAttributes(attributes),
            )
            if result != "running":
                with contextlib.suppress(WorkflowFailureError):
                    await handle.result()


def _record(environment: str, commit: str, result: str) -> dict[str, Any]:
    record = {"environment": environment, "action": "deploy", "commit": commit, "origin": {"by": "t"}}
    return ReleaseRecord.model_validate(record | {"result": result, "ended": 1.0}).model_dump(mode="json")


@pytest.mark.parametrize(
    ("runs", "commit"),
    [
        ([], None),
        ([("deploy", "a", "released")], "a"),
        ([("deploy", "a", "released"), ("deploy", "b", "released")], "b"),
        ([("deploy", "a", "released"), ("deploy", "b", "rolled back"), ("deploy", "c", "running")], "a"),
        ([("deploy", "b", "released"), ("rollback", "a", "released")], "a"),
        ([("deploy", "a", "failed")], None),
        ([("deploy", "a", "released"), ("destroy", "", "destroyed")], None),
        ([("deploy", "a", "released"), ("destroy", "", "failed")], "a"),
        ([("deploy", "a", "released"), ("destroy", "", "destroyed"), ("deploy", "b", "released")], "b"),
        ([("deploy", "a", "released"), ("destroy", "", "destroyed"), ("destroy", "", "failed")], None),
    ],
)
def test_the_last_release(
    bridge: TemporalBridge, runs: Sequence[tuple[str, str, Result | Literal["destroyed"]]], commit: str | None
) -> None:
    """The newest that ended well, unless the environment was destroyed since."""
    environment = f"t-{uuid.uuid4().hex[:8]}"
    bridge.run(remember(bridge, environment, runs))

    async def listed() -> list[WorkflowExecutionStatus | None]:
        query = f"Environment = '{environment}'"
        return [execution.status async for execution in bridge.client.list_workflows(query)]

    open_runs = [result for _, _, result in runs].count("running")

    def shown() -> bool:
        """Temporal shows runs, and how they ended, a little later."""
        found = bridge.run(listed())
        return len(found) == len(runs) and found.count(WorkflowExecutionStatus.RUNNING) == open_runs

    eventually(shown, "all runs are listed as they ended")
    found = last_released(bridge, environment)
    assert (found and found.commit) == commit
