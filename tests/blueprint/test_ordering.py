"""Which step waits for which, what shares a call, what takes turns."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import Any

import pytest

from blueprint.ordering import steps_for
from blueprint.plan import Action, Change, Step
from blueprint.planner import make_destroy_plan, make_plan
from blueprint.resource import Observed, Resource, ref

KINDS_OF = {"pn": "private_network", "lbpn": "lb_private_network", "cert": "lb_certificate", "record": "dns_record"}


def change(
    action: Action, key: str, *, needs: tuple[str, ...] = (), uses: tuple[str, ...] = (), name: str = "", **more: Any
) -> Change:
    """A change of "<kind>.<label>"; what exists has the id "id:<key>", and uses the objects of these keys."""
    short, _, label = key.partition(".")
    kind = KINDS_OF.get(short, short)
    wanted = Resource(key=key, kind=kind, name=name or label, depends_on=needs, **more)
    there = Observed(kind=kind, name=name or label, id=f"id:{key}", uses=tuple(f"id:{used}" for used in uses))
    return Change(
        key=key,
        kind=kind,
        name=name or label,
        action=action,
        resource=wanted if action != "delete" else None,
        observed=there if action != "create" else None,
    )


def steps(*changes: Change) -> dict[str, Step]:
    """The steps by id, proven to have an order at all."""
    found = {step.id: step for step in steps_for(changes)}
    list(TopologicalSorter({step.id: step.after for step in found.values()}).static_order())
    assert all(before in found for step in found.values() for before in step.after)
    return found


def edges(*changes: Change) -> dict[str, set[str]]:
    """What each step waits for."""
    return {step.id: set(step.after) for step in steps(*changes).values()}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            [change("create", "pn.a", needs=("vpc.a",)), change("create", "vpc.a")],
            {"create vpc.a": set(), "create pn.a": {"create vpc.a"}},
            id="made after what it needs",
        ),
        pytest.param(
            [
                change("create", "pn.a", needs=("vpc.a",), parent="lb.a", inputs={"x": [ref("server.a")]}),
                change("await", "server.a"),
                change("update", "lb.a"),
                change("adopt", "vpc.a"),
            ],
            {
                "await server.a": set(),
                "update lb.a": set(),
                "update vpc.a": set(),
                "create pn.a": {"await server.a", "update lb.a", "update vpc.a"},
            },
            id="by dependency, reference and parent, whatever is done to those",
        ),
        pytest.param(
            [change("create", "pn.a", needs=("vpc.a",))],
            {"create pn.a": set()},
            id="what is kept is not waited for",
        ),
        pytest.param(
            [change("delete", "vpc.a"), change("delete", "pn.a", uses=("vpc.a",))],
            {"delete pn.a": set(), "delete vpc.a": {"delete pn.a"}},
            id="removed after what holds on to it",
        ),
        pytest.param(
            [change("delete", "pn.a"), change("update", "server.a", uses=("pn.a",))],
            {"update server.a": set(), "delete pn.a": {"update server.a"}},
            id="removed after what is changed to let go of it",
        ),
        pytest.param(
            [change("replace", "pn.a"), change("create", "server.a", needs=("pn.a",))],
            {"delete pn.a": set(), "create pn.a": {"delete pn.a"}, "create server.a": {"create pn.a"}},
            id="a replace is a removal, then a creation",
        ),
        pytest.param(
            [change("replace", "pn.a"), change("replace", "lbpn.a", needs=("pn.a",), uses=("pn.a",))],
            {
                "delete lbpn.a": set(),
                "delete pn.a": {"delete lbpn.a"},
                "create pn.a": {"delete pn.a"},
                "create lbpn.a": {"delete lbpn.a", "create pn.a"},
            },
            id="two replaced: down in one order, up in the other",
        ),
        pytest.param(
            [change("replace", "pn.a"), change("update", "server.a", needs=("pn.a",), uses=("pn.a",))],
            {"delete pn.a": set(), "create pn.a": {"delete pn.a"}, "update server.a": {"create pn.a"}},
            id="an update waits for the new one, so the removal cannot wait for the update",
        ),
        pytest.param(
            [change("delete", "secret.a"), change("delete", "queue.a"), change("delete", "sqs_credentials.a")],
            {
                "delete queue.a": set(),
                "delete secret.a": {"delete queue.a"},
                "delete sqs_credentials.a": {"delete queue.a"},
            },
            id="a kind that outlives another goes after all of it",
        ),
        pytest.param(
            [change("delete", f"{kind}.a") for kind in ("secret", "cockpit_token", "data_source", "alert_rules")],
            {
                "delete alert_rules.a": set(),
                "delete secret.a": {"delete alert_rules.a"},
                "delete cockpit_token.a": {"delete alert_rules.a"},
                "delete data_source.a": {"delete alert_rules.a"},
            },
            id="a try that is repeated finds what it needs: a removal of rules may fail once",
        ),
        pytest.param(
            [
                change("create", "lb_frontend.a", name="lb/a"),
                change("update", "lb_frontend.b", name="lb/b"),
                change("delete", "lb_frontend.c", name="lb/c"),
                change("delete", "lb_frontend.d", name="other/d"),
            ],
            {
                "delete lb_frontend.c": set(),
                "delete lb_frontend.d": set(),
                "update lb_frontend.b": {"delete lb_frontend.c"},
                "create lb_frontend.a": {"delete lb_frontend.c", "update lb_frontend.b"},
            },
            id="a port is free before it is taken",
        ),
        pytest.param(
            [
                change("create", "record.a.io/x/A", name="a.io/x/A"),
                change("delete", "record.a.io/x/CNAME", name="a.io/x/CNAME"),
                change("delete", "record.b.io/x/CNAME", name="b.io/x/CNAME"),
            ],
            {
                "delete record.a.io/x/CNAME": set(),
                "delete record.b.io/x/CNAME": set(),
                "create record.a.io/x/A": {"delete record.a.io/x/CNAME"},
            },
            id="a name is free of its CNAME before it gets anything else",
        ),
        pytest.param(
            [change("held", "vpc.a"), change("conflict", "pn.a"), change("delete", "lb.a", uses=("vpc.a",))],
            {"delete lb.a": set()},
            id="held and conflict have no step",
        ),
    ],
)
def test_order(changes: list[Change], expected: dict[str, set[str]]) -> None:
    """The rules one by one; the order in which changes are given does not matter."""
    assert edges(*changes) == expected
    assert edges(*reversed(changes)) == expected


def records(count: int, action: Action = "create", zone: str = "a.io", **more: Any) -> list[Change]:
    """So many records of a zone."""
    return [change(action, f"record.{zone}/{n:03d}/A", name=f"{zone}/{n:03d}/A", **more) for n in range(count)]


def test_batches() -> None:
    """A hundred records share a call; other actions, zones and prerequisites do not."""
    found = steps(*records(250))
    assert [len(step.changes) for step in found.values()] == [100, 100, 50]
    assert next(iter(found)) == "create record.a.io/000/A and 99 more"
    assert len({key for step in found.values() for key in step.changes}) == 250
    assert {step.serial for step in found.values()} == {"dns:a.io"}

    mixed = [*records(2), *records(2, zone="b.io"), *records(3, "delete", zone="c.io")]
    assert [len(step.changes) for step in steps(*mixed).values()] == [2, 2, 3]
    waiting = [*records(2), *[change("create", "record.a.io/x/A", name="a.io/x/A", needs=("vpc.a",))]]
    found = steps(*waiting, change("create", "vpc.a"))
    assert found["create record.a.io/x/A"].after == ("create vpc.a",)
    assert len(found) == 3


def test_who_waits_for_one_of_a_batch_waits_for_the_batch() -> None:
    """A step is done as a whole."""
    found = edges(*records(3), change("create", "cert.a", needs=("record.a.io/001/A",), name="lb/a"))
    assert found["create cert.a"] == {"create record.a.io/000/A and 2 more"}


@pytest.mark.parametrize(
    ("kind", "name", "serial"),
    [
        ("lb", "lb-a-b", "lb:lb-a-b"),
        ("cert", "lb-a-b/api", "lb:lb-a-b"),
        ("lb_acl", "lb-a-b/https/office", "lb:lb-a-b"),
        ("gateway_network", "gw-a-b/pn", "gateway:gw-a-b"),
        ("database", "db-a-b/app", "rdb:db-a-b"),
        ("vpc", "vpc-a-b", ""),
    ],
)
def test_taking_turns(kind: str, name: str, serial: str) -> None:
    """Writes to one load balancer, gateway and database instance, and to all that belongs to them, take turns."""
    assert steps(change("create", f"{kind}.x", name=name))[f"create {kind}.x"].serial == serial


def test_nodes_change_in_turn() -> None:
    """Each leaves the pool meanwhile. New ones are in none yet, and those that go are not waited for."""
    nodes = [
        change(action, f"node_release.{action}", name=f"{action}/release") for action in ("update", "create", "delete")
    ]
    found = steps(*nodes, change("update", "node_release.b", name="b/release"))
    assert {name: step.serial for name, step in found.items()} == {
        "update node_release.update": "node_release",
        "update node_release.b": "node_release",
        "create node_release.create": "",
        "delete node_release.delete": "",
    }


def test_independent_steps_do_not_wait() -> None:
    """There are no levels: what has no path between it has no order."""
    chain = [change("create", "vpc.a"), change("create", "pn.a", needs=("vpc.a",))]
    found = edges(*chain, change("create", "bucket.a"), change("create", "lb.a", needs=("bucket.a",)))
    assert found["create lb.a"] == {"create bucket.a"}
    assert found["create bucket.a"] == set()


def test_up_and_down_again() -> None:
    """Destroying takes apart in the opposite order of what making put together."""
    vpc = Resource(key="vpc.main", kind="vpc", name="v")
    network = Resource(key="pn.main", kind="private_network", name="n", fields={"vpc_id": ref("vpc.main")})
    server = Resource(key="server.a", kind="server", name="s")
    nic = Resource(
        key="private_nic.a",
        kind="private_nic",
        name="s/n",
        parent="server.a",
        fields={"private_network_id": ref("pn.main")},
    )
    resources = [vpc, network, server, nic]
    up = {step.id: set(step.after) for step in make_plan("a-b", resources, []).steps}
    uses = {"pn.main": ("vpc.main",), "private_nic.a": ("pn.main", "server.a")}
    objects = [Observed(kind=item.kind, name=item.name, id=item.key, uses=uses.get(item.key, ())) for item in resources]
    down = {step.id: set(step.after) for step in make_destroy_plan("a-b", resources, objects).steps}
    opposite = {
        (before.replace("create", "delete"), after.replace("create", "delete"))
        for after, befores in up.items()
        for before in befores
    }
    assert {(after, before) for after, befores in down.items() for before in befores} == opposite
