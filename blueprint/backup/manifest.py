"""What a backup is: its manifest, and what is known about it beside."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import ValidationError

from blueprint.backup.site import SecretPlace
from blueprint.errors import Damaged
from blueprint.resource import Model

FORMAT = 1
"""Of manifests. A reader refuses one that it does not know."""


class Part(Model):
    """One object of a backup's data."""

    archive: str
    """What it is a piece of."""
    index: int
    """Its place there, from 0."""
    size: int
    """Bytes."""
    sha256: str
    """Of the bytes as they are stored."""


class TableFacts(Model):
    """One table as it was."""

    name: str
    """With schema."""
    rows: int | None
    """Exact, at the moment of the snapshot; None if they were not counted."""
    bytes: int


class DatabaseContents(Model):
    """A database's backup: archives of pg_dump, each through zstd and age, cut into parts.

    By hand: `cat data-001-3f2a.* | age -d -i KEY | zstd -dcf | pg_restore -d scratch`, the archive `schema-3f2a` with
    `--section=pre-data` first and with `--section=post-data` last. Names end with the attempt that wrote them: what an
    earlier one left, or still writes from a node that was lost, is never taken for a part.
    """

    parts: tuple[Part, ...]
    archives: dict[str, tuple[str, ...]]
    """Tables whose rows an archive has, by archive; the one that starts with `schema` has everything else."""
    raw: dict[str, int] = {}
    """Bytes that pg_dump wrote, by archive."""
    zstd: bool = True
    """Whether zstd lies around the archives: from version 16 on, pg_dump compresses by itself."""
    tables: tuple[TableFacts, ...]
    raw_bytes: int
    """Bytes that pg_dump wrote."""
    database_bytes: int
    """Size of the database on its server."""
    server_version: str
    client_version: str
    """Of pg_dump."""
    extensions: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    """Roles that own something in it."""
    roles: str = ""
    """Statements that make the server's roles, without passwords."""
    lsn: str = ""
    """Position in the server's log at the snapshot."""
    encoding: str = ""
    collation: str = ""
    ctype: str = ""
    """Of characters; as `collation` if empty."""


class BucketContents(Model):
    """A bucket's backup: copies of its objects, shared with its other backups, and a list of what was where."""

    entries: tuple[Part, ...]
    """The list: lines of JSON through gzip, in parts that each stand alone. See `blueprint.backup.objects`."""
    objects: int
    """Current ones."""
    versions: int
    """All versions and delete markers; as `objects` if the bucket keeps none."""
    bytes: int
    """Of all versions."""
    copied: int
    """Objects that this backup had to copy: the others were there."""
    copied_bytes: int
    versioned: bool


class EnvironmentContents(Model):
    """What it takes, besides data, to build the environment elsewhere."""

    file: dict[str, Any]
    """The environment file, parsed."""
    fingerprint: str
    """Of the plan that the file made at that moment; of an empty one if all was as declared."""
    commit: str
    """The application's release; empty if there is none."""
    records: dict[str, tuple[dict[str, Any], ...]]
    """DNS records, by zone."""
    secrets: tuple[str, ...]
    """Places of the secrets: never their values."""
    schedules: tuple[str, ...]
    """Ids of Temporal Schedules."""


class ManagedContents(Model):
    """Copies that Scaleway keeps: they go with the instance's project."""

    snapshot: str = ""
    """Id of the snapshot of the instance."""
    backups: dict[str, str] = {}
    """Ids of backups, by database."""
    expires: float = 0.0
    """When the first of them goes, seconds since the epoch."""


class Manifest(Model):
    """One backup of one asset."""

    format: int = FORMAT
    id: str
    """Of the run that made it, see `layout.backup_id`."""
    asset: str
    """`db/equitya`, `bucket/equitya-prod-files`, `environment` or `instance/db-lssm-prod`."""
    environment: str
    """Such as "lssm-prod"."""
    point: float
    """The moment that it shows, seconds since the epoch, by the clock of its source."""
    started: float
    ended: float
    size: int
    """Bytes that a restore of it reads."""
    commit: str = ""
    """The application's release at that moment."""
    reason: str = ""
    """Why it was made: "schedule", "by hand", "before migration", "before restore"."""
    by: str = ""
    """Who or what started the run."""
    engine: str = ""
    """Version of this program."""
    key: SecretPlace | None = None
    """Where the identity is that opens it; None if it is not encrypted by us."""
    recipients: tuple[str, ...] = ()
    """Public keys that it was encrypted for."""
    locked_until: float = 0.0
    """Until when the bucket's object lock keeps it."""
    database: DatabaseContents | None = None
    bucket: BucketContents | None = None
    described: EnvironmentContents | None = None
    managed: ManagedContents | None = None


class DrillRecord(Model):
    """A restore of a backup into a scratch place, and what was found there."""

    id: str
    asset: str
    at: float
    """When it began."""
    seconds: float
    """From its beginning to a usable copy: the time that a restore takes."""
    passed: bool
    findings: tuple[str, ...] = ()
    """What was wrong."""
    checked: tuple[str, ...] = ()
    """What was looked at, in words."""
    bytes: int = 0
    """That were restored."""
    by: str = ""


class Pin(Model):
    """Why a backup must stay."""

    name: str
    """One pin of a backup has a name of its own: "operator", or the run that reads it."""
    reason: str
    by: str
    at: float
    until: float | None = None
    """When it ends by itself."""

    def holds(self, now: float) -> bool:
        """Whether it has not ended."""
        return self.until is None or self.until > now


class Failure(Model):
    """Why a run made no backup of an asset."""

    id: str
    asset: str
    at: float
    code: str
    message: str


def sealed(manifest: Manifest) -> bytes:
    """The manifest as it is stored: with a checksum of itself."""
    text = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "manifest": text}).encode()


def opened(stored: bytes, subject: str) -> Manifest:
    """The manifest that was stored.

    Raises:
        Damaged: it is not what was written, or of a format that is not known.
    """
    try:
        outer = json.loads(stored)
        if hashlib.sha256(outer["manifest"].encode()).hexdigest() != outer["sha256"]:
            raise Damaged("the manifest is not what was written", subject=subject)
        inner = json.loads(outer["manifest"])
        if inner.get("format") != FORMAT:
            raise Damaged(f"the manifest has format {inner.get('format')}, and {FORMAT} is known", subject=subject)
        return Manifest.model_validate(inner)
    except (ValueError, TypeError, KeyError, AttributeError, ValidationError):
        raise Damaged("the manifest cannot be read", subject=subject) from None


State = Literal["good", "unproven", "bad"]
"""good: restored and checked. unproven: complete, and not tried yet. bad: its last drill failed, or it is damaged."""
