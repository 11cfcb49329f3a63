"""What goes into and comes out of backup workflows."""

from __future__ import annotations

from typing import Literal

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import BucketRestoreInput, SweepOutput
from blueprint.backup.health import AssetHealth
from blueprint.backup.manifest import DrillRecord, Failure, Pin
from blueprint.backup.retention import RetentionPlan
from blueprint.backup.site import BackupSite
from blueprint.release.record import Origin
from blueprint.resource import Model

Reason = Literal["schedule", "by hand", "before migration", "before restore"]


class BackupInput(Model):
    """A backup run."""

    site: BackupSite
    only: tuple[str, ...] = ()
    """Assets; all if empty."""
    reason: Reason = "by hand"
    origin: Origin


class BackupOutput(Model):
    """What a backup run made."""

    id: str
    """Of every backup that it made."""
    entries: tuple[Entry, ...]
    failures: tuple[Failure, ...] = ()
    """Assets without a new backup. A run that has any fails, with this output in its error's details."""
    assets: tuple[AssetHealth, ...] = ()
    """How the assets are now."""


class DrillInput(Model):
    """A drill run."""

    site: BackupSite
    only: tuple[str, ...] = ()
    """Assets; all databases and buckets if empty."""
    id: str = ""
    """Of the backup; the newest of each asset if empty."""
    origin: Origin


class DrillOutput(Model):
    """How drills went. A run in which one did not pass fails, with this output in its error's details."""

    records: tuple[DrillRecord, ...]
    troubles: tuple[str, ...] = ()
    """Assets without a verdict, and scratch places that could not be removed. A run that has any fails, too."""
    assets: tuple[AssetHealth, ...] = ()


class RetentionInput(Model):
    """A retention run."""

    site: BackupSite
    write: bool = True
    """Whether to delete anything; only the plan is made otherwise."""
    origin: Origin


class RetentionOutput(Model):
    """What a retention run did, or would do."""

    plan: RetentionPlan
    deleted: int = 0
    """Backups."""
    bytes: int = 0
    """That were freed."""
    locked: int = 0
    """Objects that the bucket's lock still keeps."""
    swept: SweepOutput = SweepOutput()
    troubles: tuple[str, ...] = ()
    """What could not be removed. A run that has any fails, with this output in its error's details."""


class ScheduledOutput(Model):
    """What the run gave that a schedule started: one of these."""

    backup: BackupOutput | None = None
    drill: DrillOutput | None = None
    retention: RetentionOutput | None = None


class RestoreDatabaseInput(Model):
    """A database to bring back."""

    site: BackupSite
    database: str
    id: str = ""
    """Of the backup; the newest good one, or else the newest, if empty."""
    to: str = ""
    """Name of the database that is made; a name by rule if empty."""
    in_place: bool = False
    """Whether it takes the place of the live one."""
    into: BackupSite | None = None
    """Another environment that gets it, masked."""
    back_to: str = ""
    """No backup, but a database that an earlier restore kept: it takes the place of the live one again."""
    origin: Origin


class RestoreDatabaseOutput(Model):
    """How a restore went."""

    database: str
    """What the data is in now."""
    id: str = ""
    """The backup."""
    point: float = 0.0
    """The moment that it shows."""
    kept: str = ""
    """Name that the live database got; empty if none was replaced."""
    safety: str = ""
    """Id of the backup that was taken before."""
    bytes: int = 0
    seconds: float = 0.0
    """From the beginning to a usable database."""
    away: float = 0.0
    """Seconds for which nobody could connect."""
    left_out: tuple[str, ...] = ()
    """What only a superuser can make, and was not restored."""
    checked: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


class RestoreBucketInput(Model):
    """A bucket to bring back."""

    request: BucketRestoreInput
    """Its id may be empty: then `blueprint.backup.objects.backup_for` chooses."""
    origin: Origin


class RestoreInstanceInput(Model):
    """An instance to make from a snapshot."""

    site: BackupSite
    id: str = ""
    """The newest if empty."""
    name: str
    origin: Origin


class BackupsInput(Model):
    """What to show of the catalogue."""

    site: BackupSite
    only: tuple[str, ...] = ()


class BackupsOutput(Model):
    """The catalogue, and how the assets are."""

    catalogue: Catalogue
    assets: tuple[AssetHealth, ...]


class PinRunInput(Model):
    """A pin to set or to remove."""

    site: BackupSite
    asset: str
    id: str
    pin: Pin
    remove: bool = False


class DropInput(Model):
    """A database that a restore left or kept, to be dropped."""

    site: BackupSite
    name: str
    origin: Origin
