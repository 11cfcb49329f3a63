"""The catalogue as it was read: every backup in short, with its drills and pins."""

from __future__ import annotations

from blueprint.backup.manifest import DrillRecord, Failure, Pin, State
from blueprint.resource import Model


def is_drilled(asset: str) -> bool:
    """Whether drills try its backups; of the environment and of Scaleway's own copies there is nothing to load."""
    return asset.startswith(("db/", "bucket/"))


class Entry(Model):
    """One backup of one asset."""

    id: str
    asset: str
    point: float
    """The moment that it shows, seconds since the epoch."""
    started: float
    ended: float
    size: int
    """Bytes that a restore reads."""
    reason: str = ""
    commit: str = ""
    locked_until: float = 0.0
    drills: tuple[DrillRecord, ...] = ()
    """In order."""
    pins: tuple[Pin, ...] = ()
    versioned: bool = False
    """Whether it is a bucket's and has all versions: then it shows every moment before, too."""
    damaged: str = ""
    """What is wrong with its manifest; empty if nothing is."""

    @property
    def state(self) -> State:
        """Whether a restore of it is known to work."""
        if self.damaged or (self.drills and not self.drills[-1].passed):
            return "bad"
        return "good" if self.drills else "unproven"

    @property
    def proven_at(self) -> float | None:
        """As of when its data is known to restore: of a good one the moment that it shows; None of any other."""
        return min(self.point, self.drills[-1].at) if self.state == "good" else None

    def pinned(self, now: float) -> bool:
        """Whether somebody wants it to stay."""
        return any(pin.holds(now) for pin in self.pins)


class Catalogue(Model):
    """Everything in the backup bucket."""

    entries: tuple[Entry, ...] = ()
    """By asset, the newest first."""
    failures: tuple[Failure, ...] = ()
    """Runs that made no backup of an asset, the newest first."""

    def of(self, asset: str) -> tuple[Entry, ...]:
        """The backups of an asset, the newest first."""
        return tuple(entry for entry in self.entries if entry.asset == asset)

    def find(self, asset: str, id: str) -> Entry | None:
        """One backup, or None."""
        return next((entry for entry in self.of(asset) if entry.id == id), None)
