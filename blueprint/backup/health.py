"""How the backups of each asset are."""

from __future__ import annotations

from typing import Literal

from blueprint.resource import Model

Trouble = Literal["missing", "late", "small", "failed", "undrilled", "drill_failed", "damaged"]


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
