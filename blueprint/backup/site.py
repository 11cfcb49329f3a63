"""What there is to back up, and how: what an environment file says about it, made ready for workflows."""

from __future__ import annotations

from typing import Any

from blueprint.contract import Target
from blueprint.resource import Model


class Store(Model):
    """The bucket that holds the backups. It is their catalogue, too: there is no other database to lose."""

    bucket: str
    """Its name."""
    region: str
    """Where it is."""
    project_id: str = ""
    """Whose it is; the environment's project if empty."""
    prefix: str
    """Start of every key: the environment, such as "lssm-prod"."""


class SecretPlace(Model):
    """A place in Secret Manager."""

    path: str
    """Folder."""
    name: str
    """Name."""


class Newest(Model):
    """How old the newest row may be, counted back from the moment of the backup."""

    table: str
    column: str
    """A column with a time."""
    within: float
    """Seconds."""


class Check(Model):
    """A question to a restored database."""

    name: str
    sql: str
    """A query that gives one value."""
    expect: str
    """The value, as text."""


class DatabaseAsset(Model):
    """A database that is backed up."""

    name: str
    """Its name."""
    instance: str
    """Name of the instance that it is on."""
    user: str
    """The instance's administrator, who reads and restores it."""
    password: SecretPlace
    """The administrator's."""
    tables: tuple[str, ...] = ()
    """Tables that a restored one must have, with or without schema."""
    migrations: str = ""
    """Table of the migrations, which must not be empty; none is looked at if empty."""
    newest: Newest | None = None
    checks: tuple[Check, ...] = ()
    mask: tuple[str, ...] = ()
    """Statements that make it harmless before another environment gets it."""

    @property
    def asset(self) -> str:
        """Its name among all that is backed up."""
        return f"db/{self.name}"


class BucketAsset(Model):
    """A bucket that is backed up."""

    name: str
    """Its name."""

    @property
    def asset(self) -> str:
        """Its name among all that is backed up."""
        return f"bucket/{self.name}"


ENVIRONMENT_ASSET = "environment"
"""The environment's own description, among all that is backed up."""


class Retention(Model):
    """How many backups of each asset stay. One that any rule wants stays."""

    last: int
    """The newest ones."""
    daily: int
    """The newest of each of so many days (UTC) that have one."""
    weekly: int
    """The same for ISO weeks."""
    monthly: int
    yearly: int
    least_good: int
    """So many good ones stay, whatever the rules say."""
    drilled_within: float
    """Seconds: while the newest good backup of an asset is older, nothing of that asset is deleted."""


class Managed(Model):
    """Scaleway's own copies of the instance, made beside ours."""

    instance: str
    """Name of the instance."""
    snapshot_days: int
    """Days until a snapshot of the instance goes; 0 for no snapshots."""
    backup_days: int
    """Days until a backup of each database goes; 0 for none."""

    @property
    def asset(self) -> str:
        """Its name among all that is backed up."""
        return f"instance/{self.instance}"


class BackupSite(Model):
    """Everything of an environment that is backed up, and how."""

    target: Target
    nodes: tuple[str, ...]
    """Nodes from which databases are reached, the preferred one first."""
    store: Store
    key: SecretPlace
    """The age identity that opens the backups."""
    recipients: tuple[str, ...] = ()
    """Further age public keys that can open them: an identity kept elsewhere survives the loss of the project."""
    databases: tuple[DatabaseAsset, ...] = ()
    buckets: tuple[BucketAsset, ...] = ()
    managed: Managed | None = None
    retention: Retention
    late_after: float
    """Seconds: an asset whose newest backup is older is late."""
    smallest: float
    """Share of the usual size (median of the last five) below which a backup is suspicious."""
    lanes: int = 2
    """Tables that are dumped or restored side by side."""
    before_migration: tuple[str, ...] = ()
    """Assets that are backed up before a release migrates."""
    dead_man: str = ""
    """URL that is asked whenever all is well; silence there is the alarm. None if empty."""
    file: dict[str, Any] = {}
    """The environment file, parsed."""

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of everything: `db/equitya`, `bucket/equitya-prod-files`, `instance/db-lssm-prod`, `environment`."""
        databases, buckets = (item.asset for item in self.databases), (item.asset for item in self.buckets)
        return (*databases, *buckets, *((self.managed.asset,) if self.managed else ()), ENVIRONMENT_ASSET)

    def database(self, name: str) -> DatabaseAsset | None:
        """The database of that name, or None."""
        return next((item for item in self.databases if item.name == name), None)

    def bucket(self, name: str) -> BucketAsset | None:
        """The bucket of that name, or None."""
        return next((item for item in self.buckets if item.name == name), None)
