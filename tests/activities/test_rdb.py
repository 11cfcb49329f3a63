"""Managed PostgreSQL against the local Scaleway."""

from __future__ import annotations

from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.rdb import InstanceLifecycle, SettingsLifecycle
from activities.kinds.rdb_contents import DatabaseLifecycle, PrivilegeLifecycle, UserLifecycle
from activities.kinds.secret import SecretLifecycle
from activities.lifecycle import NO_PARENT, Lifecycle, Parent, Scope
from blueprint.errors import Busy, Gone, NotReady, Refused, StillInUse, Unavailable
from blueprint.resource import Observed, Resource
from tests.activities.conftest import Control, declared, differences, resolved

RDB = "/rdb/v1/regions/fr-par"
SECTION: dict[str, Any] = {
    "type": "DB-DEV-S",
    "backup": {"every": "12h", "retention_days": 14, "start_hour": 3},
    "settings": {"max_connections": 120},
    "databases": ["shop", "blog"],
    "users": {"shop": {"databases": {"shop": "all", "blog": "readonly"}}},
}


@pytest.fixture
def network(cloud: Cloud, emulator: Control) -> str:
    """Id of the private network."""
    vpc = emulator.call("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": "vpc"})
    body = {"name": "pn", "vpc_id": vpc["id"], "subnets": ["10.0.0.0/24"]}
    made: str = emulator.call("POST", "/vpc/v2/regions/fr-par/private-networks", body)["id"]
    return made


@pytest.fixture
def passwords(cloud: Cloud) -> None:
    """Passwords that the engine has chosen."""
    for resource in declared({"postgresql": SECTION}).values():
        if resource.kind == "secret":
            SecretLifecycle(cloud).create(resource)


@pytest.fixture
def instance(cloud: Cloud, network: str, passwords: None) -> Observed:
    """The instance of `SECTION`, ready."""
    wanted = main(network)
    InstanceLifecycle(cloud).create(wanted)
    return ready(InstanceLifecycle(cloud), wanted)


def main(network: str, **changed: Any) -> Resource:
    """The instance's resource."""
    resources = declared({"postgresql": SECTION | changed})
    return resolved(resources["rdb_instance.main"], {"private_network.core": network})


def child(key: str, instance: Observed, **changed: Any) -> Resource:
    """A resource under the instance."""
    return resolved(declared({"postgresql": SECTION | changed})[key], {}, parent_id=instance.id)


def ready(lifecycle: Lifecycle, wanted: Resource, parent: Parent = NO_PARENT) -> Observed:
    """The object once it has settled."""
    for _ in range(50):
        (item,) = (found for found in lifecycle.list(parent, names(wanted)) if found.name == wanted.name)
        if item.health == "ok":
            return item
    raise AssertionError(f"{wanted.name} is still {item.status}")


def names(*wanted: Resource) -> Scope:
    """A file that declares these."""
    return Scope(names=frozenset(resource.name for resource in wanted))


def update(lifecycle: Lifecycle, wanted: Resource, item: Observed) -> int:
    """Repeat an update as its activity is repeated; how often it took."""
    for attempt in range(1, 50):
        try:
            lifecycle.update(wanted, item, differences(wanted, item))
        except NotReady:
            continue
        return attempt
    raise AssertionError("the update never came to its end")


def parent_of(instance: Observed) -> Parent:
    """The instance as the place where others are listed."""
    return Parent(instance.id, instance.name)


