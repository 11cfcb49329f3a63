"""Which backups stay: a table of catalogues, and the two rules above all on random ones."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from blueprint.backup import layout
from blueprint.backup.catalogue import Entry, is_drilled
from blueprint.backup.manifest import DrillRecord, Pin
from blueprint.backup.retention import RetentionPlan, plan_retention
from blueprint.backup.site import Retention

NOW = datetime(2026, 11, 26, 14, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0
NONE = Retention(last=1, daily=0, weekly=0, monthly=0, yearly=0, least_good=1, drilled_within=8 * DAY)


def rules(**settings: Any) -> Retention:
    """Rules that keep the newest one, unless told otherwise."""
    return NONE.model_copy(update=settings)


def entry(days: float, state: str = "unproven", asset: str = "db/shop", **more: Any) -> Entry:
    """A backup of some days ago; its drill was an hour after it."""
    point = NOW - days * DAY
    run = layout.backup_id(point, "3f2a")
    passed = {"good": (True,), "bad": (False,), "turned bad": (True, False), "mended": (False, True)}.get(state, ())
    drills = tuple(
        DrillRecord(id=run, asset=asset, at=point + HOUR * n, seconds=1, passed=ok) for n, ok in enumerate(passed, 1)
    )
    damaged = "cannot be read" if state == "damaged" else ""
    usual: dict[str, Any] = {
        "point": point,
        "started": point,
        "ended": point + 60,
        "size": 100,
        "drills": drills,
        "damaged": damaged,
    }
    return Entry(id=run, asset=asset, **(usual | more))


def pin(until: float | None) -> Pin:
    """A pin of an operator."""
    return Pin(name="operator", reason="audit", by="ada", at=NOW - DAY, until=until)


def kept(plan: RetentionPlan) -> list[float]:
    """How many days old those are that stay."""
    stay = [verdict for verdict in plan.verdicts if verdict.keep]
    return [round((NOW - layout.moment(verdict.id)) / DAY, 3) for verdict in stay]


# Backups with a fresh good one of an hour ago: nothing is held.
FRESH = entry(1 / 24, "good")
HOURLY = [entry(0.1 + hour / 24) for hour in range(30)]
TABLE: list[tuple[str, Retention, list[Entry], list[float]]] = [
    ("last", rules(last=3), [entry(day) for day in range(1, 6)], [0.042, 1, 2]),
    (
        "a day has one",
        rules(daily=3),
        [entry(0.1), entry(0.2), entry(1), entry(1.1), entry(2), entry(3)],
        [0.042, 1, 2],
    ),
    ("days without one do not count", rules(daily=3), [entry(5), entry(9), entry(20)], [0.042, 5, 9]),
    ("an ISO week ends on Sunday", rules(weekly=2), [entry(3), entry(4), entry(5)], [0.042, 4]),
    ("months", rules(monthly=3), [entry(20), entry(30), entry(50), entry(60), entry(90)], [0.042, 30, 60]),
    ("years", rules(yearly=2), [entry(300), entry(340), entry(400)], [0.042, 340]),
    ("rules add up", rules(last=2, daily=2), [entry(0.1), entry(0.2), entry(1), entry(2)], [0.042, 0.1, 1]),
    ("a bad one fills no place", rules(last=2), [entry(1, "bad"), entry(2, "damaged"), entry(3), entry(4)], [0.042, 3]),
    ("so does one whose drill failed later", rules(last=2), [entry(1, "turned bad"), entry(2)], [0.042, 2]),
    ("and one that was mended fills one", rules(last=2), [entry(1, "mended"), entry(2)], [0.042, 1]),
    ("good ones", rules(least_good=3), [entry(1), entry(2, "good"), entry(3, "good"), entry(4, "good")], [0.042, 2, 3]),
    (
        "pinned",
        rules(),
        [entry(4, pins=(pin(None),)), entry(5, pins=(pin(NOW + 1),)), entry(6, pins=(pin(NOW),))],
        [0.042, 4, 5],
    ),
    ("a pinned bad one", rules(), [entry(4, "damaged", pins=(pin(None),))], [0.042, 4]),
    ("locked", rules(), [entry(4, locked_until=NOW + 1), entry(5, locked_until=NOW)], [0.042, 4]),
    ("a bad one after the newest good one", rules(), [entry(0, "bad"), entry(1)], [0, 0.042]),
]


@pytest.mark.parametrize(("retention", "entries", "days"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_rules(retention: Retention, entries: list[Entry], days: list[float]) -> None:
    """Beside a good one of an hour ago, these stay, and the others go."""
    plan = plan_retention([FRESH, *entries], retention, NOW)

    assert kept(plan) == days
    assert plan.held == {}
    assert all(verdict.reasons for verdict in plan.verdicts)
    assert [verdict.id for verdict in plan.deletions] == [v.id for v in plan.verdicts if not v.keep]


HELD: list[tuple[str, list[Entry], str]] = [
    ("never drilled", [entry(1), entry(2), entry(30)], "no backup of it has passed a drill"),
    ("drilled too long ago", [entry(1), entry(9, "good"), entry(30)], "older than the 8 days"),
    (
        "an old one drilled just now is no proof of the newer ones",
        [entry(1), entry(9, drills=(DrillRecord(id="", asset="", at=NOW, seconds=1, passed=True),)), entry(30)],
        "older than the 8 days",
    ),
    (
        "the drill failed",
        [entry(1, "bad"), entry(2, "turned bad"), entry(30), entry(31)],
        "no backup of it has passed a drill",
    ),
    ("a backup of tomorrow", [entry(-1), entry(1, "good"), entry(2)], "a clock is wrong"),
]


@pytest.mark.parametrize(("entries", "reason"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_holds(entries: list[Entry], reason: str) -> None:
    """Nothing of the asset goes, and the plan says why; other assets are not touched by it."""
    others = [entry(0.5, "good", "bucket/files"), entry(3, asset="bucket/files")]
    plan = plan_retention([*entries, *others], rules(), NOW)

    assert reason in plan.held["db/shop"]
    assert list(plan.held) == ["db/shop"]
    assert [(verdict.asset, verdict.id) for verdict in plan.deletions] == [("bucket/files", others[1].id)]


def test_nothing_to_hold() -> None:
    """Where the rules let nothing go, there is nothing to say."""
    assert plan_retention([entry(1)], rules(), NOW).held == {}
    assert plan_retention([], rules(), NOW) == RetentionPlan()


def test_what_is_not_drilled() -> None:
    """The environment's description needs no drill; the newest complete one stays whatever the rules say."""
    entries = [entry(1, "damaged", "environment"), entry(30, asset="environment"), entry(40, asset="environment")]

    plan = plan_retention(entries, rules(last=0), NOW)

    assert kept(plan) == [1, 30]
    assert plan.held == {}


