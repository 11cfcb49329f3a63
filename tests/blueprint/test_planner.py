"""What a plan says of one resource, held against what exists, and of the whole."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.errors import EnvironmentFileError
from blueprint.plan import Change, Plan
from blueprint.planner import Wishes, make_destroy_plan, make_plan
from blueprint.resource import UNKNOWN, Observed, Resource, ref
from workflows.plugin import DATA_CONVERTER

VPC = Resource(key="vpc.main", kind="vpc", name="vpc-a-b")
NETWORK = Resource(
    key="private_network.core",
    kind="private_network",
    name="pn-a-b-core",
    fields={"subnet": "10.0.0.0/24", "vpc_id": ref("vpc.main")},
)
BUCKET = Resource(key="bucket.a-b-c", kind="bucket", name="a-b-c", fields={"versioning": True}, protected=True)
POLICY = Resource(
    key="bucket_policy.a-b-c", kind="bucket_policy", name="a-b-c/policy", parent="bucket.a-b-c", fields={"access": []}
)
CERTIFICATE = Resource(
    key="lb_certificate.api", kind="lb_certificate", name="lb/api", parent="lb.main", fields={"domains": ["a.io"]}
)
LB = Resource(key="lb.main", kind="lb", name="lb", fields={"type": "LB-S"})
INSTANCE = Resource(
    key="rdb_instance.main", kind="rdb_instance", name="db", fields={"engine": "PostgreSQL-15"}, protected=True
)
DATABASE = Resource(key="database.app", kind="database", name="db/app", parent="rdb_instance.main", protected=True)

SERVER = Resource(
    key="server.core-01",
    kind="server",
    name="a-b-core-01",
    fields={"image": "debian_bookworm", "dynamic_ip": False},
)


def seen(resource: Resource, object_id: str = "", **more: Any) -> Observed:
    """The object that is exactly as the resource says, but for what is given."""
    object_id = object_id or f"id of {resource.name}"
    fields = {name: value for name, value in resource.fields.items() if not isinstance(value, dict)}
    shown = {"fields": fields, "outputs": {"id": object_id}} | more
    return Observed(kind=resource.kind, name=resource.name, id=object_id, **shown)


THE_VPC = seen(VPC)
THE_NETWORK = seen(NETWORK, fields={"subnet": "10.0.0.0/24", "vpc_id": THE_VPC.id}, uses=(THE_VPC.id,))
THE_BUCKET = seen(BUCKET, protected=True)
THE_INSTANCE = seen(INSTANCE, protected=True)
THE_SERVER = seen(SERVER)
THE_DATABASE = seen(DATABASE, parent_id=THE_INSTANCE.id)


def plan(resources: list[Resource], observed: list[Observed], **wishes: tuple[str, ...]) -> Plan:
    """The plan, its changes reachable by key."""
    return make_plan("a-b", resources, observed, Wishes(**wishes))


def actions(found: Plan) -> dict[str, str]:
    """Every key with what happens to it."""
    return dict.fromkeys(found.kept, "keep") | {change.key: change.action for change in found.changes}


def the(found: Plan, key: str) -> Change:
    """The change of that key."""
    return next(change for change in found.changes if change.key == key)


# -- one object ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "objects", "action", "why"),
    [
        (VPC, [], "create", ""),
        (VPC, [THE_VPC], "keep", ""),
        (VPC, [seen(VPC, health="pending", status="creating")], "await", "on its way (creating)"),
        (VPC, [seen(VPC, health="failed", status="locked")], "conflict", "its state is 'locked', which no wait cures"),
        (CERTIFICATE, [seen(CERTIFICATE, health="failed", status="error")], "replace", "it ended in 'error'"),
        (LB, [seen(LB, fields={"type": "LB-L"})], "update", ""),
        (LB, [seen(LB, fields={})], "update", ""),
        (LB, [seen(LB, fields={"type": "LB-S", "undeclared": "x"})], "keep", ""),
        (CERTIFICATE, [seen(CERTIFICATE, fields={"domains": ["b.io"]})], "replace", "domains: "),
        (VPC, [seen(VPC, "1"), seen(VPC, "2")], "conflict", "2 objects have this name: 1, 2"),
        (VPC, [seen(VPC, "1"), seen(VPC, "2", ownership="foreign")], "keep", ""),
        (VPC, [seen(VPC, ownership="foreign")], "conflict", "was not made by us: it lacks our tag; `--adopt`"),
        (VPC, [seen(VPC, i, ownership="foreign") for i in ("1", "2")], "conflict", "2 objects have this name: 1, 2"),
        (BUCKET, [seen(BUCKET, protected=False)], "update", ""),
        (BUCKET, [seen(BUCKET, protected=None)], "keep", ""),
        (BUCKET, [seen(BUCKET, fields={}, detailed=False)], "keep", ""),
    ],
)
def test_one_resource(resource: Resource, objects: list[Observed], action: str, why: str) -> None:
    """The table of what can be found under a resource's name, and what follows."""
    resource = resource.model_copy(update={"parent": ""})
    found = plan([resource], objects)
    assert actions(found) == {resource.key: action}
    if found.changes:
        assert why in found.changes[0].why
        assert bool(found.changes[0].why) == bool(why)
        assert found.blocked == (found.changes if action == "conflict" else ())
        assert found.pending == (action not in ("await", "conflict"))


