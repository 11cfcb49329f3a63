"""What is tried on backups: each way has one end, and the names of steps are those of any run."""

from __future__ import annotations

import pytest

from bench.backup_faults import FEW, WAYS
from bench.kills import steady
from workflows.messages import Progress, StepProgress


def test_whoever_is_asked_is_told_why() -> None:
    """A way that does not pass by itself names what its reason has to say."""
    assert [way.name for way in WAYS if way.end != "done" and not way.says] == []


def test_the_short_form_has_both() -> None:
    """What is sat out, and what is asked about."""
    assert {way.end for way in WAYS[:FEW]} == {"done", "asked"}


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("load restore_equitya_20261126t143005z3f2a", "load restore_equitya"),
        ("drop before_equitya_20261126t143005z3f2a", "drop before_equitya"),
        ("delete db/equitya 20261126T143005Z-3f2a", "delete db/equitya "),
        ("back up db/equitya", "back up db/equitya"),
    ],
)
def test_a_steps_name_is_the_same_in_the_next_run(step: str, name: str) -> None:
    """Ids of runs are left out: a moment that was chosen in one run is met in another one."""
    (found,) = steady(Progress(steps=(StepProgress(id=step),))).steps

    assert found.id == name
