"""What a run's page says, for somebody who has never seen one."""

from __future__ import annotations

from typing import get_args

from blueprint.introduction import PURPOSE, Introduction
from blueprint.release.record import Origin
from workflows.details import NOW, described, titled
from workflows.messages import Phase, StepState

ANN = Origin(by="ann (run 7)", link="https://ci.test/7")


def test_every_phase_is_explained() -> None:
    """None stands there as one word."""
    assert set(NOW) == set(get_args(Phase))


def test_described() -> None:
    """Who asked, what is done now, what waits, what comes, what was done and how long it took, and how to stop it."""
    states: dict[str, StepState] = {"a": "done", "b": "running", "c": "waiting", "d": "skipped", "e": "parked"}
    text = described(
        titled("apply of lssm-prod", ANN),
        "changing",
        states,
        {"a": [10.0, 11.5], "b": [11.5], "d": [9.0, 9.1], "e": [10.0]},
        question="## Waiting for an operator",
        stopping="another apply goes on",
    )
    assert text.split("\n\n") == [
        "**apply of lssm-prod**, asked for by [ann (run 7)](https://ci.test/7): " + NOW["changing"] + ".",
        "## Waiting for an operator",
        "**Now**: `b`",
        "**Then**: `c`",
        "Steps: 1 parked, 1 running, 1 waiting, 1 done, 1 skipped.",
        "- done: `a`, 1.5 s\n- skipped: `d`, 0.1 s",
        "*Request Cancellation* stops it: another apply goes on.",
    ]


def test_hundreds_of_steps_fit() -> None:
    """Those of interest are named; of the others it says how many there are."""
    ended: dict[str, StepState] = {f"done {number}": "done" for number in range(300)}
    coming: dict[str, StepState] = {f"next {number}": "waiting" for number in range(300)}
    times = {step: [float(number), number + 1.0] for number, step in enumerate(ended)}
    text = described("title", "changing", ended | coming, times)
    assert "300 waiting, 300 done" in text
    assert "`done 299`" in text
    assert "`done 0`" not in text
    assert "and 292 more" in text
    assert len(text) < 2000


def test_nothing_can_be_stopped_at_the_end() -> None:
    """Whoever reads it later is not told how."""
    for phase in ("done", "failed"):
        assert "Request Cancellation" not in described("title", phase, {}, {}, stopping="it stops")


def test_introduction() -> None:
    """A line that names the run, a page that says what it is for, and who and where from for programs."""
    run = Introduction("deploy", "lssm-prod", ANN, "Something more.", "b" * 40)
    assert run.summary == "deploy lssm-prod: bbbbbbbbb, by ann (run 7)"
    for told in (PURPOSE["deploy"], "[ann (run 7)](https://ci.test/7)", "b" * 40, "Something more."):
        assert told in run.details
    assert run.memo == {"by": "ann (run 7)", "link": "https://ci.test/7"}
    bare = Introduction("health", "lssm-prod", Origin(by="x" * 500))
    assert len(bare.summary.encode()) <= 400
    assert "None" not in bare.details
    assert bare.memo == {"by": "x" * 500}