def test_instance(cloud: Cloud, emulator: Control, network: str, passwords: None) -> None:
    """Made once though the answer was lost, and reached through the private network only."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)

    emulator.faults({"operation": f"POST {RDB}/instances", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    assert len(lifecycle.find(wanted)) == 1

    item = ready(lifecycle, wanted)
    assert not differences(wanted, item)
    assert item.outputs["address"].startswith("10.0.0.")
    assert item.outputs["port"] == 5432
    assert item.uses == (network,)
    assert item.protected
    assert lifecycle.read(item).outputs == item.outputs

    lifecycle.delete(item)
    assert not lifecycle.find(wanted)
    with pytest.raises(Gone):
        lifecycle.delete(item)


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({"type": "DB-DEV-M"}, ["node_type"]),
        ({"volume": {"size": "20GB"}}, ["volume_size"]),
        ({"volume": {"type": "sbs_15k"}}, ["volume_type"]),
        ({"high_availability": "single_zone"}, ["high_availability"]),
        (
            {"type": "DB-DEV-M", "volume": {"type": "sbs_15k", "size": "20GB"}},
            ["node_type", "volume_type", "volume_size"],
        ),
    ],
    ids=["node type", "volume", "volume type", "standby", "several"],
)
def test_instance_upgraded(
    cloud: Cloud, network: str, instance: Observed, changed: dict[str, Any], paths: list[str]
) -> None:
    """One upgrade at a time, each once the one before has settled."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network, **changed)

    assert [difference.path for difference in differences(wanted, instance)] == paths
    assert update(lifecycle, wanted, instance) >= len(paths)

    assert not differences(wanted, ready(lifecycle, wanted))


def test_volume_does_not_shrink(cloud: Cloud, network: str, instance: Observed) -> None:
    """The API says so, and no retry helps."""
    with pytest.raises(Refused):
        update(InstanceLifecycle(cloud), main(network, volume={"size": "5GB"}), instance)


def test_public_endpoint_is_closed(cloud: Cloud, emulator: Control, network: str, instance: Observed) -> None:
    """Whoever opened it: a console, or a snapshot that was restored."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)
    path = f"{RDB}/instances/{instance.id}/endpoints"
    emulator.call("POST", path, {"endpoint_spec": {"load_balancer": {}}})

    opened = ready(lifecycle, wanted)
    assert [(item.path, item.old) for item in differences(wanted, opened)] == [("public", True)]
    update(lifecycle, wanted, opened)

    closed = ready(lifecycle, wanted)
    assert not differences(wanted, closed)
    assert closed.outputs["address"] == instance.outputs["address"]


def test_restored_instance_is_brought_into_the_network(
    cloud: Cloud, emulator: Control, network: str, passwords: None
) -> None:
    """An instance from a snapshot is public and nothing else; adopted, it becomes private and ours."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)
    order = {"engine": "PostgreSQL-16", "user_name": "lssm_prod_admin", "password": "Somebody-else-1"}
    size = {"node_type": "db-dev-s", "volume_type": "sbs_5k", "volume_size": 10_000_000_000}
    emulator.call("POST", f"{RDB}/instances", {"name": wanted.name, **order, **size})

    item = ready(lifecycle, wanted)
    assert item.ownership == "foreign"
    assert {difference.path for difference in differences(wanted, item)} >= {"public", "endpoint", "password"}
    update(lifecycle, wanted, item)

    ours = ready(lifecycle, wanted)
    assert ours.ownership == "ours"
    assert not differences(wanted, ours)


def test_password_follows_its_secret(cloud: Cloud, emulator: Control, network: str, instance: Observed) -> None:
    """A version that a person adds in Secret Manager reaches the database with the next apply."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)
    cloud.secrets.store("/lssm/prod", "postgresql-lssm-prod-admin", "Chosen-by-hand-1")

    item = ready(lifecycle, wanted)
    assert [difference.path for difference in differences(wanted, item)] == ["password"]
    update(lifecycle, wanted, item)

    assert not differences(wanted, ready(lifecycle, wanted))
    (document,) = emulator.call("GET", "/_emulator/snapshot")["world"]["tables"]["rdb.instances"].values()
    assert document["_users"][0]["_password"] == "Chosen-by-hand-1"


def test_instance_with_another_administrator(cloud: Cloud, emulator: Control, network: str, passwords: None) -> None:
    """One made by hand gets ours beside its own when it is adopted."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)
    order = {"engine": "PostgreSQL-16", "node_type": "db-dev-s", "volume_type": "sbs_5k", "volume_size": 10_000_000_000}
    somebody = {"name": "db-lssm-prod", "user_name": "somebody", "password": "Abcdefgh1!", "is_ha_cluster": False}
    emulator.call("POST", f"{RDB}/instances", order | somebody)
    item = ready(lifecycle, wanted)

    update(lifecycle, wanted, item)

    assert not differences(wanted, ready(lifecycle, wanted))
    users = emulator.call("GET", f"{RDB}/instances/{item.id}/users")["users"]
    assert {"name": "lssm_prod_admin", "is_admin": True} in users


