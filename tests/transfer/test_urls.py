"""Which URLs are asked for, and how far ahead."""

from __future__ import annotations

import pytest

from transfer.urls import Course, ahead, likely_last


@pytest.mark.parametrize(
    ("courses", "expected"),
    [
        ([], ()),
        ([Course("a", 0, 1)], ("a.0000", "a.0001")),
        # What each lane needs first comes first.
        ([Course("a", 5, 99), Course("b", 0, 99)], ("a.0005", "b.0000", "a.0006", "b.0001", "a.0007", "b.0002")),
        # Archives that are nearly done leave room for those that come next.
        (
            [Course("a", 5, 5), Course("b", 0, 0), Course("c", 0, 99)],
            ("a.0005", "b.0000", "c.0000", "c.0001", "c.0002"),
        ),
        # Enough is enough.
        ([Course("a", 0, 99), Course("b", 0, 99), Course("c", 0, 99)], ("a.0000", "b.0000", "a.0001", "b.0001")),
        ([Course("a", 9999, 10001)], ("a.9999", "a.10000", "a.10001")),
    ],
)
def test_a_window_for_each_lane(courses: list[Course], expected: tuple[str, ...]) -> None:
    """Of three parts, for two lanes."""
    found = ahead(courses, lanes=2, window=3)

    assert found[: len(expected)] == expected
    assert len(found) <= 2 * 3


@pytest.mark.parametrize(
    ("estimate", "written", "expected"),
    [(0, 0, 3), (10, 0, 3), (100, 0, 10), (100, 9, 12), (100, 50, 53)],
)
def test_a_dump_asks_for_more_than_it_expects(estimate: int, written: int, expected: int) -> None:
    """Parts of ten bytes: a table may be larger than PostgreSQL says."""
    assert likely_last(estimate, 10, written) == expected
