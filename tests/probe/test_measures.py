"""Quantiles and pauses, as tables."""

from __future__ import annotations

import pytest

from probe.measures import Pauses, latency, quantile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, 0.0),
        ([7.0], 0.001, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0], 0.51, 2.0),
        (list(map(float, range(1, 1001))), 0.99, 990.0),
        (list(map(float, range(1, 1001))), 0.999, 999.0),
        (list(map(float, range(1, 1001))), 1.0, 1000.0),
    ],
)
def test_quantile(values: list[float], share: float, expected: float) -> None:
    """Nearest rank."""
    assert quantile(values, share) == expected


def test_latency_needs_no_order() -> None:
    """The waits come as the answers did."""
    assert latency([3.0, 1.0, 2.0]).model_dump() == {"p50": 2.0, "p99": 3.0, "p999": 3.0, "max": 3.0}


ARRIVED, WELL, FAILED = "arrived", "well", "failed"


@pytest.mark.parametrize(
    ("events", "seconds", "at"),
    [
        ([], 0, 0),
        ([(1, ARRIVED), (2, WELL)], 1, 1),
        # Nobody waits from 2 to 9.
        ([(1, ARRIVED), (2, WELL), (9, ARRIVED), (9.5, WELL)], 1, 1),
        # Others are answered meanwhile: a long wait, but no pause.
        ([(0, ARRIVED), (1, ARRIVED), (2, WELL), (3, ARRIVED), (4, WELL), (5, WELL)], 2, 0),
        # From the last answer on somebody waits.
        ([(0, ARRIVED), (0.5, ARRIVED), (1, WELL), (5, WELL)], 4, 1),
        # Failures at once are no answers.
        ([(0, ARRIVED), (1, FAILED), (2, ARRIVED), (3, FAILED), (4, ARRIVED), (5, WELL)], 5, 0),
        # Nothing comes after the last failure: it ends there.
        ([(0, ARRIVED), (3, FAILED)], 3, 0),
    ],
)
def test_pauses(events: list[tuple[float, str]], seconds: float, at: float) -> None:
    """Stretches in which somebody waits and nobody is answered well."""
    pauses = Pauses(0.0)
    for now, event in events:
        if event == ARRIVED:
            pauses.arrived(now)
        else:
            pauses.ended(now, well=event == WELL)
    assert (pauses.longest.moment.seconds, pauses.longest.moment.at) == (seconds, at)