def test_a_slow_clock_of_a_worker_is_forgiven() -> None:
    """Half an hour ahead is no reason to hold."""
    assert plan_retention([entry(-0.02), FRESH, entry(5)], rules(), NOW).held == {}


def random_catalogue(dice: random.Random) -> list[Entry]:
    """Backups of any state and age."""
    states = dice.choices(["good", "unproven", "bad", "damaged", "turned bad", "mended"], k=dice.randint(0, 40))
    found = {}
    for state in states:
        days = dice.choice([dice.uniform(0.05, 3), dice.uniform(0.05, 60), dice.uniform(0.05, 900)])
        pins = (pin(dice.choice([None, NOW - 1, NOW + 1])),) if dice.random() < 0.1 else ()
        locked = NOW + DAY if dice.random() < 0.1 else 0.0
        item = entry(
            days, state, dice.choice(["db/shop", "bucket/files", "environment"]), pins=pins, locked_until=locked
        )
        found[item.asset, item.id] = item
    return list(found.values())


@pytest.mark.parametrize("seed", range(300))
def test_the_two_rules(seed: int) -> None:
    """Never fewer good ones than declared, and nothing goes while the newest good one is too old; twice is once."""
    dice = random.Random(seed)
    entries = random_catalogue(dice)
    counts = {name: dice.randint(0, 5) for name in ("last", "daily", "weekly", "monthly", "yearly")}
    retention = Retention(**counts, least_good=dice.randint(1, 4), drilled_within=dice.choice([1, 8, 100]) * DAY)

    plan = plan_retention(entries, retention, NOW)

    assert sorted((v.asset, v.id) for v in plan.verdicts) == sorted((e.asset, e.id) for e in entries)
    gone = {(verdict.asset, verdict.id) for verdict in plan.deletions}
    for asset in {item.asset for item in entries}:
        before = [item for item in entries if item.asset == asset]
        after = [item for item in before if (asset, item.id) not in gone]
        good = [item for item in before if item.state == "good" or not (is_drilled(asset) or item.state == "bad")]
        assert len([item for item in after if item in good]) >= min(retention.least_good, len(good))
        if good:
            assert max(good, key=lambda item: item.point) in after
        if is_drilled(asset) and not any(NOW - item.point <= retention.drilled_within for item in good):
            assert after == before
        assert not [item for item in before if item not in after and (item.pinned(NOW) or item.locked_until > NOW)]
    # A run that is in the midst of its deletions looks again before each: what is left of its plan must still hold.
    done = {reference for reference in gone if dice.random() < 0.5}
    rest = [item for item in entries if (item.asset, item.id) not in done]
    assert {(verdict.asset, verdict.id) for verdict in plan_retention(rest, retention, NOW).deletions} == gone - done