def test_differences_name_what_was_and_what_will_be() -> None:
    """Of a mapping only the declared keys count, each by its path; a list counts as a whole."""
    lb = LB.model_copy(update={"fields": {"check": {"path": "/healthz", "port": 80}, "ports": [1, 2]}})
    there = seen(LB, fields={"check": {"path": "/", "port": 80, "tls": True}, "ports": [2, 1]})
    assert [(d.path, d.old, d.new) for d in plan([lb], [there]).changes[0].differences] == [
        ("check.path", "/", "/healthz"),
        ("ports", [2, 1], [1, 2]),
    ]


def test_adoption() -> None:
    """An object made by hand becomes ours if its key is named, and if nothing of it would have to be replaced."""
    foreign = seen(LB, ownership="foreign", fields={"type": "LB-L"})
    assert actions(plan([LB], [foreign], adopt=("lb.*",))) == {"lb.main": "adopt"}
    assert actions(plan([LB], [foreign], adopt=("vpc.*",))) == {"lb.main": "conflict"}
    adopted = plan([LB], [foreign], adopt=("lb.main",))
    assert [d.path for d in adopted.changes[0].differences] == ["type"]
    assert [(step.id, step.action) for step in adopted.steps] == [("update lb.main", "update")]
    other = seen(NETWORK, ownership="foreign", fields={"subnet": "10.9.0.0/24", "vpc_id": THE_VPC.id})
    refused = the(plan([VPC, NETWORK], [THE_VPC, other], adopt=("*",)), "private_network.core")
    assert refused.action == "conflict"
    assert refused.why.startswith("cannot be adopted: subnet: ")


@pytest.mark.parametrize(
    ("asked", "item", "action", "why"),
    [
        (("server.core-01",), THE_SERVER, "replace", "asked for"),
        (("a-b-core-01",), THE_SERVER, "replace", "asked for"),
        (("a-b-core-01",), seen(SERVER, fields=SERVER.fields | {"dynamic_ip": True}), "replace", "asked for"),
        (("a-b-core-01",), seen(SERVER, fields=SERVER.fields | {"image": "other"}), "replace", "image: "),
        (("a-b-core-01",), seen(SERVER, protected=True), "conflict", "would be replaced (asked for), but"),
        (("a-b-core-01",), seen(SERVER, ownership="foreign"), "conflict", "was not made by us"),
        (("a-b-core-01",), None, "create", ""),
        ((), THE_SERVER, "keep", ""),
    ],
)
def test_a_server_is_replaced_for_the_asking(
    asked: tuple[str, ...], item: Observed | None, action: str, why: str
) -> None:
    """By its key or its name; protection and ownership hold as ever."""
    found = plan([SERVER], [item] if item else [], replace=asked)
    assert actions(found) == {"server.core-01": action}
    assert all(why in change.why for change in found.changes)


@pytest.mark.parametrize("asked", ["a-b-core-02", "server.*", "vpc.main", "vpc-a-b"])
def test_only_a_server_of_the_file_is_replaced_for_the_asking(asked: str) -> None:
    """A slip of the pen is an error, and no plan without it."""
    with pytest.raises(EnvironmentFileError, match="is no server of the file"):
        plan([VPC, SERVER], [THE_VPC, THE_SERVER], replace=(asked,))


