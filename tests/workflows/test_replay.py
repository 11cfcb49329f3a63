"""Runs that are under way outlive a change of the code: recorded histories replay with what is in the folder now."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.workflows.record import HISTORIES
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS

RECORDED = sorted(HISTORIES.glob("*.json"))


def definition(workflow: type) -> Any:
    """What Temporal knows of a workflow class."""
    return getattr(workflow, "__temporal_workflow_definition")


def replay(history: str) -> None:
    """Replay one history with the workflows as they are.

    Raises:
        NondeterminismError: they would have done something else.
    """
    replayer = Replayer(workflows=WORKFLOWS, plugins=[EnginePlugin()])
    asyncio.run(replayer.replay_workflow(WorkflowHistory.from_json("replayed", history)))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded(path: Path) -> None:
    """What was recorded is what the code would do: see `record.py` for what to do if it is not."""
    replay(path.read_text())


def test_every_type_is_recorded() -> None:
    """Each workflow type has at least one history."""
    started = [json.loads(path.read_text())["events"][0] for path in RECORDED]
    types = {event["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] for event in started}
    assert types == {definition(workflow).name for workflow in WORKFLOWS}


def test_a_history_of_other_code_is_refused() -> None:
    """The test above can fail: an activity of another name does not replay."""
    history = (HISTORIES / "plan.json").read_text()
    assert '"name": "plan"' in history
    with pytest.raises(NondeterminismError):
        replay(history.replace('"name": "plan"', '"name": "another"'))
