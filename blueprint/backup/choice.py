"""Which assets a run is about, and which backup it reads."""

from __future__ import annotations

from collections.abc import Collection

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.scratch import RESTORE, kept_name, require_scratch, restore_name
from blueprint.backup.site import BackupSite
from blueprint.errors import BackupFailed, RestoreRefused
from blueprint.resource import Model

LIST = "`scaleway-infra backups` lists what there is"


def assets_of(declared: Collection[str], only: Collection[str]) -> tuple[str, ...]:
    """The assets of a run, in the file's order.

    Args:
        declared: all that there are.
        only: those that are asked for; all if empty.

    Raises:
        BackupFailed: one that is asked for is not declared.
    """
    if unknown := [asset for asset in only if asset not in declared]:
        raise BackupFailed(
            f"not among what the file backs up: {', '.join(declared)}",
            subject=", ".join(unknown),
            remedy="name one of these, or declare it in the file's section `backup`",
        )
    return tuple(asset for asset in declared if not only or asset in only)


def backup_to_drill(catalogue: Catalogue, asset: str, id: str = "") -> Entry:
    """The backup that a drill restores: a damaged one has failed already.

    Args:
        catalogue: as it was read.
        asset: whose.
        id: of the backup; the newest if empty.

    Raises:
        RestoreRefused: there is none.
    """
    if id:
        return _named(catalogue, asset, id)
    if found := next((entry for entry in catalogue.of(asset) if not entry.damaged), None):
        return found
    raise RestoreRefused("there is no readable backup of it", subject=asset, remedy="make one: `scaleway-infra backup`")


def backup_to_restore(catalogue: Catalogue, asset: str, id: str = "") -> Entry:
    """The backup that a restore reads: one that is known to be good, if there is any.

    Args:
        catalogue: as it was read.
        asset: whose.
        id: of the backup; the newest good one, or else the newest that nobody has tried, if empty.

    Raises:
        RestoreRefused: there is none, or only such whose drill failed: those have to be asked for by their id.
    """
    if id:
        return _named(catalogue, asset, id)
    for state in ("good", "unproven"):
        if found := next((entry for entry in catalogue.of(asset) if entry.state == state), None):
            return found
    raise RestoreRefused("there is no backup of it that is not known to be bad", subject=asset, remedy=LIST)


class DatabaseRestore(Model):
    """What a restore of a database will do."""

    entry: Entry
    """The backup."""
    restored: str
    """Name of the database that is made."""
    kept: str
    """Name that the live one gets if it is replaced."""


def plan_restore(
    catalogue: Catalogue,
    site: BackupSite,
    database: str,
    run: str,
    *,
    id: str = "",
    to: str = "",
    in_place: bool = False,
    into: BackupSite | None = None,
) -> DatabaseRestore:
    """Decide how a database comes back.

    Args:
        catalogue: the backups of the database.
        site: the environment that the backup is of.
        database: which.
        run: id of the restore: names that it makes end with it.
        id: of the backup; chosen by `backup_to_restore` if empty.
        to: name of the database that is made; by rule if empty.
        in_place: whether it takes the place of the live one.
        into: another environment that gets it.

    Raises:
        RestoreRefused: something that is asked for cannot be, or would touch what it must not.
    """
    asset = declared(site, database)
    on = into or site
    declared(on, database)
    if into and into.target.environment == site.target.environment:
        raise RestoreRefused("that is where the backup is from", subject=into.target.environment, remedy="omit `into`")
    if to and in_place:
        raise RestoreRefused(
            "a database that takes the place of the live one gets its name", subject=to, remedy="omit one of the two"
        )
    if to:
        require_scratch(to, live_names(on))
        if not to.startswith(RESTORE):
            raise RestoreRefused(
                "is a name of what a drill makes, or of what a restore keeps",
                subject=to,
                remedy=f"a name that begins with {RESTORE} fits",
            )
    return DatabaseRestore(
        entry=backup_to_restore(catalogue, asset, id),
        restored=to or restore_name(database, run),
        kept=kept_name(database, run),
    )


def declared(site: BackupSite, database: str) -> str:
    """The asset of a database.

    Raises:
        RestoreRefused: the file does not have it, so nobody knows which server it is for.
    """
    found = site.database(database)
    if found is None:
        names = ", ".join(live_names(site)) or "none"
        raise RestoreRefused(
            f"no database of {site.target.environment} that is backed up: these are {names}", subject=database
        )
    return found.asset


def live_names(site: BackupSite) -> tuple[str, ...]:
    """Names of the environment's databases."""
    return tuple(item.name for item in site.databases)


def _named(catalogue: Catalogue, asset: str, id: str) -> Entry:
    found = catalogue.find(asset, id)
    if found is None:
        raise RestoreRefused(f"there is no backup {id} of it", subject=asset, remedy=LIST)
    if found.damaged:
        raise RestoreRefused(f"the backup {id} cannot be read: {found.damaged}", subject=asset, remedy=LIST)
    return found
