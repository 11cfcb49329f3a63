"""What backup workflows and their activities say to each other.

Each activity can be repeated: twice does what once does. Those that move data carry a `TransferProgress` in their
heartbeats, and the next attempt goes on where the one before was.
"""

from __future__ import annotations

from typing import Literal

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.health import AssetHealth
from blueprint.backup.manifest import DrillRecord, Failure, Pin
from blueprint.backup.site import BackupSite
from blueprint.contract import ActivityType
from blueprint.resource import Model

SCHEDULED_WORKFLOW = "Scheduled"
"""Type of the workflow that schedules of backups, drills and retention start."""

ScheduledRun = Literal["backup", "drill", "retention"]


class ScheduledInput(Model):
    """What a schedule starts: a run that has to wait for its turn."""

    what: ScheduledRun
    site: BackupSite
    patience: float
    """Seconds that it waits for its turn; then it fails."""


class TransferProgress(Model):
    """How far something is that moves data."""

    what: str = ""
    """In words: "dump equitya: 3 of 7 tables"."""
    done: int = 0
    """Bytes (before compression, for a database)."""
    total: int = 0
    """Bytes, estimated; 0 if not known."""
    rate: float = 0.0
    """Bytes a second, of late."""
    left: float | None = None
    """Seconds, estimated."""
    node: str = ""
    """Node that moves it; empty if none does."""


class SiteInput(Model):
    """Which environment."""

    site: BackupSite


class OpenOutput(Model):
    """What a backup run has to know about the store and the environment."""

    recipients: tuple[str, ...]
    """Public keys to encrypt for: the environment's own first."""
    locked_for: float = 0.0
    """Seconds for which the bucket's object lock keeps what is written."""
    commit: str = ""
    """The application's release; empty if there is none, or no node told it."""


class AssetInput(Model):
    """Which asset to back up."""

    site: BackupSite
    asset: str
    id: str
    """Of the run, see `layout.backup_id`."""
    opened: OpenOutput
    reason: str = ""
    by: str = ""


class NoteInput(Model):
    """A failure to note in the catalogue."""

    site: BackupSite
    failure: Failure


class CatalogueInput(Model):
    """What to read of the catalogue."""

    site: BackupSite
    assets: tuple[str, ...] = ()
    """Only these; all if empty, with those that are no longer declared."""


class BackupRef(Model):
    """One backup."""

    site: BackupSite
    asset: str
    id: str


class PinInput(Model):
    """A pin to set, or to remove."""

    site: BackupSite
    asset: str
    id: str
    pin: Pin
    remove: bool = False


class DeleteOutput(Model):
    """What a deletion freed."""

    objects: int = 0
    bytes: int = 0
    locked: int = 0
    """Objects that the bucket's lock still keeps."""


class SweepOutput(Model):
    """What was left over of runs that never ended."""

    objects: int = 0
    bytes: int = 0
    uploads: int = 0
    skipped: tuple[str, ...] = ()
    """Assets of whose backups something cannot be read: nothing that they may have written was removed."""


class ReportOutput(Model):
    """How all assets are."""

    assets: tuple[AssetHealth, ...]


# -- databases ---------------------------------------------------------------------------------------------------


class LoadInput(Model):
    """A backup to restore into a database that does not exist yet."""

    site: BackupSite
    asset: str
    id: str
    into: str
    """Name of the database that is made for it: it must be of a scratch name, see `blueprint.backup.scratch`. If it
    exists and is of this restore, it is made anew unless it is loaded; see `blueprint.backup.mark`."""
    on: BackupSite | None = None
    """Environment whose server gets it; the backup's own if None."""
    run: str = ""
    """What tells this restore from all others, for whatever it leaves behind while it runs; the backup's id if
    empty."""


class LoadOutput(Model):
    """How long a restore took."""

    bytes: int
    """That pg_dump wrote."""
    seconds: float
    left_out: tuple[str, ...] = ()
    """What only a superuser can make, and was not: event triggers, publications."""


class VerifyInput(Model):
    """A restored database to hold against its manifest and the file's assertions."""

    site: BackupSite
    asset: str
    id: str
    database: str
    """The restored one."""
    on: BackupSite | None = None


class VerifyOutput(Model):
    """What was found."""

    findings: tuple[str, ...]
    """What is wrong; empty if nothing is."""
    checked: tuple[str, ...]
    """What was looked at, in words."""


class DropInput(Model):
    """Scratch databases to drop."""

    site: BackupSite
    names: tuple[str, ...] = ()
    """These; all of a drill's scratch names if empty."""
    run: str = ""
    """Of these only what this restore made; whosever it is if empty."""


class DropOutput(Model):
    """What was dropped."""

    names: tuple[str, ...]


class SwapInput(Model):
    """A restored database that takes the place of the live one."""

    site: BackupSite
    database: str
    """The live one."""
    restored: str
    """The one that becomes it."""
    kept: str
    """Name that the live one gets; see `blueprint.backup.scratch`."""
    on: BackupSite | None = None


