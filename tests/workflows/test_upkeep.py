"""What an apply does to nodes that serve: they restart and retire in turn, and none is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from blueprint.contract import PlanInput
from blueprint.environment import parse
from blueprint.plan import Action, Change, Plan
from blueprint.release.facts import NodeFacts, ReleaseFacts, ReleaseOnNode
from blueprint.release.site import site_of
from starters.engine import Run, target_of
from tests.starters import eventually
from tests.workflows.fleet import OLD, Fleet, fleet_house
from tests.workflows.house import House, small
from workflows.messages import AbortInput, ChangeInput, ChangeOutput, SkipInput
from workflows.release.upkeep import can_leave, members, next_restart

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"
CHECK = f"check {{}} {OLD[:9]}"
RESTARTED = ("leave {}", "drain {}", "restart {}", CHECK, "join {}", "balance {}")
"""What is done to a node that the pool can spare."""


class Applied:
    """An application whose environment is applied: what there is to change is up to the test.

    Args:
        home: gives the loop and the connection.
        count: of its nodes, which tests call n1, n2, ...
        min_healthy: nodes that have to stay in the pool.
    """

    def __init__(self, home: House, count: int, min_healthy: int = 1) -> None:
        app = {"repository": "git://git.test/app.git", "min_healthy": min_healthy, "drain": "100ms"}
        balancer = {"backends": {"api": {"nodes": "core"}}}
        network = {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}}
        sections: dict[str, Any] = {"network": network, "ssh_keys": {"ops": KEY}, "nodes": {"core": {"count": count}}}
        self.file = small(**sections, load_balancer=balancer, app=app)
        del self.file["security_groups"]
        environment = parse(self.file)
        self.target = target_of(environment)
        site = site_of(environment, self.target)
        assert site
        self.home = home
        self.fleet = Fleet(site.nodes)
        self.fleet.site = site
        self.names = {f"n{number}": name for number, name in enumerate(site.nodes, 1)}
        self.change("update")

    def change(self, action: Action, *nodes: str) -> None:
        """From now on the plan says so of these machines, or of something else about the nodes."""
        kind = "server" if nodes else "lb_backend"
        names = [self.names[node] for node in nodes] or ["api"]
        changes = [Change(key=f"{kind}.{name}", kind=kind, name=name, action=action) for name in names]
        self.fleet.planned = Plan(environment=self.target.environment, changes=tuple(changes))

    def stale(self, *nodes: str) -> None:
        """From now on these have newer settings than those with which their units run."""
        for node in nodes:
            self.fleet.nodes[self.names[node]].stale = True

    @contextmanager
    def running(self) -> Iterator[Run[ChangeOutput]]:
        """An apply."""
        with fleet_house(self.home, self.fleet) as house:
            request = PlanInput(target=self.target, environment=self.file)
            self.engine = house.engine
            yield self.home.run(house.engine.apply(ChangeInput(request=request)))

    def done(self) -> list[str]:
        """What was done so far, without looks."""
        return [self.short(call) for call in self.fleet.calls if not call.startswith("facts")]

    def pool(self) -> list[str]:
        """Members of the pool."""
        return [self.short(name) for name in self.fleet.pool()]

    def short(self, text: str) -> str:
        """With the names that tests use."""
        for short, name in self.names.items():
            text = text.replace(name, short)
        return text

    def until_parked(self, run: Run[Any], step: str) -> None:
        """Wait until this step is."""
        self.home.until(
            run, lambda states: "parked" in states.values() and states.get(self.full(step)) == "parked", patience=30
        )

    def full(self, text: str) -> str:
        """With the names that the machines have."""
        for short, name in self.names.items():
            text = text.replace(short, name)
        return text


def steps(steps: Sequence[str], *nodes: str) -> list[str]:
    """These steps with each node in turn."""
    return [step.format(node) for node in nodes for step in steps]


# -- new settings ------------------------------------------------------------------------------------------------------


def test_nodes_restart_one_after_the_other(home: House) -> None:
    """Each is back in the pool before the next one leaves."""
    here = Applied(home, 2)
    here.stale("n1", "n2")
    with here.running() as run:
        output = home.result(run)

    assert here.done() == steps(RESTARTED, "n1", "n2")
    assert (here.fleet.smallest_pool, output.skipped) == (1, ())


def test_what_does_not_come_back_is_restarted_first(home: House) -> None:
    """A node that died of its new settings does not say that it needs a restart; the last one that serves waits."""
    here = Applied(home, 2)
    here.stale("n1", "n2")
    here.fleet.dying.add(here.names["n1"])
    failed = steps(RESTARTED[:4], "n1")
    with here.running() as run:
        here.until_parked(run, "restart n1 with the new settings")
        assert here.done() == failed
        home.run(here.engine.retry(run))
        eventually(lambda: here.done() == [*failed, *steps(RESTARTED[2:4], "n1")])
        here.until_parked(run, "restart n1 with the new settings")
        assert here.pool() == ["n2"]
        here.fleet.dying.clear()
        home.run(here.engine.retry(run))
        home.result(run)

    again = steps(RESTARTED[2:4], "n1")
    assert here.done() == [*failed, *again, *steps(RESTARTED[2:], "n1"), *steps(RESTARTED, "n2")]
    assert here.pool() == ["n1", "n2"]
    assert here.fleet.smallest_pool == 1


def test_the_only_one_with_old_settings_does_not_come_back(home: House) -> None:
    """An apply does not end well with a node that it took out of the pool, unless it comes back."""
    here = Applied(home, 2)
    here.stale("n1")
    here.fleet.dying.add(here.names["n1"])
    with here.running() as run:
        here.until_parked(run, "restart n1 with the new settings")
        here.fleet.dying.clear()
        home.run(here.engine.retry(run))
        home.result(run)

    assert here.pool() == ["n1", "n2"]


def test_skipping_it_touches_no_other(home: House) -> None:
    """The node stays outside, the others keep what they run with, and the end says so."""
    here = Applied(home, 3)
    here.stale("n1", "n2", "n3")
    here.fleet.dying.add(here.names["n1"])
    step = here.full("restart n1 with the new settings")
    with here.running() as run:
        here.until_parked(run, "restart n1 with the new settings")
        assert "no further one restarts" in home.details(run)
        home.run(here.engine.skip(run, SkipInput(step=step, reason="looked at tomorrow")))
        output = home.result(run)

    assert here.done() == steps(RESTARTED[:4], "n1")
    assert output.skipped == (step,)
    assert here.pool() == ["n2", "n3"]


def test_aborting_ends_the_run(home: House) -> None:
    """As failed, with what the operator said."""
    here = Applied(home, 2)
    here.stale("n1", "n2")
    here.fleet.dying.add(here.names["n1"])
    with here.running() as run:
        here.until_parked(run, "restart n1 with the new settings")
        home.run(here.engine.abort(run, AbortInput(reason="enough")))
        assert home.failure(run) == ("aborted", "ended by an operator: enough")

    assert here.done() == steps(RESTARTED[:4], "n1")


def test_a_single_node_restarts_in_place(home: House) -> None:
    """There is nobody to spare."""
    here = Applied(home, 1)
    here.stale("n1")
    with here.running() as run:
        home.result(run)

    assert here.done() == steps(("restart {}", CHECK, "balance {}"), "n1")


@pytest.mark.parametrize("begun", ["leave n1", "drain n1", "restart n1", "check n1"])
def test_cancelled_while_a_node_restarts(home: House, begun: str) -> None:
    """It comes back into the pool, and the next one is not touched."""
    here = Applied(home, 2)
    here.stale("n1", "n2")
    gate = here.fleet.gates[here.full(begun)] = threading.Event()
    with here.running() as run:
        eventually(lambda: any(call.startswith(begun) for call in here.done()))
        home.run(run.cancel())
        gate.set()
        assert home.failure(run)[0] == "cancelled"

    assert here.done() == steps(RESTARTED, "n1")
    assert here.pool() == ["n1", "n2"]


def test_cancelled_while_it_waits_for_an_operator(home: House) -> None:
    """Nobody is asked any more."""
    here = Applied(home, 2)
    here.stale("n1", "n2")
    here.fleet.dying.add(here.names["n1"])
    with here.running() as run:
        here.until_parked(run, "restart n1 with the new settings")
        home.run(run.cancel())
        assert home.failure(run)[0] == "cancelled"

    assert here.done() == steps(RESTARTED[:4], "n1")


# -- replaced ----------------------------------------------------------------------------------------------------------

RETIRED = ("leave {}", "drain {}", "stop {}")


def test_only_who_can_be_spared_retires(home: House) -> None:
    """The second of two would leave nobody: it is left to the walk."""
    here = Applied(home, 2)
    here.change("replace", "n1", "n2")
    with here.running() as run:
        home.result(run)

    assert here.done() == steps(RETIRED, "n1")


def test_all_that_can_be_spared_retire(home: House) -> None:
    """Two of three, where one has to stay: a member that does not answer stands in for nobody."""
    here = Applied(home, 4)
    here.fleet.nodes[here.names["n4"]].active = False
    here.change("replace", "n1", "n2", "n3")
    with here.running() as run:
        home.result(run)

    assert here.done() == [*steps(RETIRED, "n1", "n2"), "balance n4"]


@pytest.mark.parametrize("begun", ["leave n1", "drain n1", "stop n1"])
def test_cancelled_while_a_node_retires(home: House, begun: str) -> None:
    """It is not replaced after all, so it starts again and comes back into the pool."""
    here = Applied(home, 3)
    here.change("replace", "n1", "n2")
    gate = here.fleet.gates[here.full(begun)] = threading.Event()
    with here.running() as run:
        eventually(lambda: any(call.startswith(begun) for call in here.done()))
        home.run(run.cancel())
        gate.set()
        assert home.failure(run)[0] == "cancelled"

    assert here.done() == [*steps(RETIRED, "n1"), *steps(RESTARTED[2:], "n1")]
    assert here.pool() == ["n1", "n2", "n3"]


# -- decisions ---------------------------------------------------------------------------------------------------------


def facts(**nodes: str) -> ReleaseFacts:
    """Nodes by name: p for in the pool, b for balanced, s for stale."""
    released = ReleaseOnNode(commit=OLD, prepared=True, released_at=1.0)
    return ReleaseFacts(
        nodes=tuple(
            NodeFacts(
                name=name, current=OLD, releases=(released,), in_pool="p" in is_, balanced="b" in is_,
                restart_needed="s" in is_,
            )
            for name, is_ in nodes.items()
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("known", "min_healthy", "can"),
    [
        (facts(n1="pb", n2="pb"), 1, True),
        (facts(n1="pb", n2="p"), 1, False),
        (facts(n1="pb", n2=""), 1, False),
        (facts(n1="p", n2="pb"), 1, True),
        (facts(n1="pb", n2="pb", n3="p"), 2, False),
    ],
)
def test_who_can_leave(known: ReleaseFacts, min_healthy: int, can: bool) -> None:
    """Enough others that serve have to be there."""
    assert can_leave(known, Fleet(("n1", "n2"), min_healthy=min_healthy).site, "n1") is can


@pytest.mark.parametrize(
    ("known", "done", "batch"),
    [
        (facts(n1="pb", n2="pb"), (), None),
        (facts(n1="pbs", n2="pbs"), (), ("n1",)),
        (facts(n1="pbs", n2="ps"), (), ("n2",)),
        (facts(n1="pbs", n2="pbs"), ("n1",), ("n2",)),
        (facts(n1="pbs", n2="pbs"), ("n1", "n2"), None),
    ],
)
def test_what_restarts_next(known: ReleaseFacts, done: tuple[str, ...], batch: tuple[str, ...] | None) -> None:
    """Nobody twice, and first those that serve nobody."""
    plan = next_restart(known, Fleet(("n1", "n2")).site, done)
    assert (plan and plan.nodes) == batch


def test_who_counts_as_a_member() -> None:
    """A node that changes has to leave although it is not well; of the others only those that are well stand in."""
    known = facts(n1="p", n2="p", n3="pb", n4="")
    assert members(known, ("n1", "n4")) == ["n1", "n3"]
