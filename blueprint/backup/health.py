"""How the backups of each asset are."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Literal

from blueprint.backup.catalogue import Catalogue, is_drilled
from blueprint.backup.site import BackupSite
from blueprint.resource import Model

Trouble = Literal["missing", "late", "small", "failed", "undrilled", "drill_failed", "damaged"]
FOREBEARS = 5
"""Backups before the newest one whose size is what is usual."""
MOST_FINDINGS = 5
"""Details that one text lists."""


class Finding(Model):
    """Something that is not as it should be."""

    trouble: Trouble
    text: str
    """In words: what, since when, and what to do."""


class AssetHealth(Model):
    """One asset."""

    asset: str
    newest: str = ""
    """Id of the newest backup; empty if there is none."""
    newest_age: float | None = None
    """Seconds since the moment that it shows: what would be lost (RPO)."""
    newest_size: int = 0
    newest_seconds: float = 0.0
    """How long it took."""
    good: str = ""
    """Id of the newest backup that was restored and checked; empty if none was."""
    good_age: float | None = None
    good_size: int = 0
    drilled_age: float | None = None
    """Seconds since the last drill."""
    drill_passed: bool | None = None
    """How the last drill ended; None before the first."""
    restore_seconds: float | None = None
    """What the last passed drill took (RTO)."""
    backups: int = 0
    findings: tuple[Finding, ...] = ()


def health_of(site: BackupSite, catalogue: Catalogue, now: float) -> tuple[AssetHealth, ...]:
    """How each asset of the file is, in its order.

    Args:
        site: what there is to back up.
        catalogue: what was backed up, complete for these assets.
        now: seconds since the epoch.
    """
    return tuple(_asset_health(_Seen(site, asset, catalogue, now)) for asset in site.assets)


class _Seen:
    """What the catalogue has of one asset."""

    def __init__(self, site: BackupSite, asset: str, catalogue: Catalogue, now: float) -> None:
        self.site, self.asset, self.now = site, asset, now
        self.entries = sorted(catalogue.of(asset), key=lambda entry: (entry.point, entry.id), reverse=True)
        self.whole = [entry for entry in self.entries if not entry.damaged]
        self.newest = next(iter(self.whole), None)
        # A source whose clock is ahead would make a backup that is never late: it shows nothing later than its end.
        self.newest_age = now - min(self.newest.point, self.newest.ended) if self.newest else None
        self.good = next((entry for entry in self.entries if entry.state == "good"), None)
        drills = sorted((drill for entry in self.entries for drill in entry.drills), key=lambda drill: drill.at)
        self.drill = drills[-1] if drills else None
        self.passed = next((drill for drill in reversed(drills) if drill.passed), None)
        failures = [failure for failure in catalogue.failures if failure.asset == asset]
        self.failure = max(failures, key=lambda failure: failure.at, default=None)

    def do(self, command: str) -> str:
        """The command to type next."""
        return f"`scaleway-infra {command} {self.site.target.env} --only {self.asset}`"


def _asset_health(seen: _Seen) -> AssetHealth:
    newest, good, drill, now = seen.newest, seen.good, seen.drill, seen.now
    found = ((trouble, question(seen)) for trouble, question in _QUESTIONS)
    return AssetHealth(
        asset=seen.asset,
        newest=newest.id if newest else "",
        newest_age=seen.newest_age,
        newest_size=newest.size if newest else 0,
        newest_seconds=newest.ended - newest.started if newest else 0.0,
        good=good.id if good else "",
        good_age=now - good.point if good else None,
        good_size=good.size if good else 0,
        drilled_age=now - drill.at if drill else None,
        drill_passed=drill.passed if drill else None,
        restore_seconds=seen.passed.seconds if seen.passed else None,
        backups=len(seen.entries),
        findings=tuple(Finding(trouble=trouble, text=text) for trouble, text in found if text),
    )


# Each says what is wrong, or nothing.


def _missing(seen: _Seen) -> str:
    return "" if seen.newest else f"there is no backup -> {seen.do('backup')}"


def _late(seen: _Seen) -> str:
    if not seen.newest or seen.newest_age is None or seen.newest_age <= seen.site.late_after:
        return ""
    age, allowed = _span(seen.newest_age), _span(seen.site.late_after)
    return f"the newest backup, {seen.newest.id}, is {age} old; {allowed} are allowed -> {seen.do('backup')}"


def _failed(seen: _Seen) -> str:
    failure = seen.failure
    if failure is None or (seen.newest and failure.at <= seen.newest.started):
        return ""
    return (
        f"the last run, {failure.id}, made no backup: {failure.message} ({failure.code})"
        f" -> mend that, then {seen.do('backup')}"
    )


def _small(seen: _Seen) -> str:
    newest = seen.newest
    if newest is None or not is_drilled(seen.asset):
        return ""
    forebears = [entry.size for entry in seen.whole[1:] if entry.state != "bad"][:FOREBEARS]
    if not forebears or newest.size >= seen.site.smallest * (usual := median(forebears)):
        return ""
    return (
        f"the newest backup, {newest.id}, has {_size(newest.size)}, and those before had {_size(usual)}"
        f" -> see what was deleted; {seen.do('drill')} tells whether it is whole"
    )


def _undrilled(seen: _Seen) -> str:
    if not is_drilled(seen.asset) or not seen.newest:
        return ""
    if seen.good is None or seen.good.proven_at is None:
        return f"no backup that is there has passed a drill -> {seen.do('drill')}"
    age, allowed = seen.now - seen.good.proven_at, seen.site.retention.drilled_within
    if age <= allowed:
        return ""
    return (
        f"the newest good backup, {seen.good.id}, is {_span(age)} old; {_span(allowed)} are allowed"
        f" -> {seen.do('drill')}"
    )


def _drill_failed(seen: _Seen) -> str:
    if seen.drill is None or seen.drill.passed:
        return ""
    wrong = "; ".join(seen.drill.findings[:MOST_FINDINGS]) or "no reason was recorded"
    again = f"{seen.do('backup')}, then {seen.do('drill')}"
    return f"the last drill, of {seen.drill.id}, did not pass: {wrong} -> do not wait: {again}"


def _damaged(seen: _Seen) -> str:
    damaged = [entry for entry in seen.entries if entry.damaged]
    if not damaged:
        return ""
    each = "; ".join(f"{entry.id}: {entry.damaged}" for entry in damaged[:MOST_FINDINGS])
    return f"{len(damaged)} of {len(seen.entries)} backups cannot be used: {each} -> {seen.do('backup')}"


_QUESTIONS: tuple[tuple[Trouble, Callable[[_Seen], str]], ...] = (
    ("missing", _missing),
    ("late", _late),
    ("failed", _failed),
    ("small", _small),
    ("undrilled", _undrilled),
    ("drill_failed", _drill_failed),
    ("damaged", _damaged),
)


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _size(size: float) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"
