"""Runs of a protected environment: what they show, whose word lets them on, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from blueprint.approval import APPROVAL, ApprovalRecord
from blueprint.environment.approval import Approval
from blueprint.release.facts import FreezeFacts
from blueprint.release.record import Origin
from starters import approvals
from starters.approvals import ApprovalRefused
from starters.engine import Run
from starters.releases import record_of
from tests.workflows.fleet import NEW, OLD, Fleet, FleetHouse, fleet_house
from tests.workflows.house import House, keys, request, small
from tests.workflows.test_apply import hand_made_vpc
from tests.workflows.test_parking import NETWORK, NETWORKS, attributes
from tests.workflows.vault_house import skipping_engine
from workflows.messages import AbortInput, ChangeInput, ChangeOutput

VPCS = "GET /vpc/v2/regions/{region}/vpcs"


def protected(**rules: Any) -> dict[str, Any]:
    """A small environment whose changes wait for approval."""
    return small(approval=rules)


def waiting(home: House, data: dict[str, Any], **wishes: Any) -> Run[ChangeOutput]:
    """An apply or destroy that waits for approval."""
    run = home.begin(data, **wishes)
    home.until_parked(run, APPROVAL)
    return run


def approve(home: House, run: Run[Any], by: str = "ben", **more: Any) -> ApprovalRecord:
    """Somebody's yes."""
    return home.run(approvals.approve(run, by, **more))


def reject(home: House, run: Run[Any], reason: str = "not today") -> ApprovalRecord:
    """Somebody's no."""
    return home.run(approvals.reject(run, "ben", reason))


def refused(home: House, run: Run[Any], by: str = "ben", **more: Any) -> str:
    """Why an approval does not count."""
    with pytest.raises(ApprovalRefused) as error:
        approve(home, run, by, **more)
    return error.value.message


def kept(home: House, run: Run[Any]) -> ApprovalRecord:
    """The record in a run's memo."""
    description = home.run(run.handle.describe())
    return ApprovalRecord.model_validate(home.run(description.memo_value(APPROVAL)))


def test_nothing_is_changed_before_somebody_approves(home: House) -> None:
    """The run shows its plan, who asked and what to send; the approval lets it on and is kept with it."""
    data = protected()
    plan = home.plan(data)
    home.forget_requests()
    change = ChangeInput(request=request(data), origin=Origin(by="ann (run 7)", link="http://ci.test/7"))
    run = home.run(home.engine.apply(change))
    home.until_parked(run, APPROVAL)

    assert attributes(home, run) == (True, APPROVAL)
    details = home.details(run)
    assert "[ann (run 7)](http://ci.test/7)" in details
    assert f'"fingerprint": "{plan.fingerprint()}"' in details
    assert "+ create vpc.main" in details
    assert "<details>" not in details, "what is to be approved is seen without a click"
    shown = home.run(approvals.waiting(run))
    assert shown is not None
    assert shown.proposal.fingerprint == plan.fingerprint()
    assert not home.requests(mutating=True)

    record = approve(home, run, "ben", reason="looks right", fingerprint=plan.fingerprint())

    output = home.result(run)
    assert output.counts == plan.counts()
    assert output.approval == record == kept(home, run)
    assert (record.decision, record.by, record.reason) == ("approved", "ben", "looks right")
    assert record.fingerprint == output.fingerprint == plan.fingerprint()
    assert attributes(home, run) == (False, None)
    assert home.apply(data).approval is None, "nothing to change: nobody is asked"


def test_reject(home: House) -> None:
    """The run ends as rejected, with whose word and why; nothing was changed."""
    run = waiting(home, protected())
    home.forget_requests()

    record = reject(home, run)

    code, message = home.failure(run)
    assert code == "rejected"
    assert "rejected by ben at" in message
    assert "not today" in message
    assert kept(home, run) == record
    assert not home.requests(mutating=True)
    assert attributes(home, run) == (False, None)


def test_nobody_says_anything(home: House) -> None:
    """When the time is over, the run is rejected and says so."""
    engine = skipping_engine(home)
    run = home.run(engine.apply(ChangeInput(request=request(protected(timeout="2d")))))

    code, message = home.failure(run)

    assert code == "rejected"
    assert "timed out" in message
    record = kept(home, run)
    assert (record.decision, record.by) == ("timed out", "")
    assert not home.requests(mutating=True)


