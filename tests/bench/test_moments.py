"""Moments of a deploy are spread over its steps."""

from __future__ import annotations

import pytest

from bench.moments import RECORDING, Moment, Stretch, spread, stretches
from workflows.messages import Progress, StepProgress

STEPS = (Stretch("prepare", 4.0), Stretch("drain", 1.0), Stretch("switch", 1.0), Stretch("soak", 10.0))
PROGRESS = Progress(
    phase="recording",
    steps=(
        StepProgress(id="drain", state="done", started=12.0, ended=13.0),
        StepProgress(id="prepare", state="done", started=10.0, ended=12.0),
        StepProgress(id="switch"),
    ),
)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (2, [Moment("drain", 0.5), Moment("soak", 5.0)]),
        (4, [Moment("prepare", 2.0), Moment("drain", 0.5), Moment("switch", 0.5), Moment("soak", 5.0)]),
        (6, [Moment("prepare", 2.0), Moment("drain", 0.5), Moment("switch", 0.5)]
            + [Moment("soak", after) for after in (10 / 6, 5.0, 50 / 6)]),
    ],
)  # fmt: skip
def test_every_step_gets_its_moment_and_long_ones_more(count: int, expected: list[Moment]) -> None:
    """One in the middle of each, as far as there are enough, then the longest are divided."""
    found = spread(STEPS, count)

    assert [moment.step for moment in found] == [moment.step for moment in expected]
    assert [moment.after for moment in found] == pytest.approx([moment.after for moment in expected])


def test_a_deploy_is_its_steps_and_the_record() -> None:
    """Steps come in the order of time; what never began is not there; the rest until the end is the record."""
    assert stretches(PROGRESS, 13.5) == (Stretch("prepare", 2.0), Stretch("drain", 1.0), Stretch(RECORDING, 0.5))


@pytest.mark.parametrize(
    ("moment", "due"),
    [(Moment("drain", 0.25), 12.25), (Moment("switch"), None), (Moment(RECORDING, 1.0), 14.0), (Moment("?"), None)],
)
def test_a_moment_is_due_when_its_step_has_begun(moment: Moment, due: float | None) -> None:
    """Before that, nobody can tell."""
    assert moment.due(PROGRESS) == due
