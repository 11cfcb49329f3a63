"""Managed PostgreSQL: instance, settings and backups, databases, users, privileges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blueprint.environment import Environment
from blueprint.environment.postgresql import Postgresql
from blueprint.kinds.kind import Kind
from blueprint.kinds.vpc import PRIVATE_NETWORK
from blueprint.resource import Resource, ref, secret

INSTANCE = "rdb_instance.main"
SERIAL = "rdb"
SECONDS_PER_HOUR = 3600

IN_SECRET_MANAGER = "as in Secret Manager"
"""Stands for a password that is the newest version of its secret."""


def _instance(environment: Environment) -> Iterable[Resource]:
    if not (postgresql := environment.postgresql):
        return
    names = environment.names
    password = names.postgresql_secret(names.postgresql_admin)
    # A standby can be added and not removed, so that wanting none is a field that cannot change.
    wanted = postgresql.high_availability != "disabled"
    standby = {"high_availability": True} if wanted else {"standalone": True}
    yield Resource(
        key=INSTANCE,
        kind="rdb_instance",
        name=names.postgresql,
        fields={
            "engine": f"PostgreSQL-{postgresql.version}",
            "node_type": postgresql.type.lower(),
            "volume_type": postgresql.volume.type,
            "volume_size": postgresql.volume.size,
            **standby,
            "endpoint": {"private_network_id": ref(PRIVATE_NETWORK)},
            "public": False,
            "password": IN_SECRET_MANAGER,
        },
        inputs={
            "password": secret(names.secret_path, password),
            "high_availability_mode": postgresql.high_availability,
            "backup": _backup(postgresql),
        },
        depends_on=(f"secret.{password}",),
        protected=True,
    )


def _settings(environment: Environment) -> Iterable[Resource]:
    """What a new instance takes only once it is ready, and therefore in a step of its own."""
    if not (postgresql := environment.postgresql):
        return
    yield Resource(
        key="rdb_settings.main",
        kind="rdb_settings",
        name=f"{environment.names.postgresql}/settings",
        parent=INSTANCE,
        fields={"engine": dict(postgresql.settings), "backup": _backup(postgresql)},
    )


def _backup(postgresql: Postgresql) -> dict[str, Any]:
    backup = postgresql.backup
    if not backup.enabled:
        return {"disabled": True}
    return {
        "disabled": False,
        "frequency_hours": int(backup.every // SECONDS_PER_HOUR),
        "retention_days": backup.retention_days,
        "same_region": backup.same_region,
        **({} if backup.start_hour is None else {"start_hour": backup.start_hour}),
    }


def _databases(environment: Environment) -> Iterable[Resource]:
    for name in environment.postgresql.databases if environment.postgresql else ():
        yield Resource(
            key=f"database.{name}",
            kind="database",
            name=f"{environment.names.postgresql}/{name}",
            parent=INSTANCE,
            protected=True,
        )


def _users(environment: Environment) -> Iterable[Resource]:
    if not (postgresql := environment.postgresql):
        return
    names = environment.names
    for name, user in postgresql.accounts().items():
        password = names.postgresql_secret(name)
        yield Resource(
            key=f"rdb_user.{name}",
            kind="rdb_user",
            name=f"{names.postgresql}/{name}",
            parent=INSTANCE,
            fields={"admin": user.admin, "password": IN_SECRET_MANAGER},
            inputs={"password": secret(names.secret_path, password)},
            depends_on=(f"secret.{password}",),
        )


def _privileges(environment: Environment) -> Iterable[Resource]:
    if not (postgresql := environment.postgresql):
        return
    for name, user in postgresql.accounts().items():
        for database, permission in user.databases.items():
            yield Resource(
                key=f"rdb_privilege.{name}/{database}",
                kind="rdb_privilege",
                name=f"{environment.names.postgresql}/{name}/{database}",
                parent=INSTANCE,
                fields={"permission": permission},
                depends_on=(f"rdb_user.{name}", f"database.{database}"),
            )


KINDS = (
    Kind(
        name="rdb_instance",
        title="PostgreSQL instance",
        product="rdb",
        resources=_instance,
        permission_sets=("RelationalDatabasesFullAccess", "SecretManagerFullAccess"),
        immutable={
            "engine": "a major version needs a new instance, to which the data has to be carried from a backup",
            "standalone": "high availability cannot be disabled",
            "endpoint.private_network_id": "the instance lives in one private network and cannot move to another",
        },
        protected=True,
        serial=SERIAL,
    ),
    Kind(
        name="rdb_settings",
        title="PostgreSQL settings",
        product="rdb",
        resources=_settings,
        permission_sets=("RelationalDatabasesFullAccess",),
        parent="rdb_instance",
        dies_with_parent=True,
        lingers=False,
        serial=SERIAL,
    ),
    Kind(
        name="database",
        title="database",
        product="rdb",
        resources=_databases,
        permission_sets=("RelationalDatabasesFullAccess",),
        parent="rdb_instance",
        dies_with_parent=True,
        protected=True,
        settles=False,
        lingers=False,
        serial=SERIAL,
    ),
    Kind(
        name="rdb_user",
        title="database user",
        product="rdb",
        resources=_users,
        permission_sets=("RelationalDatabasesFullAccess", "SecretManagerFullAccess"),
        parent="rdb_instance",
        dies_with_parent=True,
        settles=False,
        lingers=False,
        serial=SERIAL,
    ),
    Kind(
        name="rdb_privilege",
        title="database privilege",
        product="rdb",
        resources=_privileges,
        permission_sets=("RelationalDatabasesFullAccess",),
        parent="rdb_instance",
        dies_with_parent=True,
        settles=False,
        lingers=False,
        serial=SERIAL,
    ),
)
