"""Checks of backups: that they are not where what they are of is, can be made, and stay until we remove them."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.backup.scratch import RESERVED
from blueprint.environment.backup import Backup
from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem, listing, unknown
from blueprint.environment.scalars import format_duration


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of backups, and of the schedules that they follow."""
    backup = environment.backup
    if not backup:
        return
    yield from _place(environment, backup)
    yield from _databases(environment, backup)
    if environment.postgresql:
        yield from _nodes(environment)
    for field, schedule, limit, path in (
        ("backup", environment.schedules.backup, backup.late_after, ("backup", "late_after")),
        (
            "drill",
            environment.schedules.drill,
            backup.retention.drilled_within,
            ("backup", "retention", "drilled_within"),
        ),
    ):
        pause = schedule.longest_pause if schedule else None
        if pause is not None and limit <= pause:
            message = f"{format_duration(limit)}, but schedules.{field} lets {format_duration(pause)} pass; more fits"
            yield Problem(path, message)


def _place(environment: Environment, backup: Backup) -> Iterator[Problem]:
    for index, key in enumerate(backup.exclude_buckets):
        if key not in environment.buckets:
            yield Problem(("backup", "exclude_buckets", index), unknown(key, environment.buckets, "buckets"))
    ours = {environment.names.bucket(key): key for key in environment.buckets}
    if backup.store and backup.store.bucket in ours:
        key = ours[backup.store.bucket]
        yield Problem(("backup", "store", "bucket"), f"is one of this file's own; backup.bucket: {key} fits")
    if backup.bucket is None:
        return
    if backup.bucket not in environment.buckets:
        yield Problem(("backup", "bucket"), unknown(backup.bucket, environment.buckets, "buckets"))
        return
    for application, level in environment.buckets[backup.bucket].access.items():
        if level == "readwrite":
            message = f"{application} could delete the backups of what it broke; read fits"
            yield Problem(("buckets", backup.bucket, "access", application), message)
    for index, rule in enumerate(environment.buckets[backup.bucket].lifecycle):
        path = ("buckets", backup.bucket, "lifecycle", index)
        if rule.expire_days:
            yield Problem(
                (*path, "expire_days"),
                "would delete backups, good ones too; backup.retention says what stays, and this must go",
            )
        if rule.transition and rule.transition.storage_class == "GLACIER":
            message = "backups in GLACIER cannot be read when they are needed; ONEZONE_IA fits"
            yield Problem((*path, "transition", "storage_class"), message)


def _databases(environment: Environment, backup: Backup) -> Iterator[Problem]:
    known = environment.postgresql.databases if environment.postgresql else []
    for name in backup.databases:
        if name not in known:
            yield Problem(("backup", "databases", name), unknown(name, known, "postgresql.databases"))
    for index, name in enumerate(backup.before_migration or []):
        if name not in known:
            yield Problem(("backup", "before_migration", index), unknown(name, known, "postgresql.databases"))
    for index, name in enumerate(known):
        if name.startswith(RESERVED):
            message = f"{name!r} could be what a drill or a restore made; a name without {listing(RESERVED)} fits"
            yield Problem(("postgresql", "databases", index), message)


def _nodes(environment: Environment) -> Iterator[Problem]:
    """Databases are reached from a node only, and the node through the bastion."""
    role = environment.backup_role
    if not environment.nodes:
        yield Problem(("backup",), "databases are backed up from a node of the private network; nodes is empty")
    elif role is None:
        yield Problem(("backup", "nodes"), f"required, as there are several; one of {listing(environment.nodes)} fits")
    elif role not in environment.nodes:
        yield Problem(("backup", "nodes"), unknown(role, environment.nodes, "nodes"))
    elif not environment.nodes[role].count:
        yield Problem(("backup", "nodes"), f"nodes.{role}.count is 0, so nobody could reach a database; 1 or more fits")
    else:
        clients = environment.postgresql.clients if environment.postgresql else None
        if clients is not None and role not in clients:
            yield Problem(("backup", "nodes"), f"{role} may not connect; it is needed in postgresql.clients")
    if not environment.network.gateway.bastion:
        yield Problem(("backup",), "nodes are reached through the SSH bastion; network.gateway.bastion is missing")
