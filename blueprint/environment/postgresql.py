"""Managed PostgreSQL: the instance, its databases, its users and what they may do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from blueprint.environment.base import Section, Shorthand
from blueprint.environment.scalars import Bytes, CommercialType, Label, Matching, Seconds

Identifier = Annotated[str, Matching("[a-z][a-z0-9_]*", "lower-case letters, digits and underscores, a letter first")]
"""Name of a database or a user."""

Privilege = Literal["all", "readwrite", "readonly"]


def _setting(value: Any) -> Any:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | float) else value


def _version(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


Setting = Annotated[str, BeforeValidator(_setting, json_schema_input_type=str | int | float | bool)]
"""Value of a setting; true and false become PostgreSQL's on and off."""


class DatabaseVolume(Section):
    """The disk."""

    type: Literal["lssd", "sbs_5k", "sbs_15k"] = "sbs_5k"
    """Local disk of the node type, or block storage with 5,000 or 15,000 operations a second."""
    size: Bytes = Field(default=10_000_000_000, ge=5_000_000_000, examples=["10GB"])
    """Size, in steps of 5GB. It can grow and not shrink."""


class BackupSchedule(Section):
    """The backups that Scaleway makes by itself."""

    enabled: bool = True
    """Whether it does."""
    every: Annotated[Seconds, Field(ge=3600)] = 86400.0
    """Time between two, whole hours."""
    retention_days: int = Field(default=7, ge=1, le=365)
    """For how many days each is kept."""
    start_hour: int | None = Field(default=None, ge=0, le=23)
    """Hour (UTC) at which the first of a day starts; Scaleway chooses if left out."""
    same_region: bool = False
    """Whether they stay in the region, rather than in another one."""


class DatabaseUser(Section):
    """A user; the password is made by the engine and kept in Secret Manager."""

    admin: bool = False
    """Whether the user may do anything."""
    databases: dict[Identifier, Privilege] = Field(default={})
    """What the user may do, by database: all, readwrite or readonly."""


class Postgresql(Section):
    """The managed PostgreSQL instance: one endpoint, in the private network."""

    version: Annotated[Literal["14", "15", "16", "17"], Shorthand(_version, {"enum": [14, 15, 16, 17]})] = "16"
    """Major version. Another one replaces the instance."""
    type: CommercialType = "DB-DEV-S"
    """Commercial type of the node."""
    volume: DatabaseVolume = DatabaseVolume()
    """Disk of the instance."""
    high_availability: Literal["disabled", "single_zone", "multiple_zone"] = "disabled"
    """Whether a standby takes over, and where it is. Can be enabled later and not disabled."""
    backup: BackupSchedule = BackupSchedule()
    """Scaleway's own scheduled backups."""
    settings: dict[str, Setting] = Field(default={})
    """Settings of the engine, such as max_connections. One that is taken out of the file stays as it is."""
    databases: list[Identifier] = Field(min_length=1)
    """Names of the databases. They are protected."""
    users: dict[Identifier, DatabaseUser] = Field(default={})
    """Users, by name. If left out, every database has a user of its own name that may do all in it."""
    clients: list[Label] | None = None
    """Roles of `nodes` that may connect; all if left out. The network ACL keeps others out."""

    def accounts(self) -> dict[str, DatabaseUser]:
        """The users that exist: the declared ones, or one per database."""
        return self.users or {name: DatabaseUser(databases={name: "all"}) for name in self.databases}