def test_what_was_not_seen_is_not_approved(home: House) -> None:
    """A world that moves meanwhile makes approvals void until they are of what is shown now."""
    data = protected()
    run = waiting(home, data)
    first = home.plan(data).fingerprint()
    vpc = hand_made_vpc(home, data)

    assert f"is not what was shown ({first})" in refused(home, run)
    assert "The last approval did not count" in home.details(run)
    assert "conflict vpc.main" in home.details(run)
    assert f"not {first}" in refused(home, run, fingerprint=first)
    assert "needs the fingerprint of what is shown now" in refused(home, run)
    shown = home.run(approvals.waiting(run))
    assert shown
    now = shown.proposal.fingerprint
    assert "conflicts stand in the way: vpc.main" in refused(home, run, fingerprint=now)
    assert attributes(home, run) == (True, APPROVAL)

    home.api.request("DELETE", f"/vpc/v2/regions/fr-par/vpcs/{vpc}")
    assert "is not what was shown" in refused(home, run, fingerprint=now)
    approve(home, run, fingerprint=first)
    assert home.result(run).counts == {"keep": 0, "create": len(keys(data))}


def test_words_that_do_not_count(home: House) -> None:
    """Whoever sends too little, or may not, is told so, and the run goes on waiting."""
    data = protected(others_only=True)
    run = home.run(home.engine.apply(ChangeInput(request=request(data), origin=Origin(by="ann@laptop"))))
    home.until_parked(run, APPROVAL)

    assert "needs to know who you are" in refused(home, run, " ")
    assert "somebody else has to approve it" in refused(home, run, "ann")
    assert "not 0000" in refused(home, run, fingerprint="0000")
    with pytest.raises(ApprovalRefused, match="needs a reason"):
        reject(home, run, " ")
    assert attributes(home, run) == (True, APPROVAL)

    approve(home, run)
    home.result(run)


def test_approval_of_nothing(home: House) -> None:
    """Where nothing waits, or it is decided already, there is nothing to approve; a parked step is another matter."""
    home.fault(NETWORKS, kind="quota_exceeded")
    for data in (small(), protected()):
        run = home.begin(data)
        if "approval" in data:
            home.until_parked(run, APPROVAL)
            approve(home, run)
        home.until_parked(run, NETWORK)
        expected = "nothing left to decide: approved by ben" if "approval" in data else "nothing waits for approval"
        assert expected in refused(home, run)
        home.run(home.engine.abort(run, AbortInput(reason="end of the test")))
        assert home.failure(run)[0] == "aborted"


def test_two_words_at_once(home: House) -> None:
    """Of two approvals one counts, and none of what only the other one has seen; a rejection counts meanwhile."""

    async def both(run: Run[Any]) -> list[Any]:
        words = (approvals.approve(run, name) for name in ("ben", "cem"))
        return await asyncio.gather(*words, return_exceptions=True)

    data = protected()
    run = waiting(home, data)
    hand_made_vpc(home, data)
    later, first = sorted(str(word) for word in home.run(both(run)))
    assert "is not what was shown" in first
    assert "look at it, and approve that" in later
    reject(home, run)

    run = waiting(home, protected())
    words = home.run(both(run))
    assert sorted(type(word).__name__ for word in words) == ["ApprovalRecord", "ApprovalRefused"]
    home.result(run)

    run = waiting(home, protected())
    home.fault(VPCS, kind="slow", seconds=1.5)
    home.forget_requests()

    async def crossed() -> Any:
        word = asyncio.ensure_future(approvals.approve(run, "ben"))
        # The plan is being made once more as soon as its activity is under way.
        while not (await run.handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.05)
        await approvals.reject(run, "cem", "wait")
        return (await asyncio.gather(word, return_exceptions=True))[0]

    late = home.run(crossed())
    assert isinstance(late, ApprovalRefused), late
    assert "rejected by cem" in late.message
    assert home.failure(run)[0] == "rejected"
    assert not home.requests(mutating=True)


