"""One change at a time for each environment; whoever only looks needs no turn."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from blueprint.contract import InventoryInput
from starters.engine import AnotherChangeRuns, Run
from tests.workflows.house import UI, House, keys, request, small
from workflows.messages import AbortInput, ChangeOutput

NETWORKS = "POST /vpc/v2/regions/{region}/private-networks"


@pytest.fixture
def data() -> dict[str, object]:
    """An environment."""
    return small()


@pytest.fixture
def waiting(home: House, data: dict[str, object]) -> Iterator[Run[ChangeOutput]]:
    """An apply that has the turn for as long as nobody decides."""
    home.fault(NETWORKS, kind="quota_exceeded")
    run = home.begin(data)
    home.until_parked(run, "create private_network.core")
    yield run
    if home.run(home.engine.current(request(data).target)):
        home.run(home.engine.abort(run, AbortInput(reason="end of the test")))
        home.failure(run)


@pytest.mark.parametrize("destroy", [False, True])
def test_the_second_is_told(home: House, data: dict[str, object], waiting: Run[ChangeOutput], destroy: bool) -> None:
    """What runs, since when, by whom and where to look, for an apply and for a destroy alike."""
    with pytest.raises(AnotherChangeRuns) as refused:
        home.begin(data, destroy=destroy)

    running = refused.value.running
    assert (running.operation, running.environment) == ("apply", f"{data['org']}-test")
    assert timedelta(0) <= datetime.now(UTC) - running.since < timedelta(minutes=1)
    assert getpass.getuser() in running.started_by
    assert running.link == waiting.link
    assert running.link.startswith(f"{UI}/namespaces/default/workflows/environment%2F{data['org']}-test/")
    for told in (running.operation, running.started_by, running.link, "--wait"):
        assert told in str(refused.value)


def test_looking_needs_no_turn(home: House, data: dict[str, object], waiting: Run[ChangeOutput]) -> None:
    """Plan, drift and status answer while a change waits for an operator, and write nothing."""
    home.forget_requests()
    missing = {"private_network.core", "gateway_network.main"}

    assert {change.key for change in home.plan(data).changes if change.action == "create"} == missing
    drift = home.run(home.engine.drift(request(data)))
    assert {change.key for change in drift.plan.changes if change.action == "create"} == missing
    target = request(data).target
    status = home.run(home.engine.status(InventoryInput(target=target, environment=data)))
    assert set(status.missing) == missing
    assert not home.requests(mutating=True)
    assert home.run(home.engine.current(target)) is not None


def test_environments_do_not_wait_for_each_other(home: House, waiting: Run[ChangeOutput]) -> None:
    """The turn is the environment's own."""
    home.mend()
    data = small()
    assert home.apply(data).counts["create"] == len(keys(data))


def test_the_turn_comes(home: House, data: dict[str, object], waiting: Run[ChangeOutput]) -> None:
    """Whoever waits for the turn gets it when the run before has ended."""
    target = request(data).target

    async def wait_while_it_ends() -> None:
        home.mend()
        await home.engine.retry(waiting)
        await home.engine.wait_for_turn(target, every=0.05)

    home.run(wait_while_it_ends())

    assert home.run(home.engine.current(target)) is None
    assert not home.apply(data).counts.get("create")
