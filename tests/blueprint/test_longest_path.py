"""The longest path of a run."""

from __future__ import annotations

import pytest

from blueprint.longest_path import longest_path
from blueprint.plan import Step


def step(id: str, *after: str) -> Step:
    """A step that waits for others."""
    return Step(id=id, action="create", changes=(id,), after=after)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), 0.0),
        ((step("a"),), 3.0),
        ((step("a"), step("b")), 5.0),
        ((step("a"), step("b", "a")), 8.0),
        ((step("b", "a"), step("a")), 8.0),
        ((step("a"), step("b"), step("c", "a", "b")), 6.0),
        ((step("a"), step("b"), step("c", "a")), 5.0),
        ((step("a"), step("never", "a")), 3.0),
    ],
)
def test_it_is_the_longest_chain(steps: tuple[Step, ...], expected: float) -> None:
    """Not the sum, not the longest step, and whatever the order in which they are listed."""
    assert longest_path(steps, {"a": 3.0, "b": 5.0, "c": 1.0}) == expected
