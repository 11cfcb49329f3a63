"""What the PostgreSQL and Redis sections ask for, and which difference means what."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.kinds import KINDS
from blueprint.plan import Plan
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource, resolve

MINIMAL: dict[str, Any] = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}
POSTGRESQL: dict[str, Any] = {"type": "DB-DEV-S", "databases": ["shop", "blog"]}


def resources(snippet: dict[str, Any]) -> dict[str, Resource]:
    """The resources of PostgreSQL and Redis, in a private network that exists."""
    found = resources_of(parse(MINIMAL | snippet))
    mine = [resource for resource in found if KINDS[resource.kind].product in ("rdb", "redis")]
    return {
        resource.key: resource.model_copy(
            update={"fields": resolve(resource.fields, lambda key, output: "pn"), "depends_on": ()}
        )
        for resource in mine
    }


def plan_of(key: str, declared: dict[str, Any], changed: dict[str, Any], **item: Any) -> Plan:
    """The plan for one resource whose object differs in some fields."""
    resource = resources(declared)[key]
    existing = Observed(kind=resource.kind, name=resource.name, id="x", fields=resource.fields | changed, **item)
    return make_plan("lssm-prod", [resource], [existing])


def test_users_by_default() -> None:
    """Every database has a user of its own name, with all privileges in it, whose password is a secret."""
    found = resources({"postgresql": POSTGRESQL})

    assert set(found) == {
        "rdb_instance.main",
        "rdb_settings.main",
        *("database.shop", "database.blog", "rdb_user.shop", "rdb_user.blog"),
        *("rdb_privilege.shop/shop", "rdb_privilege.blog/blog"),
    }
    assert found["rdb_privilege.shop/shop"].fields == {"permission": "all"}
    user = found["rdb_user.shop"]
    assert user.inputs == {"password": {"$secret": "/lssm/prod", "name": "postgresql-shop", "field": ""}}
    assert {KINDS[item.kind].serial for item in found.values()} == {"rdb"}
    assert {item.name.split("/")[0] for item in found.values()} == {"db-lssm-prod"}


INSTANCE = "rdb_instance.main"
CLUSTER = "redis_cluster.main"


@pytest.mark.parametrize(
    ("key", "declared", "existing", "path"),
    [
        (INSTANCE, POSTGRESQL, {"node_type": "db-dev-m"}, "node_type"),
        (INSTANCE, POSTGRESQL, {"volume_size": 5_000_000_000}, "volume_size"),
        (INSTANCE, POSTGRESQL, {"public": True}, "public"),
        (INSTANCE, POSTGRESQL, {"endpoint": None}, "endpoint"),
        (INSTANCE, POSTGRESQL, {"password": "another"}, "password"),
        (
            INSTANCE,
            POSTGRESQL | {"high_availability": "single_zone"},
            {"high_availability": False},
            "high_availability",
        ),
        (CLUSTER, {}, {"version": "7.2.11"}, "version"),
        (CLUSTER, {"nodes": 2}, {"nodes": 1}, "nodes"),
        (CLUSTER, {"settings": {"maxclients": 100}}, {"settings": {"maxclients": "50"}}, "settings.maxclients"),
        (CLUSTER, {}, {"public": True}, "public"),
        (CLUSTER, {}, {"password": "another"}, "password"),
    ],
)
def test_updated(key: str, declared: dict[str, Any], existing: dict[str, Any], path: str) -> None:
    """What the API can change in place is one difference of an update."""
    section = "redis" if key == CLUSTER else "postgresql"
    (change,) = plan_of(key, {section: declared}, existing).changes

    assert (change.action, [difference.path for difference in change.differences]) == ("update", [path])


@pytest.mark.parametrize(
    ("key", "declared", "existing", "reason"),
    [
        (INSTANCE, POSTGRESQL, {"engine": "PostgreSQL-15"}, "major version"),
        (INSTANCE, POSTGRESQL, {"standalone": False}, "high availability"),
        (INSTANCE, POSTGRESQL, {"endpoint": {"private_network_id": "other"}}, "private network"),
        (CLUSTER, {"nodes": 3}, {"nodes": 1, "cluster_mode": False}, "cluster"),
        (CLUSTER, {}, {"tls": False}, "TLS"),
    ],
)
def test_replaced_only_if_the_file_says_so(
    key: str, declared: dict[str, Any], existing: dict[str, Any], reason: str
) -> None:
    """A difference that only a new object cures is a conflict that says why, for data is at stake."""
    section = "redis" if key == CLUSTER else "postgresql"
    (change,) = plan_of(key, {section: declared}, existing).changes

    assert change.action == "conflict"
    assert reason in change.why
    assert "allow_destroy" in change.why


def test_only_declared_settings_count() -> None:
    """Settings that Scaleway derives from the node type make no difference."""
    settings = {"engine": {"max_connections": "100", "work_mem": "4"}, "backup": {"disabled": True}}
    section = POSTGRESQL | {"settings": {"max_connections": 100}, "backup": {"enabled": False}}
    resource = resources({"postgresql": section})["rdb_settings.main"].model_copy(update={"parent": ""})
    existing = Observed(kind="rdb_settings", name=resource.name, id="x", fields=settings)

    assert make_plan("lssm-prod", [resource], [existing]).kept == ("rdb_settings.main",)


def test_without_its_section_an_instance_is_held_with_all_in_it() -> None:
    """Removing the section deletes neither the instance nor the users that programs log in as."""
    observed = [
        Observed(kind="rdb_instance", name="db-lssm-prod", id="i", protected=True),
        Observed(kind="database", name="db-lssm-prod/shop", id="i/d", parent_id="i", uses=("i",)),
        Observed(kind="rdb_user", name="db-lssm-prod/shop", id="i/u", parent_id="i"),
        Observed(kind="rdb_privilege", name="db-lssm-prod/shop/shop", id="i/p", parent_id="i", uses=("i/u", "i/d")),
    ]

    plan = make_plan("lssm-prod", [], observed)
    assert {change.action for change in plan.changes} == {"held"}
    assert not plan.steps
