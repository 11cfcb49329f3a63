"""What a PostgreSQL instance holds: databases, users, privileges, through Scaleway's Database API."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from scaleway.rdb.v1 import Database, Permission, Privilege, RdbV1API, User

from activities.cloud import pages
from activities.lifecycle import Lifecycle, Parent, Scope
from activities.secret_store import delivered_of
from blueprint.backup import scratch
from blueprint.errors import Busy, Refused, StillInUse
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.plan import Difference
from blueprint.resource import Observed, Ownership, Resource

SYSTEM_DATABASE = "rdb"
"""The database that every instance is made with."""


def _items(fetch: Callable[..., Any], key: str, parent: Parent) -> list[Any]:
    """What the database engine answers; nothing while it is not there to be asked, as in a new instance."""
    try:
        return list(pages(fetch, key, instance_id=parent.id))
    except Busy:
        return []


def _is_aside(database: str) -> bool:
    """Whether a database is the server's own, or one that drills and restores make."""
    return database == SYSTEM_DATABASE or database.startswith(scratch.RESERVED)


class DatabaseLifecycle(Lifecycle):
    """Databases, told apart by name under their instance.

    One that was made with SQL is ours if the file declares it: a restore in place ends with such a one. Those that
    drills and restores make beside are left to whoever made them.
    """

    kind = "database"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = partial(self.cloud.api(RdbV1API).list_databases, skip_size_retrieval=True)
        found = _items(fetch, "databases", parent)
        return [self._observed(parent, database, scope) for database in found if not _is_aside(database.name)]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        instance_id: str = resource.inputs["parent_id"]
        self.cloud.api(RdbV1API).create_database(instance_id=instance_id, name=_own(resource.name))
        return _database_id(instance_id, _own(resource.name))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(RdbV1API).delete_database(instance_id=item.parent_id, name=_own(item.name))

    def _observed(self, parent: Parent, database: Database, scope: Scope) -> Observed:
        object_id = _database_id(parent.id, database.name)
        name = f"{parent.name}/{database.name}"
        return Observed(
            kind=self.kind,
            name=name,
            id=object_id,
            parent_id=parent.id,
            outputs={"id": object_id},
            ownership="ours" if database.managed or name in scope.names else "foreign",
            uses=(parent.id,),
        )


class _OfUsers(Lifecycle):
    """Of kinds that concern users. A user is ours if Secret Manager keeps a password for it."""

    def owner(self, user: str, secrets: frozenset[str]) -> Ownership:
        """Whose a user is.

        Args:
            secrets: names of the environment's secrets.
        """
        return "ours" if self.cloud.names.postgresql_secret(user) in secrets else "foreign"

    def is_system(self, user: str) -> bool:
        """Whether the user came with the instance."""
        return user == self.cloud.names.postgresql_admin or user.startswith(("_rdb", "pg_", "postgres"))


