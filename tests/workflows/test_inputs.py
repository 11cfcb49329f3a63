"""A run that was started without an input that fits: it ends at once, says why, and keeps nobody's turn."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from temporalio.client import WorkflowQueryFailedError

from tests.workflows.house import House
from tests.workflows.test_replay import definition, replay
from workflows.registry import WORKFLOWS

TYPES = [definition(each).name for each in WORKFLOWS]


def begun(home: House, kind: str, *inputs: Any) -> Any:
    """A run of this type, started as the UI's form does it: with whatever is in there."""
    start = home.client.start_workflow(kind, args=inputs, id=f"odd/{uuid.uuid4().hex}", task_queue=home.task_queue)
    return home.run(start)


@pytest.mark.parametrize("kind", TYPES)
def test_an_empty_form(home: House, kind: str) -> None:
    """Whatever is started: it fails, and says what to do."""
    code, said = home.failure(begun(home, kind))
    assert code == "input_invalid"
    assert said.startswith(f"{kind}: it was started with no input, and takes 1 -> nothing was done; start it from")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (({"request": {}},), "its input does not fit: request.target: Field required; request.environment: Field"),
        (("prod",), "its input does not fit: all of it: Input should be"),
        (({}, {}), "it was started with 2 input"),
    ],
)
def test_a_form_filled_wrongly(home: House, inputs: tuple[Any, ...], said: str) -> None:
    """What does not fit is named."""
    code, message = home.failure(begun(home, "Apply", *inputs))
    assert code == "input_invalid"
    assert said in message


def test_its_page(home: House) -> None:
    """Whoever opens it later finds it as it ended, is told the same again, and it replays."""
    handle = begun(home, "Deploy")
    home.failure(handle)
    with pytest.raises(WorkflowQueryFailedError, match="no input"):
        home.run(handle.query("__temporal_workflow_metadata"))
    replay(home.run(handle.fetch_history()).to_json())
