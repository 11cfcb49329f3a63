"""Backups: what is kept, where, for how long, and how it is known to be good."""

from __future__ import annotations

from typing import Annotated, Any, Self

import pyrage
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from blueprint.environment.base import Section
from blueprint.environment.postgresql import Identifier
from blueprint.environment.scalars import DomainKey, Label, Matching, Seconds, wrong


def _recipient(value: str) -> str:
    try:
        pyrage.x25519.Recipient.from_str(value)
    except pyrage.RecipientError:
        raise wrong(
            f"{value!r} is mistyped: its checksum is another; the public key that age-keygen shows fits"
        ) from None
    return value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Recipient = Annotated[
    str,
    Matching("age1[02-9ac-hj-np-z]{58}", "an age public key: age1 and 58 more characters"),
    AfterValidator(_recipient),
]
"""An age public key (X25519)."""
TableName = Annotated[
    str, Matching(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?", "a table, such as public.users", limit=127)
]
"""A table, with or without its schema."""
ColumnName = Annotated[str, Matching("[A-Za-z_][A-Za-z0-9_]*", "a column, such as created_at")]
Sql = Annotated[str, Field(min_length=1, max_length=10_000)]
"""SQL. It is shown and recorded, so it must hold no secret."""
Expected = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int | float)]
"""A value as `psql` prints it; `t` and `f` for a boolean."""


class BackupStore(Section):
    """A bucket for the backups that is not one of this file."""

    bucket: Annotated[str, Matching("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name")] = Field(
        examples=["lssm-vault-backups"]
    )
    """Its name. It must be there already."""
    region: Annotated[str, Matching("[a-z]{2}-[a-z]{3}", "a Scaleway region, such as nl-ams")] | None = None
    """Its region; the environment's if left out."""
    project_id: (
        Annotated[
            str,
            Matching(
                "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                "a project's id, such as 5f2c1c4e-0d43-4c5e-9d5b-2f4f3f6f7a11",
            ),
        ]
        | None
    ) = None
    """Its project; the environment's if left out."""


class NewestRow(Section):
    """How old the newest row of a table may be."""

    table: TableName
    """Table."""
    column: ColumnName
    """Column with the row's time."""
    within: Annotated[Seconds, Field(gt=0)] = Field(examples=["24h"])
    """Age at most, counted back from the moment of the backup."""


class SqlCheck(Section):
    """A question to a restored database."""

    sql: Sql = Field(examples=["select count(*) > 0 from users"])
    """A query that gives one value."""
    expect: Expected = Field(examples=["t"])
    """The value, as text."""


class DatabaseBackup(Section):
    """What a restored database must be like to count as good, and what another environment may not see of it."""

    tables: list[TableName] = Field(default=[])
    """Tables that must be there."""
    newest: NewestRow | None = None
    """A table in which something was written of late; none is looked at if left out."""
    migrations: TableName | None = None
    """Table of the migrations, which must not be empty; none is looked at if left out."""
    checks: dict[Label, SqlCheck] = Field(default={})
    """Questions of your own, by name."""
    mask: list[Sql] = Field(default=[])
    """Statements that run, in order, before another environment gets it."""


class ManagedCopies(Section):
    """Copies that Scaleway makes of the PostgreSQL instance in every backup run, beside the dumps."""

    snapshot_days: int = Field(default=7, ge=0, le=365)
    """Days until a snapshot of the instance goes; 0 for no snapshots."""
    backup_days: int = Field(default=0, ge=0, le=365)
    """Days until a backup of each database goes; 0 for none."""


class RetentionRules(Section):
    """How many backups of each asset stay. One that any rule wants stays; so does one that is pinned."""

    last: int = Field(default=7, ge=1)
    """The newest ones."""
    daily: int = Field(default=14, ge=0)
    """The newest of each of so many days (UTC) that have one."""
    weekly: int = Field(default=8, ge=0)
    """The same for ISO weeks."""
    monthly: int = Field(default=12, ge=0)
    """The same for months."""
    yearly: int = Field(default=3, ge=0)
    """The same for years."""
    least_good: int = Field(default=2, ge=1)
    """So many that were restored and checked stay, whatever the other rules say."""
    drilled_within: Annotated[Seconds, Field(ge=3600)] = 691_200.0
    """While the newest good backup of an asset is older, nothing of that asset is deleted."""


class Backup(Section):
    """Backups of every database, of every bucket, and of the environment itself.

    They are encrypted for the secret `backup-key`, which the engine makes. Whoever loses it loses them, unless there is
    another recipient.
    """

    bucket: DomainKey | None = None
    """One of `buckets`: where the backups go. Only the engine may use it, besides those that its `access` names."""
    store: BackupStore | None = None
    """Instead of `bucket`, one elsewhere: what survives the loss of the project."""
    recipients: list[Recipient] = Field(default=[])
    """Further age public keys that can open the backups. Keep at least one identity outside Scaleway."""
    databases: dict[Identifier, DatabaseBackup] = Field(default={})
    """Settings by database. Databases that are not named are backed up all the same."""
    exclude_buckets: list[DomainKey] = Field(default=[])
    """Those of `buckets` that are not backed up. The one that holds the backups never is."""
    managed: ManagedCopies | None = ManagedCopies()
    """Scaleway's own copies; `null` for none."""
    retention: RetentionRules = RetentionRules()
    """How many stay."""
    late_after: Annotated[Seconds, Field(ge=60)] = 93_600.0
    """Age of the newest backup from which on it is late."""
    smallest: float = Field(default=0.5, ge=0, le=1)
    """Share of the usual size (median of the last five) below which a backup is suspicious."""
    lanes: int = Field(default=2, ge=1, le=16)
    """Dumps or restores of one database that run side by side."""
    nodes: Label | None = None
    """One of `nodes`: the role from which databases are reached. That of `app` if left out, or the only one."""
    dead_man: (
        Annotated[str, Matching(r"https?://[^\s]+", "an address, such as https://hc.example.org/ping/1", limit=500)]
        | None
    ) = None
    """Asked whenever all is well: whoever listens there raises the alarm when it falls silent. Nobody if left out."""
    before_migration: list[Identifier] | None = None
    """Databases that are backed up before a release migrates; all if left out, `[]` for none."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.bucket is None) == (self.store is None):
            found = "both are here" if self.bucket else "neither is here"
            raise wrong(f"backups need one place; bucket (one of this file) or store (one elsewhere) fits, {found}")
        return self