def test_a_look_that_fails_decides_nothing(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever approves while the API is away is told so, and approves once more when it is back; by another worker."""
    monkeypatch.setattr("activities.boundary._PATIENCE_OF_A_LOOK", 0.5)
    run = waiting(home, protected())
    with home.working_instead(SCW_API_URL="http://127.0.0.1:9"):
        assert "cannot be found out what would be done now" in refused(home, run)
        assert attributes(home, run) == (True, APPROVAL)
    approve(home, run)
    home.result(run)


def test_cancelled_while_it_waits(home: House) -> None:
    """Nobody is asked any more."""
    run = waiting(home, protected())
    home.run(run.cancel())
    assert home.failure(run)[0] == "cancelled"
    assert attributes(home, run) == (False, None)


def test_destroy_waits_too(home: House) -> None:
    """What goes is shown before it goes."""
    data = protected()
    run = waiting(home, data)
    approve(home, run)
    home.result(run)

    run = waiting(home, data, destroy=True, allow_destroy=("*",))
    assert "this destroy of" in home.details(run)
    assert "- delete vpc.main" in home.details(run)
    assert home.resources()
    approve(home, run)
    assert home.result(run).approval is not None
    assert not home.resources()


# -- releases ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def built(home: House) -> Iterator[FleetHouse]:
    """A house of two nodes."""
    with ExitStack() as stack:
        yield stack.enter_context(fleet_house(home, Fleet(("n1", "n2"))))


def test_a_deploy_waits_after_its_preflight(home: House, built: FleetHouse) -> None:
    """Nodes are looked at and not touched, until somebody approves; the record says who did."""
    run = built.begin(approval=Approval())
    home.until_parked(run, APPROVAL)
    assert built.fleet.calls == [f"facts {NEW}"]
    details = home.details(run)
    assert f"deploy of `{NEW[:9]}` a change" in details
    assert "[tests](http://ci.test/1)" in details
    assert "- n1: out of the pool while they change" in details

    record = approve(home, run, "ben", reason="go")

    released = home.run(run.result())
    assert (released.result, released.approval) == ("released", record)
    assert kept(home, run) == record
    assert built.fleet.currents() == [NEW, NEW]


def test_a_rejected_deploy(home: House, built: FleetHouse) -> None:
    """Nothing was touched, and the record says whose word it was."""
    run = built.begin(approval=Approval())
    home.until_parked(run, APPROVAL)
    rejected = reject(home, run)

    assert home.failure(run)[0] == "rejected"
    record = home.run(record_of(run))
    assert record is not None
    assert (record.result, record.approval) == ("failed", rejected)
    assert "rejected by ben" in record.reason
    assert built.fleet.currents() == [OLD, OLD]
    assert not [call for call in built.fleet.calls if not call.startswith("facts")]


def test_a_deploy_that_must_not_begin_any_more(home: House, built: FleetHouse) -> None:
    """A freeze that comes while it waits stops it; once that is lifted, the approval counts."""
    run = built.begin(approval=Approval())
    home.until_parked(run, APPROVAL)
    built.fleet.freeze = FreezeFacts(by="ann", reason="sale", since=0.0)
    assert "it cannot be approved as things are: frozen by ann" in refused(home, run)
    assert "must not begin" in home.details(run)
    built.fleet.freeze = None
    approve(home, run)
    assert home.run(run.result()).result == "released"


def test_a_cancelled_deploy(home: House, built: FleetHouse) -> None:
    """It ends while it waits, and its record says that nothing was touched."""
    run: Run[Any] = built.begin(approval=Approval())
    home.until_parked(run, APPROVAL)
    home.run(run.cancel())
    home.failure(run)
    record = home.run(record_of(run))
    assert record is not None
    assert "cancelled before any node was touched" in record.reason
    assert attributes(home, run) == (False, None)


def test_a_rollback_never_waits(home: House, built: FleetHouse) -> None:
    """It is an emergency."""
    home.run(built.begin().result())
    assert home.run(built.begin_rollback(approval=Approval()).result()).result == "released"
    assert built.fleet.currents() == [OLD, OLD]
