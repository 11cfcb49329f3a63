"""Cancelling: calls in flight come to their end, none begins, and the next apply goes on from there."""

from __future__ import annotations

import time

from starters.engine import Run
from tests.starters import eventually
from tests.workflows.house import House, small
from workflows.messages import ChangeOutput

VPCS = "POST /vpc/v2/regions/{region}/vpcs"
NETWORK = "create private_network.core"
NETWORKS = "POST /vpc/v2/regions/{region}/private-networks"


def begun_and_cancelled(home: House, data: dict[str, object], step: str) -> Run[ChangeOutput]:
    """A run that is cancelled as soon as a step runs."""
    run = home.begin(data)
    home.until(run, lambda states: states.get(step) == "running")
    home.run(run.cancel())
    return run


def test_calls_in_flight_end_and_none_begins(home: House) -> None:
    """The VPC whose creation is under way is there at the end; what needs it was never begun."""
    data = small()
    home.fault(VPCS, kind="slow", seconds=2.0)
    run = begun_and_cancelled(home, data, "create vpc.main")

    assert home.failure(run)[0] == "cancelled"

    assert len(home.resources()["vpc.vpcs"]) == 1
    assert NETWORKS not in home.requests()
    states = home.states(run)
    assert states["create vpc.main"] == "done"
    assert states[NETWORK] == states["create vpc_acl.main"] == "dropped"
    assert "**It was cancelled**. What was done stays." in home.details(run)
    home.mend()
    home.apply(data)
    assert len(home.resources()["vpc.vpcs"]) == len(home.resources()["vpc.private_networks"]) == 1
    assert not home.plan(data).changes


def test_what_would_be_tried_again_is_not(home: House) -> None:
    """A step between two attempts ends with the run: nobody waits for ten minutes of retries."""
    home.fault(NETWORKS, kind="unavailable")
    run = home.begin(small())
    eventually(lambda: home.requests().count(NETWORKS) > 1)
    started = time.monotonic()

    home.run(run.cancel())

    assert home.failure(run)[0] == "cancelled"
    assert time.monotonic() - started < 10
    tried = home.requests().count(NETWORKS)
    home.mend()
    home.plan(small())
    assert home.requests().count(NETWORKS) == tried


def test_while_it_plans(home: House) -> None:
    """A run that is cancelled during its plan changes nothing, although the plan comes to its end."""
    home.fault("GET /vpc/v2/regions/{region}/vpcs", kind="slow", seconds=2.0, count=1)
    run = home.begin(small())
    eventually(lambda: home.works_on(run) == ["plan"])

    home.run(run.cancel())

    assert home.failure(run)[0] == "cancelled"
    eventually(lambda: "GET /vpc/v2/regions/{region}/vpcs" in home.requests())
    assert not home.requests(mutating=True)


def test_in_the_middle_of_destroying(home: House) -> None:
    """A cancelled destroy leaves what it had not begun to remove, and another one removes the rest."""
    data = small()
    home.apply(data)
    home.fault("DELETE /vpc/v2/regions/{region}/private-networks/*", kind="slow", seconds=2.0)
    run = home.begin(data, destroy=True)
    home.until(run, lambda states: states.get("delete private_network.core") == "running")
    home.run(run.cancel())

    assert home.failure(run)[0] == "cancelled"
    assert "vpc.private_networks" not in home.resources()
    assert "DELETE /vpc/v2/regions/{region}/vpcs/{vpc_id}" not in home.requests()
    home.mend()
    home.destroy(data)
    assert not home.resources()
