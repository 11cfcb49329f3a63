"""Which backups stay and which go. Two rules stand above all others: see `plan_retention`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby

from blueprint.backup.catalogue import Entry, is_drilled
from blueprint.backup.site import Retention
from blueprint.moments import moment
from blueprint.resource import Model

FUTURE = 3600.0
"""Seconds by which a backup may lie ahead of the clock. Beyond, a clock is wrong, and ages mean nothing."""


class Verdict(Model):
    """What becomes of one backup."""

    asset: str
    id: str
    keep: bool
    reasons: tuple[str, ...]
    """Every rule that keeps it, or why nothing does, in words."""
    size: int = 0


class RetentionPlan(Model):
    """What a retention run would do."""

    verdicts: tuple[Verdict, ...] = ()
    """One for each backup, by asset, the newest first."""
    held: dict[str, str] = {}
    """Why nothing of an asset is deleted, by asset, although the rules would let something go."""

    @property
    def deletions(self) -> tuple[Verdict, ...]:
        """The backups that go."""
        return tuple(verdict for verdict in self.verdicts if not verdict.keep)


def plan_retention(entries: Iterable[Entry], retention: Retention, now: float) -> RetentionPlan:
    """Which backups stay and which go.

    A backup stays if any rule wants it: the newest ones, the newest of each day, week, month and year, pins, the
    bucket's object lock. A bad one fills no place in a rule; it goes once a good one is newer. Above all rules:

    - The newest good one stays, and so do the `least_good` newest good ones.
    - Nothing of an asset goes while its newest good one is older than `drilled_within`, or it has none. So nothing goes
      of an asset that nobody drills any more, because the file does not name it any longer.

    Args:
        entries: the catalogue.
        retention: the rules.
        now: seconds since the epoch.
    """
    verdicts: list[Verdict] = []
    held: dict[str, str] = {}
    for asset, group in groupby(sorted(entries, key=lambda entry: entry.asset), key=lambda entry: entry.asset):
        newest_first = sorted(group, key=lambda entry: (entry.point, entry.id), reverse=True)
        found = _verdicts(newest_first, retention, now)
        reason = _hold(asset, newest_first, retention, now)
        if reason and not all(verdict.keep for verdict in found):
            held[asset] = reason
            found = [
                item if item.keep else item.model_copy(update={"keep": True, "reasons": ("held",)}) for item in found
            ]
        verdicts += found
    return RetentionPlan(verdicts=tuple(verdicts), held=held)


def _hold(asset: str, entries: Sequence[Entry], retention: Retention, now: float) -> str:
    """Why nothing of an asset may go; empty if something may. Its backups are given newest first."""
    moments = [moment for entry in entries for moment in (entry.point, *(drill.at for drill in entry.drills))]
    if max(moments) > now + FUTURE:
        return f"a backup or drill is of {moment(max(moments))}, which is yet to come: a clock is wrong"
    if not is_drilled(asset):
        return ""
    proven = next((entry for entry in entries if entry.proven_at is not None), None)
    if proven is None or proven.proven_at is None:
        return "no backup of it has passed a drill"
    if now - proven.proven_at > retention.drilled_within:
        days = retention.drilled_within / 86_400
        return f"the newest good backup, {proven.id}, is older than the {days:.3g} days of `drilled_within`"
    return ""


def _verdicts(entries: Sequence[Entry], retention: Retention, now: float) -> list[Verdict]:
    """What the rules say about the backups of one asset, given newest first."""
    reasons: dict[str, list[str]] = {entry.id: [] for entry in entries}
    usable = [entry for entry in entries if entry.state != "bad"]
    # Without drills nothing can be better than complete.
    good = [entry for entry in usable if entry.state == "good" or not is_drilled(entry.asset)]
    for rank, entry in enumerate(usable[: retention.last], 1):
        reasons[entry.id].append(f"newest {rank} of {retention.last}")
    for name, count, period in _PERIODS:
        for label, entry in _newest_of_each(usable, period)[: count(retention)]:
            reasons[entry.id].append(f"{name} {label}")
    for entry in good[: max(1, retention.least_good)]:
        reasons[entry.id].append("newest good" if entry is good[0] else f"one of {retention.least_good} good ones")
    for entry in entries:
        if entry.state == "bad" and not any(other.point >= entry.point for other in good):
            reasons[entry.id].append("bad, but no good one is newer")
        reasons[entry.id] += [f"pin {pin.name}: {pin.reason}" for pin in entry.pins if pin.holds(now)]
        if entry.locked_until > now:
            reasons[entry.id].append(f"locked until {moment(entry.locked_until)}")
    return [
        Verdict(
            asset=entry.asset,
            id=entry.id,
            keep=bool(reasons[entry.id]),
            reasons=tuple(reasons[entry.id]) or (_why_not(entry),),
            size=entry.size,
        )
        for entry in entries
    ]


def _newest_of_each(entries: Iterable[Entry], period: str) -> list[tuple[str, Entry]]:
    """The newest backup of each stretch of time that has one, by the stretch's name; they are given newest first."""
    newest: dict[str, Entry] = {}
    for entry in entries:
        newest.setdefault(f"{datetime.fromtimestamp(entry.point, UTC):{period}}", entry)
    return list(newest.items())


_PERIODS: tuple[tuple[str, Callable[[Retention], int], str], ...] = (
    ("day", lambda rules: rules.daily, "%Y-%m-%d"),
    ("week", lambda rules: rules.weekly, "%G-W%V"),
    ("month", lambda rules: rules.monthly, "%Y-%m"),
    ("year", lambda rules: rules.yearly, "%Y"),
)


def _why_not(entry: Entry) -> str:
    if entry.damaged:
        return "damaged"
    return "its last drill failed" if entry.state == "bad" else "no rule wants it"
