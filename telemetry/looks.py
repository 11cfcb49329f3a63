"""The figures of what looks at the world from time to time: drift, health, backups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from blueprint.backup.health import AssetHealth
from blueprint.health.contract import Check
from telemetry.catalogue import (
    BACKUP_AGE,
    BACKUP_DRILL,
    BACKUP_DURATION,
    BACKUP_FINDINGS,
    BACKUP_RPO,
    BACKUP_RTO,
    BACKUP_SIZE,
    DRIFT,
    HEALTH_CERTIFICATE,
    HEALTH_DURATION,
    HEALTH_UP,
    Metric,
)

Series = tuple[Metric, frozenset[tuple[str, str]]]
"""A gauge, and what of it is told."""


class Figure(NamedTuple):
    """A value of one gauge."""

    metric: Metric
    value: float
    attributes: Mapping[str, str]

    @property
    def series(self) -> Series:
        """What it is a value of."""
        return self.metric, frozenset(self.attributes.items())

    def after(self, seconds: float) -> float:
        """Its value so many seconds after the look."""
        return self.value + seconds * _A_SECOND.get(self.metric, 0)


_A_SECOND: Mapping[Metric, int] = {BACKUP_AGE: 1, BACKUP_RPO: 1, HEALTH_CERTIFICATE: -1}
"""What each second adds to a value while nobody looks."""


_OF_ASSET: Mapping[Metric, Callable[[AssetHealth], float | None]] = {
    BACKUP_AGE: lambda asset: asset.newest_age,
    BACKUP_SIZE: lambda asset: asset.newest_size or None,
    BACKUP_DURATION: lambda asset: asset.newest_seconds if asset.newest else None,
    BACKUP_RPO: lambda asset: asset.good_age,
    BACKUP_RTO: lambda asset: asset.restore_seconds,
    BACKUP_DRILL: lambda asset: asset.drill_passed,
    BACKUP_FINDINGS: lambda asset: len(asset.findings),
}
"""What each gauge tells; without a value there is no point of time."""


def of_assets(environment: str, assets: Iterable[AssetHealth]) -> Iterator[Figure]:
    """How backups are."""
    for asset in assets:
        for metric, value in _OF_ASSET.items():
            if (measured := value(asset)) is not None:
                yield Figure(metric, float(measured), {"environment": environment, "asset": asset.asset})


def of_checks(environment: str, checks: Iterable[Check]) -> Iterator[Figure]:
    """What users find."""
    for check in checks:
        known = {"environment": environment, "check": check.name}
        yield Figure(HEALTH_UP, float(check.up), known)
        yield Figure(HEALTH_DURATION, check.seconds, known)
        if check.name.startswith("tls/"):
            # A gauge keeps its last value: one that was good before would go on being so.
            yield Figure(HEALTH_CERTIFICATE, check.certificate_seconds or 0.0, known)


def of_drift(environment: str, changes: int) -> Iterator[Figure]:
    """What others changed."""
    yield Figure(DRIFT, float(changes), {"environment": environment})
