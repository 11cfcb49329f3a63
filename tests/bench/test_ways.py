"""The ways in which releases go wrong are all that there are, and each ends without a person or asks one."""

from __future__ import annotations

from bench.broken_releases import FEW, WAYS
from starters.sample import EDITS


def test_every_fault_of_the_sample_is_a_way() -> None:
    """What the sample can be broken by is tried, once."""
    faults = [way.fault for way in WAYS if way.fault]

    assert sorted(faults) == sorted(EDITS)


def test_a_way_has_one_cause() -> None:
    """Either the release is at fault or what it runs on: only then the verdict on the mark tells something."""
    assert [way.name for way in WAYS if bool(way.fault) == bool(way.mishap)] == []


def test_the_short_form_has_both() -> None:
    """A release that is at fault, and a mishap."""
    few = WAYS[:FEW]

    assert any(way.fault for way in few)
    assert any(way.mishap for way in few)