class UserLifecycle(_OfUsers):
    """Database users, told apart by name under their instance."""

    kind = "rdb_user"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        found = _items(self.cloud.api(RdbV1API).list_users, "users", parent)
        secrets = self.cloud.secrets.all(self.cloud.names.secret_path)
        known = frozenset(secret.name for secret in secrets)
        delivered = delivered_of(secrets)
        return [self._observed(parent, user, known, delivered) for user in found if not self.is_system(user.name)]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        instance_id: str = resource.inputs["parent_id"]
        self.cloud.api(RdbV1API).create_user(
            instance_id=instance_id,
            name=_own(resource.name),
            password=self.cloud.secrets.hand_over(resource.inputs["password"]),
            is_admin=resource.fields["admin"],
        )
        return _user_id(instance_id, _own(resource.name))

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        reference = resource.inputs["password"]
        self.cloud.api(RdbV1API).update_user(
            instance_id=item.parent_id,
            name=_own(resource.name),
            password=self.cloud.secrets.reveal(reference),
            is_admin=resource.fields["admin"],
        )
        self.cloud.secrets.note_delivery(reference["$secret"], reference["name"])

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. An administrator may hold privileges that the file never named: they go first.

        Raises:
            Refused: the user owns tables, which no wait changes (Scaleway errors, section 3.2).
        """
        api, name = self.cloud.api(RdbV1API), _own(item.name)
        try:
            api.delete_user(instance_id=item.parent_id, name=name)
        except StillInUse as error:
            found = pages(api.list_privileges, "privileges", instance_id=item.parent_id, user_name=name)
            held = [privilege.database_name for privilege in found if str(privilege.permission) != "none"]
            if not held:
                raise Refused(
                    error.message,
                    subject=f"rdb_user.{name}",
                    remedy=f'in each database: REASSIGN OWNED BY "{name}" TO another user; then retry',
                ) from None
            api.set_privilege(
                instance_id=item.parent_id, user_name=name, database_name=held[0], permission=Permission.NONE
            )
            raise

    def _observed(self, parent: Parent, user: User, known: frozenset[str], delivered: frozenset[str]) -> Observed:
        object_id = _user_id(parent.id, user.name)
        in_step = self.cloud.names.postgresql_secret(user.name) in delivered
        return Observed(
            kind=self.kind,
            name=f"{parent.name}/{user.name}",
            id=object_id,
            parent_id=parent.id,
            fields={"admin": user.is_admin, "password": IN_SECRET_MANAGER if in_step else "another"},
            outputs={"id": object_id},
            ownership=self.owner(user.name, known),
        )


class PrivilegeLifecycle(_OfUsers):
    """What a user may do in a database; none is the same as not being there."""

    kind = "rdb_privilege"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        found = [
            self._observed(parent, privilege)
            for privilege in _items(self.cloud.api(RdbV1API).list_privileges, "privileges", parent)
            if str(privilege.permission) != "none"
            and not _is_aside(privilege.database_name)
            and not self.is_system(privilege.user_name)
        ]
        if all(item.name in scope.names for item in found):
            return found
        return self._without_strangers(parent, scope, found)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        instance_id: str = resource.inputs["parent_id"]
        self._set(instance_id, resource.name, Permission(resource.fields["permission"]))
        return _privilege_id(instance_id, resource.name)

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self._set(item.parent_id, item.name, Permission.NONE)

    def _set(self, instance_id: str, name: str, permission: Permission) -> None:
        _, user, database = name.split("/")
        self.cloud.api(RdbV1API).set_privilege(
            instance_id=instance_id, user_name=user, database_name=database, permission=permission
        )

    def _without_strangers(self, parent: Parent, scope: Scope, found: Iterable[Observed]) -> builtins.list[Observed]:
        """Without what administrators may do anyway, and with users that are not ours marked as such."""
        users = _items(self.cloud.api(RdbV1API).list_users, "users", parent)
        admins = {user.name for user in users if user.is_admin}
        secrets = self.cloud.secrets.all(self.cloud.names.secret_path)
        owner = partial(self.owner, secrets=frozenset(secret.name for secret in secrets))
        return [
            item if item.name in scope.names else item.model_copy(update={"ownership": owner(_user(item))})
            for item in found
            if item.name in scope.names or _user(item) not in admins
        ]

    def _observed(self, parent: Parent, privilege: Privilege) -> Observed:
        name = f"{parent.name}/{privilege.user_name}/{privilege.database_name}"
        object_id = _privilege_id(parent.id, name)
        return Observed(
            kind=self.kind,
            name=name,
            id=object_id,
            parent_id=parent.id,
            fields={"permission": str(privilege.permission)},
            outputs={"id": object_id},
            uses=(_user_id(parent.id, privilege.user_name), _database_id(parent.id, privilege.database_name)),
        )


def _own(name: str) -> str:
    return name.rsplit("/", 1)[1]


def _user(privilege: Observed) -> str:
    return privilege.name.split("/")[1]


def _database_id(instance_id: str, name: str) -> str:
    return f"{instance_id}/databases/{name}"


def _user_id(instance_id: str, name: str) -> str:
    return f"{instance_id}/users/{name}"


def _privilege_id(instance_id: str, name: str) -> str:
    return f"{instance_id}/privileges/{name.split('/', 1)[1]}"
