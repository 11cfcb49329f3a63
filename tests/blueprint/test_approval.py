"""Whose word counts, for what, and what it is told if it does not."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.approval import ApprovalRecord, Proposal, Waiting, moved, refusal, same_person
from blueprint.environment import parse
from blueprint.errors import EnvironmentFileError
from blueprint.release.decision import ReleasePlan

SHOWN = Proposal(fingerprint="f00d", text="### the plan")
DATA = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}


def waits(**other: Any) -> Waiting:
    """An apply that ann asked for."""
    facts: dict[str, Any] = {"operation": "apply", "by": "ann@laptop", "until": 1_700_000_000.0, "proposal": SHOWN}
    return Waiting(environment="lssm-prod", **facts | other)


APPROVED = ApprovalRecord(decision="approved", by="ben", at=1_700_000_000.0, fingerprint="f00d")
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"fingerprint": "f00d"}, ""),
    ({"decision": "reject", "reason": "no"}, ""),
    ({"by": "  "}, "approve needs to know who you are"),
    ({"decision": "reject", "by": "", "reason": "no"}, "reject needs to know who you are"),
    ({"decision": "reject", "reason": " "}, "reject needs a reason"),
    ({"fingerprint": "beef"}, "what is shown now is f00d, not beef"),
    ({"waiting": None}, "nothing waits for approval"),
    ({"waiting": None, "record": APPROVED}, "nothing left to decide: approved by ben at 2023-11-14 22:13 UTC"),
    ({"decision": "reject", "reason": "no", "waiting": None, "record": APPROVED}, "nothing left to decide: approved"),
    ({"waiting": waits(anew=True)}, "approve needs the fingerprint of what is shown now, f00d"),
    ({"fingerprint": "f00d", "waiting": waits(anew=True)}, ""),
    ({"decision": "reject", "reason": "no", "waiting": waits(anew=True)}, ""),
    ({"by": "ann", "waiting": waits()}, ""),
    ({"by": "ann", "waiting": waits(others_only=True)}, "somebody else has to approve it"),
    ({"by": "ann", "reason": "no", "decision": "reject", "waiting": waits(others_only=True)}, ""),
    ({"by": "ben", "waiting": waits(others_only=True)}, ""),
]


@pytest.mark.parametrize(("case", "expected"), REFUSALS)
def test_refusals(case: dict[str, Any], expected: str) -> None:
    """Each word that does not count is refused by a sentence that says what would."""
    usual: dict[str, Any] = {"decision": "approve", "waiting": waits(), "record": None, "by": "ben", "reason": ""}
    found = refusal(**usual | case)
    assert expected in found
    assert bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (SHOWN, ""),
        (Proposal(fingerprint="beef", text=""), "what would be done now (beef) is not what was shown (f00d)"),
        (Proposal(fingerprint="f00d", text="", obstacle="frozen by ann"), "as things are: frozen by ann"),
    ],
)
def test_moved(now: Proposal, expected: str) -> None:
    """An approval is of exactly what was shown, and of nothing that must not begin."""
    assert (expected in moved(SHOWN, now)) if expected else not moved(SHOWN, now)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann", "ann", True),
        (" Ann ", "ann@laptop", True),
        ("ann (run 12)", "ann@desk", True),
        ("ann", "anna", False),
        ("ann b", "ann", False),
    ],
)
def test_same_person(one: str, other: str, same: bool) -> None:
    """Names of one person, from CI, a terminal and the UI."""
    assert same_person(one, other) is same


def test_details() -> None:
    """A stranger reads who asked, from where, until when, and exactly what to send."""
    text = waits(link="http://ci.test/1", others_only=True, changed="it is another one").details()
    assert "apply of `lssm-prod`" in text
    assert "[ann@laptop](http://ci.test/1)" in text
    assert "until 2023-11-14 22:13 UTC" in text
    assert '`{"by": "YOUR NAME", "reason": "", "fingerprint": "f00d"}`' in text
    assert '`{"by": "YOUR NAME", "reason": "..."}`' in text
    assert "may not approve it" in text
    assert "did not count: it is another one" in text
    assert text.endswith("### the plan")


def test_the_section() -> None:
    """A file without it is not protected; one that has it is, also if nothing stands below it."""
    assert parse(DATA).approval is None
    for data in (DATA | {"approval": None}, DATA | {"approval": {}}):
        approval = parse(data).approval
        assert approval is not None
        assert (approval.timeout, approval.others_only) == (86_400, False)
    with pytest.raises(EnvironmentFileError, match=r"approval\.timeout"):
        parse(DATA | {"approval": {"timeout": "1s"}})


def test_a_release_is_the_same_in_another_order() -> None:
    """Which node is first follows from its health at the moment: an approval stands all the same."""
    plan = ReleasePlan(action="deploy", commit="b" * 40, previous="a" * 40, batches=(("n1",), ("n2",)))
    assert plan.fingerprint() == plan.model_copy(update={"batches": (("n2",), ("n1",))}).fingerprint()
    for change in ({"commit": "c" * 40}, {"previous": ""}, {"batches": (("n1",),)}, {"in_place": True}):
        assert plan.fingerprint() != plan.model_copy(update=change).fingerprint()