# -- protection ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "allowed", "action"),
    [
        (THE_BUCKET, (), "held"),  # by its kind and by its tag
        (seen(BUCKET, protected=False), (), "held"),  # by its kind alone
        (seen(VPC, protected=True), (), "held"),  # by its tag alone
        (seen(VPC, protected=False), (), "delete"),
        (THE_BUCKET, ("bucket.a-b-c",), "delete"),
        (THE_BUCKET, ("bucket.*",), "delete"),
        (THE_BUCKET, ("*",), "delete"),
        (THE_BUCKET, ("bucket.a-b", "vpc.*"), "held"),
        (seen(BUCKET, ownership="foreign"), ("*",), None),
    ],
)
def test_what_left_the_file(item: Observed, allowed: tuple[str, ...], action: str | None) -> None:
    """It goes if it is ours, unless kind or tag protect it and nobody lifts that; in destroy as well."""
    for found in (
        plan([], [item], allow_destroy=allowed),
        make_destroy_plan("a-b", [], [item], Wishes(allow_destroy=allowed)),
    ):
        assert list(actions(found).values()) == ([action] if action else [])
        if action == "held":
            assert "name it in `allow_destroy`" in found.changes[0].why
            assert not found.steps


def test_a_protected_object_is_not_replaced() -> None:
    """What would be a replace is a conflict, until the object itself is named."""
    other = seen(INSTANCE, fields={"engine": "PostgreSQL-14"}, protected=False)
    found = plan([INSTANCE], [other])
    assert actions(found) == {"rdb_instance.main": "conflict"}
    assert "would be replaced (engine: " in found.changes[0].why
    assert actions(plan([INSTANCE], [other], allow_destroy=("rdb_instance.main",))) == {"rdb_instance.main": "replace"}


def test_protection_of_what_is_inside() -> None:
    """Letting the instance go is not letting its databases go: those are named one by one."""
    other = seen(INSTANCE, fields={"engine": "PostgreSQL-14"})
    both = ("rdb_instance.main", "database.app")
    found = plan([INSTANCE, DATABASE], [other, THE_DATABASE], allow_destroy=both[:1])
    assert actions(found) == {"rdb_instance.main": "replace", "database.app": "conflict"}
    found = plan([INSTANCE, DATABASE], [other, THE_DATABASE], allow_destroy=both)
    assert actions(found) == {"rdb_instance.main": "replace", "database.app": "create"}

    found = plan([], [THE_INSTANCE, THE_DATABASE], allow_destroy=("rdb_instance.*",))
    assert set(actions(found).values()) == {"held"}
    assert the(found, "rdb_instance.db").why == "around database.db/app"
    found = plan([], [THE_INSTANCE, THE_DATABASE], allow_destroy=("rdb_instance.*", "database.*"))
    assert actions(found) == {"rdb_instance.db": "delete"}, "the database dies with it"


def test_what_a_held_object_needs_is_held() -> None:
    """The network of a held database stays, and its VPC too; replacing the network is a conflict."""
    there = seen(INSTANCE, protected=True, uses=(THE_NETWORK.id,))
    found = make_destroy_plan("a-b", [VPC, NETWORK, INSTANCE], [THE_VPC, THE_NETWORK, there])
    assert actions(found) == {"rdb_instance.main": "held", "private_network.core": "held", "vpc.main": "held"}
    assert the(found, "private_network.core").why == "used by rdb_instance.main"
    assert the(found, "vpc.main").why == "used by private_network.core"

    moved = NETWORK.model_copy(update={"fields": NETWORK.fields | {"subnet": "10.7.0.0/24"}})
    found = plan([VPC, moved], [THE_VPC, THE_NETWORK, there])
    assert actions(found) == {"rdb_instance.db": "held", "private_network.core": "conflict", "vpc.main": "keep"}
    assert "used by rdb_instance.db, which stays" in the(found, "private_network.core").why


def test_a_part_holds_what_the_whole_holds_under_the_name_of_the_whole() -> None:
    """Settings have their instance's id; what stays with a held database stays with the instance, not with these."""
    settings = Observed(kind="rdb_settings", name="db/settings", id=THE_INSTANCE.id, parent_id=THE_INSTANCE.id)
    user = Observed(kind="rdb_user", name="db/app", id="user", parent_id=THE_INSTANCE.id)
    found = plan([], [THE_INSTANCE, settings, user, THE_DATABASE], allow_destroy=("rdb_instance.*",))
    assert the(found, "rdb_instance.db").why == "around database.db/app"
    assert the(found, "rdb_settings.db/settings").why == "in rdb_instance.db"
    assert the(found, "rdb_user.db/app").why == "in rdb_instance.db"


