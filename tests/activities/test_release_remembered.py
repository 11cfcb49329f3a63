"""What is known of a release when no node is left that could tell."""

from __future__ import annotations

import uuid

import pytest
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.release.remembered import last_released
from activities.temporal_client import TemporalBridge
from blueprint.release.record import RECORD, Origin, ReleaseRecord, Result
from tests.emulator.real.local import eventually
from workflows.identity import ENVIRONMENT, OPERATION


def run(bridge: TemporalBridge, environment: str, operation: str, commit: str, result: Result) -> None:
    """A run that Temporal remembers. Nobody carries it out: what it leaves is what is looked at."""
    record = ReleaseRecord(
        environment=environment, action="deploy", commit=commit, origin=Origin(by="t"), result=result, ended=1.0
    )
    attributes = [SearchAttributePair(ENVIRONMENT, environment), SearchAttributePair(OPERATION, operation)]
    bridge.run(
        bridge.client.start_workflow(
            operation.capitalize(),
            id=f"remembered/{uuid.uuid4()}",
            task_queue="nobody",
            memo={RECORD: record.model_dump(mode="json")} if operation != "destroy" else None,
            search_attributes=TypedSearchAttributes(attributes),
        )
    )


@pytest.mark.parametrize(
    ("runs", "commit"),
    [
        ([], None),
        ([("deploy", "a", "released")], "a"),
        ([("deploy", "a", "released"), ("deploy", "b", "released")], "b"),
        ([("deploy", "a", "released"), ("deploy", "b", "rolled back"), ("deploy", "c", "running")], "a"),
        ([("deploy", "b", "released"), ("rollback", "a", "released")], "a"),
        ([("deploy", "a", "failed")], None),
        ([("deploy", "a", "released"), ("destroy", "", "failed")], None),
        ([("deploy", "a", "released"), ("destroy", "", "failed"), ("deploy", "b", "released")], "b"),
    ],
)
def test_the_last_release(bridge: TemporalBridge, runs: list[tuple[str, str, Result]], commit: str | None) -> None:
    """The newest that ended well, unless the environment was destroyed since."""
    environment = f"t-{uuid.uuid4().hex[:8]}"
    for operation, released, result in runs:
        run(bridge, environment, operation, released, result)

    async def listed() -> int:
        query = f"Environment = '{environment}'"
        return len([execution async for execution in bridge.client.list_workflows(query)])

    eventually(lambda: bridge.run(listed()) == len(runs), "all runs are listed")
    found = last_released(bridge, environment)
    assert (found and found.commit) == commit