class SwapOutput(Model):
    """How the swap went."""

    seconds: float
    """For which nobody could connect."""
    closed: int
    """Connections that were closed for it."""


class MaskInput(Model):
    """A restored database to make harmless before another environment gets it."""

    site: BackupSite
    """The backup's environment: its file has the statements."""
    database: str
    restored: str
    on: BackupSite


class DrillInput(Model):
    """What a drill found, to be kept beside the backup."""

    site: BackupSite
    record: DrillRecord


# -- buckets -----------------------------------------------------------------------------------------------------


class BucketRestoreInput(Model):
    """A bucket to bring back to a point."""

    site: BackupSite
    bucket: str
    id: str
    """The backup to take it from."""
    at: float | None = None
    """Moment to go back to, where the backup knows versions; its own point if None."""
    prefix: str = ""
    """Only objects whose key starts with this."""
    remove_newer: bool = False
    """Whether objects that were not there at the point are deleted."""
    into: str = ""
    """Another bucket that gets them, or the store's own for a drill; the bucket itself if empty."""
    into_prefix: str = ""
    """Put before every key: a drill's scratch place."""
    sample: int = 0
    """Only so many objects, evenly over all; all if 0."""
    write: bool = True
    """Whether to change anything; only look otherwise."""


class BucketRestoreOutput(Model):
    """What differed, and what was done about it."""

    same: int
    restored: int
    """Objects that were missing or other, and were (or would be) written."""
    bytes: int
    newer: int
    """Objects that were not there at the point."""
    newer_keys: tuple[str, ...] = ()
    """The first hundred of them."""
    removed: int = 0


class ScratchObjectsInput(Model):
    """Restored objects of a drill to hold against the backup, or to remove."""

    site: BackupSite
    bucket: str
    """The one that was backed up."""
    id: str
    into_prefix: str
    """Where they are in the bucket of the backups, see `layout.scratch`."""
    sample: int = 0


# -- the managed product's own copies ----------------------------------------------------------------------------


class ManagedRestoreInput(Model):
    """An instance to make from a snapshot."""

    site: BackupSite
    id: str
    """The backup that has the snapshot."""
    name: str
    """Name of the new instance."""
    began: float = 0.0
    """When the restore began, seconds since the epoch: an instance of that name that is younger is its own, whoever
    asks for it once more. As the activity if 0."""


class ManagedRestoreOutput(Model):
    """The new instance."""

    instance: str
    """Its id."""
    address: str
    port: int
    closed_after: float
    """Seconds between its birth and the moment when nobody outside could reach it any more."""


OPEN = ActivityType("backup_open", SiteInput, OpenOutput)
"""See that the store is there and can be written, that clocks agree, and find the keys to encrypt for."""
DATABASE = ActivityType("backup_database", AssetInput, Entry)
"""Dump a database from a node into the store; the manifest comes last."""
BUCKET = ActivityType("backup_bucket", AssetInput, Entry)
"""Copy what the store does not have yet of a bucket; the manifest comes last."""
DESCRIBE = ActivityType("backup_environment", AssetInput, Entry)
"""Write down what the environment is."""
MANAGED = ActivityType("backup_managed", AssetInput, Entry)
"""Have Scaleway make its own copies of the instance, and wait for them."""
NOTE_FAILURE = ActivityType("backup_note_failure", NoteInput, Failure)
CATALOGUE = ActivityType("backup_catalogue", CatalogueInput, Catalogue)
PIN = ActivityType("backup_pin", PinInput, Entry)
DELETE = ActivityType("backup_delete", BackupRef, DeleteOutput)
"""Remove one backup: first its manifest, so that no half one is ever listed. A bucket's objects stay until `SWEEP`."""
SWEEP = ActivityType("backup_sweep", SiteInput, SweepOutput)
"""Remove what no manifest knows: parts of runs that never ended, objects of buckets that no backup has any more,
uploads that were never completed."""
REPORT = ActivityType("backup_report", SiteInput, ReportOutput)
"""How every asset is; as metrics, as events, and to the dead man's switch."""

LOAD = ActivityType("restore_load", LoadInput, LoadOutput)
VERIFY = ActivityType("restore_verify", VerifyInput, VerifyOutput)
DROP = ActivityType("restore_drop", DropInput, DropOutput)
SWAP = ActivityType("restore_swap", SwapInput, SwapOutput)
MASK = ActivityType("restore_mask", MaskInput, VerifyOutput)
RECORD_DRILL = ActivityType("drill_record", DrillInput, Entry)
RESTORE_BUCKET = ActivityType("restore_bucket", BucketRestoreInput, BucketRestoreOutput)
VERIFY_OBJECTS = ActivityType("drill_verify_objects", ScratchObjectsInput, VerifyOutput)
REMOVE_OBJECTS = ActivityType("drill_remove_objects", ScratchObjectsInput, DeleteOutput)
RESTORE_MANAGED = ActivityType("restore_managed", ManagedRestoreInput, ManagedRestoreOutput)