# -- one and another -------------------------------------------------------------------------------------------


def test_unknown_after_apply() -> None:
    """A field that refers to what a step makes is unknown; to what exists, it is known and compared."""
    found = plan([VPC, NETWORK], [THE_NETWORK])
    assert actions(found) == {"vpc.main": "create", "private_network.core": "replace"}
    [difference] = the(found, "private_network.core").differences
    assert (difference.path, difference.old, difference.new) == ("vpc_id", THE_VPC.id, UNKNOWN)
    assert actions(plan([VPC, NETWORK], [THE_VPC, THE_NETWORK])) == {"vpc.main": "keep", "private_network.core": "keep"}


def test_a_sealed_object_that_depends_on_a_step() -> None:
    """The seal vouches for what was declared, not for what another step is about to make."""
    access = [{"application_id": ref("application.x")}]
    policy = POLICY.model_copy(update={"fields": {"access": access}})
    application = Resource(key="application.x", kind="application", name="a-b-x")
    sealed = [THE_BUCKET, seen(POLICY, parent_id=THE_BUCKET.id, detailed=False, fields={})]
    found = plan([BUCKET, policy, application], [*sealed, seen(application)])
    assert set(actions(found).values()) == {"keep"}
    found = plan([BUCKET, policy, application], sealed)
    assert actions(found)[policy.key] == "update"


def test_outputs_that_changes_refer_to_travel_with_the_plan() -> None:
    """Ids of what is kept, but only where a change needs them."""
    found = plan([VPC, NETWORK, LB], [THE_VPC, seen(LB)])
    assert found.outputs == {"vpc.main": {"id": THE_VPC.id}}


def test_what_dies_with_its_parent_needs_no_step() -> None:
    """A policy goes with its bucket; alone it is deleted."""
    policy = seen(POLICY, parent_id=THE_BUCKET.id)
    assert actions(plan([], [THE_BUCKET, policy], allow_destroy=("*",))) == {"bucket.a-b-c": "delete"}
    assert actions(plan([BUCKET], [THE_BUCKET, policy])) == {
        "bucket.a-b-c": "keep",
        "bucket_policy.a-b-c/policy": "delete",
    }


def test_a_part_with_the_id_of_the_whole_is_removed() -> None:
    """A bastion shares its gateway's id: it does not go along with itself, but with the gateway."""
    gateway = Resource(key="gateway.main", kind="gateway", name="gw")
    whole = seen(gateway, "1")
    bastion = Observed(kind="gateway_bastion", name="gw/bastion", id="1", parent_id="1")
    assert actions(plan([gateway], [whole, bastion])) == {
        "gateway.main": "keep",
        "gateway_bastion.gw/bastion": "delete",
    }
    assert actions(plan([], [whole, bastion])) == {"gateway.gw": "delete"}


def test_what_is_under_a_replaced_parent() -> None:
    """What dies with it is made again; what does not is replaced with it."""
    attached = Resource(key="lb_private_network.main", kind="lb_private_network", name="lb/pn", parent="lb.main")
    lb = LB.model_copy(update={"fields": {"ipv4": "new"}})
    old = seen(LB, fields={"ipv4": "old"})
    found = plan(
        [lb, attached, CERTIFICATE], [old, seen(attached, parent_id=old.id), seen(CERTIFICATE, parent_id=old.id)]
    )
    assert actions(found) == {
        "lb.main": "replace",
        "lb_private_network.main": "replace",
        "lb_certificate.api": "create",
    }
    assert the(found, "lb_private_network.main").why == "lb.main is replaced"


def test_doubled_objects_are_both_removed() -> None:
    """Two of ours under one name that the file does not know go both, each by its id."""
    found = plan([], [seen(LB, "1"), seen(LB, "2")])
    assert actions(found) == {"lb.lb#1": "delete", "lb.lb#2": "delete"}
    assert len({step.id for step in found.steps}) == 2


