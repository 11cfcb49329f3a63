"""What of an environment is backed up, and how, from its environment file."""

from __future__ import annotations

from blueprint.backup.site import (
    BackupSite,
    BucketAsset,
    Check,
    DatabaseAsset,
    Managed,
    Newest,
    Retention,
    SecretPlace,
    Store,
)
from blueprint.contract import Target
from blueprint.environment import Environment
from blueprint.environment.backup import Backup, DatabaseBackup


def backup_site(environment: Environment, target: Target) -> BackupSite | None:
    """Everything of an environment that is backed up; None if its file has no section `backup`."""
    backup, names = environment.backup, environment.names
    if backup is None:
        return None
    role = environment.backup_role
    databases = environment.postgresql.databases if environment.postgresql else []
    before_migration = databases if backup.before_migration is None else backup.before_migration
    return BackupSite(
        target=target,
        nodes=tuple(environment.node_names(role)) if role else (),
        store=_store(environment, backup),
        key=SecretPlace(path=names.secret_path, name=names.backup_secret),
        recipients=tuple(backup.recipients),
        databases=tuple(
            _database(environment, name, backup.databases.get(name, DatabaseBackup())) for name in databases
        ),
        buckets=tuple(BucketAsset(name=names.bucket(key)) for key in environment.backed_up_buckets),
        managed=_managed(environment, backup),
        retention=Retention(**backup.retention.model_dump()),
        late_after=backup.late_after,
        smallest=backup.smallest,
        lanes=backup.lanes,
        before_migration=tuple(f"db/{name}" for name in before_migration),
        dead_man=backup.dead_man or "",
        # Without defaults, so that only a change of meaning is a change.
        file=environment.model_dump(mode="json", exclude_defaults=True),
    )


def _store(environment: Environment, backup: Backup) -> Store:
    stem = environment.names.stem
    if backup.store:
        region = backup.store.region or environment.region
        return Store(bucket=backup.store.bucket, region=region, project_id=backup.store.project_id or "", prefix=stem)
    assert backup.bucket is not None
    return Store(bucket=environment.names.bucket(backup.bucket), region=environment.region, prefix=stem)


def _database(environment: Environment, name: str, settings: DatabaseBackup) -> DatabaseAsset:
    names = environment.names
    admin = names.postgresql_admin
    return DatabaseAsset(
        name=name,
        instance=names.postgresql,
        user=admin,
        password=SecretPlace(path=names.secret_path, name=names.postgresql_secret(admin)),
        tables=tuple(settings.tables),
        migrations=settings.migrations or "",
        newest=Newest(**settings.newest.model_dump()) if settings.newest else None,
        checks=tuple(Check(name=name, **check.model_dump()) for name, check in settings.checks.items()),
        mask=tuple(settings.mask),
    )


def _managed(environment: Environment, backup: Backup) -> Managed | None:
    if not environment.postgresql or not backup.managed or not any(backup.managed.model_dump().values()):
        return None
    return Managed(instance=environment.names.postgresql, **backup.managed.model_dump())
