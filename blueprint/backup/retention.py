"""Which backups stay and which go. Two rules stand above all others: see `plan_retention`."""

from __future__ import annotations

from blueprint.resource import Model


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