def test_destroy_calls_things_by_the_names_of_the_file() -> None:
    """Keys of the file where it knows the object, kind and name where not; what is not ours stays, all under it too."""
    certificate = seen(CERTIFICATE, parent_id="id of lb")
    found = make_destroy_plan("a-b", [VPC], [THE_VPC, seen(LB, ownership="foreign"), certificate, seen(NETWORK)])
    assert actions(found) == {"vpc.main": "delete", "private_network.pn-a-b-core": "delete"}
    assert found.destroy


def test_a_resource_that_needs_what_is_not_there() -> None:
    """References into nowhere and circles are errors of the file, told before anything is planned."""
    with pytest.raises(EnvironmentFileError, match=r"private_network.core: needs vpc.main"):
        plan([NETWORK], [])
    with pytest.raises(EnvironmentFileError, match=r"vpc.main -> "):
        plan([VPC.model_copy(update={"depends_on": ("private_network.core",)}), NETWORK], [])


# -- the plan as a thing ---------------------------------------------------------------------------------------


def fingerprints(first: Plan, second: Plan) -> bool:
    """Whether both would do the same."""
    return first.fingerprint() == second.fingerprint()


def test_equal_fingerprints() -> None:
    """What an object tells beyond its id does not count, nor does the order of things, nor what is only awaited."""
    lb = seen(LB, fields={"type": "LB-L"})
    one = plan([VPC, LB], [THE_VPC, lb])
    assert fingerprints(one, plan([LB, VPC], [lb, THE_VPC]))
    assert fingerprints(one, plan([VPC, LB], [THE_VPC, lb.model_copy(update={"outputs": {"id": lb.id, "ip": "x"}})]))
    assert fingerprints(plan([VPC], [THE_VPC]), plan([VPC], [seen(VPC, health="pending")]))


@pytest.mark.parametrize(
    "other",
    [
        plan([VPC, LB], [THE_VPC, seen(LB, fields={"type": "LB-M"})]),
        plan([VPC, LB], [THE_VPC, seen(LB, "another", fields={"type": "LB-L"})]),
        plan([VPC, LB], [THE_VPC]),
        plan([VPC, LB], [seen(LB, fields={"type": "LB-L"})]),
        plan([VPC, LB.model_copy(update={"inputs": {"a": 1}})], [THE_VPC, seen(LB, fields={"type": "LB-L"})]),
        plan([VPC, LB], [THE_VPC, seen(LB, fields={"type": "LB-L"}), seen(NETWORK)]),
        make_plan("a-c", [VPC, LB], [THE_VPC, seen(LB, fields={"type": "LB-L"})]),
        make_destroy_plan("a-b", [VPC, LB], [THE_VPC, seen(LB, fields={"type": "LB-L"})]),
    ],
)
def test_unequal_fingerprints(other: Plan) -> None:
    """Another old value, object, action, input, removal, environment: another fingerprint."""
    one = plan([VPC, LB], [THE_VPC, seen(LB, fields={"type": "LB-L"})])
    assert not fingerprints(one, other)


def test_counts() -> None:
    """By action, with what stays."""
    found = plan([VPC, LB, NETWORK], [THE_VPC, THE_BUCKET, seen(LB, fields={})])
    assert found.counts() == {"keep": 1, "create": 1, "held": 1, "update": 1}


def test_through_temporal_and_back() -> None:
    """A plan is the same after the journey through a history, where only what was set is written."""
    found = plan(
        [VPC, NETWORK, LB, CERTIFICATE, BUCKET, POLICY],
        [
            THE_VPC,
            seen(LB, fields={"type": None}),
            seen(CERTIFICATE, health="failed", parent_id="id of lb"),
            seen(BUCKET, protected=False, detailed=False),
            seen(INSTANCE, protected=True, uses=("x",), inputs={"a": {"b": [1, None]}}),
        ],
    )
    assert len(set(actions(found).values())) >= 5
    converter = DATA_CONVERTER.payload_converter
    payloads = converter.to_payloads([found])
    [back] = converter.from_payloads(payloads, [Plan])
    assert back == found
    assert back.fingerprint() == found.fingerprint()
    assert back.steps == found.steps
    again = converter.to_payloads([back])
    assert converter.from_payloads(again, [Plan]) == [found]
    [copied] = converter.from_payloads(
        converter.to_payloads([found.changes[0].model_copy(update={"why": "said later"})]), [Change]
    )
    assert copied.why == "said later"