def test_settings(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """Engine settings and backups are set once the instance is ready, and drift is put back."""
    lifecycle, wanted = SettingsLifecycle(cloud), child("rdb_settings.main", instance)
    place = parent_of(instance)

    before = ready(lifecycle, wanted, place)
    assert {difference.path for difference in differences(wanted, before)} == {
        "engine.max_connections",
        "backup.frequency_hours",
        "backup.retention_days",
        "backup.start_hour",
    }
    lifecycle.create(wanted)
    assert not differences(wanted, ready(lifecycle, wanted, place))

    emulator.call("PATCH", f"{RDB}/instances/{instance.id}", {"is_backup_schedule_disabled": True})
    drifted = ready(lifecycle, wanted, place)
    assert [difference.path for difference in differences(wanted, drifted)] == ["backup.disabled"]
    lifecycle.update(wanted, drifted, differences(wanted, drifted))
    assert not differences(wanted, ready(lifecycle, wanted, place))


def test_tags_keep_what_the_settings_noted(cloud: Cloud, emulator: Control, network: str, instance: Observed) -> None:
    """Two kinds write tags of one instance; neither forgets the other's."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)
    SettingsLifecycle(cloud).create(child("rdb_settings.main", instance))
    ready(lifecycle, wanted)
    emulator.call("PATCH", f"{RDB}/instances/{instance.id}", {"tags": ["backup-start-hour=3"]})

    update(lifecycle, wanted, ready(lifecycle, wanted))

    assert ready(lifecycle, wanted).ownership == "ours"
    settings = ready(SettingsLifecycle(cloud), child("rdb_settings.main", instance), parent_of(instance))
    assert settings.fields["backup"]["start_hour"] == 3


def test_database(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """Made once though the answer was lost; the instance's own database is nobody's business."""
    lifecycle, wanted = DatabaseLifecycle(cloud), child("database.shop", instance)

    emulator.faults({"operation": f"POST {RDB}/instances/*/databases", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(wanted)
    assert len(lifecycle.find(wanted)) == 1

    (item,) = lifecycle.list(parent_of(instance), names(wanted))
    assert not differences(wanted, item)
    lifecycle.delete(item)
    assert not list(lifecycle.list(parent_of(instance), names(wanted)))


def test_user_and_privileges(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """A user with its password and privileges, changed, and taken away in the order that PostgreSQL wants."""
    databases, users, privileges = DatabaseLifecycle(cloud), UserLifecycle(cloud), PrivilegeLifecycle(cloud)
    place = parent_of(instance)
    for name in ("shop", "blog"):
        databases.create(child(f"database.{name}", instance))
    wanted = child("rdb_user.shop", instance)
    emulator.faults({"operation": f"POST {RDB}/instances/*/users", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        users.create(wanted)
    (user,) = users.find(wanted)
    assert not differences(wanted, user)

    granted = [child(f"rdb_privilege.shop/{name}", instance) for name in ("shop", "blog")]
    for privilege in granted:
        privileges.create(privilege)
        privileges.create(privilege)
    found = {item.name: item for item in privileges.list(place, names(*granted))}
    assert not any(differences(privilege, found[privilege.name]) for privilege in granted)

    more = child("rdb_privilege.shop/blog", instance, users={"shop": {"databases": {"blog": "readwrite"}}})
    privileges.update(more, found[more.name], differences(more, found[more.name]))
    assert [item.fields for item in privileges.list(place, names(*granted)) if item.name == more.name] == [more.fields]

    admin = child("rdb_user.shop", instance, users={"shop": {"admin": True}})
    users.update(admin, user, differences(admin, user))
    (item,) = users.find(admin)
    assert not differences(admin, item)

    first, *hidden = privileges.list(place, names(*granted))
    assert user.id in first.uses
    privileges.delete(first)
    assert hidden
    assert not list(privileges.list(place, Scope())), "what an administrator may do anyway is not looked at"
    with pytest.raises(StillInUse):
        users.delete(user)
    users.delete(user)
    assert not users.find(wanted)


def test_user_that_owns_something(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """What it owns only a person can give to somebody else."""
    users, wanted = UserLifecycle(cloud), child("rdb_user.shop", instance)
    users.create(wanted)
    (user,) = users.find(wanted)
    snapshot = emulator.call("GET", "/_emulator/snapshot")
    (document,) = snapshot["world"]["tables"]["rdb.instances"].values()
    document["_databases"].append({"name": "sql", "managed": False, "owner": "shop"})
    emulator.call("PUT", "/_emulator/snapshot", snapshot)
    with pytest.raises(Refused, match="REASSIGN OWNED"):
        users.delete(user)


def test_databases_made_with_sql(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """What a restore put in the place of a declared one is ours; what it kept beside is nobody's to plan for."""
    snapshot = emulator.call("GET", "/_emulator/snapshot")
    (document,) = snapshot["world"]["tables"]["rdb.instances"].values()
    for name in ("shop", "stray", "before_shop_1", "restore_shop_1", "drill_shop_1"):
        document["_databases"].append({"name": name, "managed": False, "owner": "_rdb_superadmin"})
    emulator.call("PUT", "/_emulator/snapshot", snapshot)

    found = DatabaseLifecycle(cloud).list(parent_of(instance), Scope(names=frozenset({f"{instance.name}/shop"})))

    assert {item.name.partition("/")[2]: item.ownership for item in found} == {"shop": "ours", "stray": "foreign"}


def test_users_made_by_hand_are_foreign(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """A user without a password in Secret Manager, and what it may do, is left alone."""
    place = parent_of(instance)
    DatabaseLifecycle(cloud).create(child("database.shop", instance))
    path = f"{RDB}/instances/{instance.id}"
    emulator.call("POST", f"{path}/users", {"name": "analyst", "password": "Somebody-else-1"})
    grant = {"database_name": "shop", "user_name": "analyst", "permission": "readonly"}
    emulator.call("PUT", f"{path}/privileges", grant)

    for lifecycle in (UserLifecycle(cloud), PrivilegeLifecycle(cloud)):
        (item,) = lifecycle.list(place, Scope())
        assert item.ownership == "foreign"


def test_contents_wait_for_their_instance(cloud: Cloud, emulator: Control, instance: Observed) -> None:
    """While the instance restarts its engine takes nothing; what that raises is worth a later attempt."""
    emulator.call("PUT", "/_emulator/latency", {"factor": 0.2})
    emulator.call("POST", f"{RDB}/instances/{instance.id}/restart")

    with pytest.raises(Busy):
        DatabaseLifecycle(cloud).create(child("database.shop", instance))


def test_instance_on_its_way_out(cloud: Cloud, emulator: Control, network: str, instance: Observed) -> None:
    """It is not waited for, as after a destroy that was cancelled: another one of its name can be made at once."""
    lifecycle, wanted = InstanceLifecycle(cloud), main(network)
    emulator.call("PUT", "/_emulator/latency", {"factor": 1})
    lifecycle.delete(instance)
    assert lifecycle.read(instance).status == "deleting"

    assert not list(lifecycle.find(wanted))
    assert lifecycle.create(wanted) != instance.id
