"""A step that no retry cures waits for a person: what everybody sees of it, and what each choice does."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from starters.engine import Run
from tests.workflows.house import House, keys, small
from workflows.identity import BLOCKED_STEP, NEEDS_OPERATOR
from workflows.messages import AbortInput, ChangeOutput, Decided, SkipInput

NETWORK = "create private_network.core"
NETWORKS = "POST /vpc/v2/regions/{region}/private-networks"
BUCKET = "create bucket.shop-test-files"
SECRETS = "POST /secret-manager/v1beta1/regions/{region}/secrets"
FILES: dict[str, object] = {"shop/files": {}}


def attributes(home: House, run: Run[ChangeOutput]) -> tuple[bool | None, str | None]:
    """What the server knows of a run, worker or no worker: does it need a person, and which step waits."""
    found = home.run(run.handle.describe()).typed_search_attributes
    return found.get(NEEDS_OPERATOR), found.get(BLOCKED_STEP)


def refusal(home: House, run: Run[Any], update: str, *data: object) -> str:
    """Why an update is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        home.run(run.handle.execute_update(update, args=list(data)))
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause.message


def test_it_shows_and_the_rest_goes_on(home: House) -> None:
    """The parked step is in the search attributes and in the details; what does not need it is done meanwhile."""
    home.fault(NETWORKS, kind="quota_exceeded")
    run = home.begin(small(secrets={"token": {"generate": 32}}, buckets=FILES))
    home.until_parked(run, NETWORK)

    states = home.states(run)
    assert states.pop(NETWORK) == "parked"
    assert states.pop("create gateway_network.main") == "waiting"
    assert set(states.values()) == {"done"}
    assert attributes(home, run) == (True, NETWORK)
    trouble = next(step.trouble for step in home.progress(run).parked)
    assert "quota(s) exceeded" in trouble
    details = home.details(run)
    assert "Waiting for an operator" in details
    assert f"**`{NETWORK}`**: {trouble}" in details
    assert "Now" not in details
    assert "create gateway_network.main" in details
    for choice in ("retry", "skip", "abort"):
        assert f"| `{choice}` | none" in details, "none of them needs data"
    assert f"in a terminal: `scaleway-infra runs retry {run.handle.id}`, and so on." in details
    home.run(home.engine.abort(run, AbortInput(reason="end of the test")))
    home.failure(run)


def test_retry_after_mending(home: House) -> None:
    """A retry before the cause is gone parks again; one after it succeeds, and nothing is left of the trouble."""
    data = small()
    home.fault(NETWORKS, kind="quota_exceeded", count=2)
    run = home.begin(data)
    home.until_parked(run, NETWORK)
    home.run(home.engine.retry(run))
    home.until(run, lambda states: home.requests().count(NETWORKS) == 2 and states[NETWORK] == "parked")
    assert f"**`{NETWORK}`**" in home.details(run)

    decided = home.run(home.engine.retry(run))

    assert decided.steps == (NETWORK,)
    assert home.result(run).counts == {"keep": 0, "create": len(keys(data))}
    assert attributes(home, run) == (False, None)
    assert len(home.resources()["vpc.private_networks"]) == 1
    assert not home.plan(data).changes


def test_skip(home: House) -> None:
    """A skipped step counts as done; the run succeeds and says so, and the next plan shows what is missing."""
    data = small(secrets={"token": {"generate": 32}})
    step = "create secret.token"
    home.fault(SECRETS, kind="quota_exceeded")
    run = home.begin(data)
    home.until_parked(run, step)

    home.run(home.engine.skip(run, SkipInput(step=step, reason="another day")))

    output = home.result(run)
    assert output.skipped == (step,)
    assert output.outputs["secret.token"] == {}
    home.mend()
    assert [change.key for change in home.plan(data).changes] == ["secret.token"]
    assert "another day" in home.history(run.handle)


def test_no_word_needs_data(home: House) -> None:
    """From the UI a decision is a click: a skip is of the only parked step, an abort without a reason says so."""
    data = small(secrets={"token": {"generate": 32}})
    step = "create secret.token"
    home.fault(SECRETS, kind="quota_exceeded")
    run = home.begin(data)
    home.until_parked(run, step)
    decided = home.run(run.handle.execute_update("skip", result_type=Decided))
    assert decided.steps == (step,)
    assert home.result(run).skipped == (step,)
    assert f"Skipped by an operator: `{step}`" in home.details(run)

    run = home.begin(data)
    home.until_parked(run, step)
    home.run(run.handle.execute_update("abort"))
    assert home.failure(run) == ("aborted", "ended by an operator: no reason given")
    assert "ended by an operator" in home.details(run)


def test_who_needs_a_skipped_step_is_told(home: House) -> None:
    """A step that refers to what a skipped one would have made parks too, and says whose output it lacks."""
    home.fault("POST /vpc/v2/regions/{region}/vpcs", kind="quota_exceeded")
    run = home.begin(small())
    home.until_parked(run, "create vpc.main")

    home.run(home.engine.skip(run, SkipInput(step="create vpc.main", reason="try")))

    home.until_parked(run, NETWORK, "create vpc_acl.main")
    for step in home.progress(run).parked:
        assert "needs 'id' of vpc.main, which is not known" in step.trouble
    home.run(home.engine.abort(run, AbortInput(reason="that was not it")))
    assert home.failure(run)[0] == "aborted"


def test_no_seal_over_a_skipped_step(home: House) -> None:
    """The seal vouches for all buckets: with one of them skipped it is not made, so the next plan reads them."""
    data = small(buckets={**FILES, "shop/logs": {}})
    home.fault("S3 CreateBucket", kind="quota_exceeded", count=1)
    run = home.begin(data)
    home.until(run, lambda states: "parked" in states.values() and "running" not in states.values())
    step = home.progress(run).parked[0].id
    home.run(home.engine.skip(run, SkipInput(step=step, reason="later")))

    assert home.result(run).skipped == (step,)
    assert not any(tag.startswith("seal") for tag in home.resources()["vpc.vpcs"][0]["tags"])
    home.apply(data)
    assert len(home.resources()["s3.buckets"]) == 2
    assert any(tag.startswith("seal-buckets=") for tag in home.resources()["vpc.vpcs"][0]["tags"])


def test_abort(home: House) -> None:
    """The run fails with the code `aborted` and the reason; steps that had not begun never do."""
    home.fault("POST /vpc/v2/regions/{region}/vpcs", kind="quota_exceeded")
    run = home.begin(small())
    home.until_parked(run, "create vpc.main")
    home.forget_requests()

    home.run(home.engine.abort(run, AbortInput(reason="wrong day")))

    code, message = home.failure(run)
    assert (code, message) == ("aborted", "ended by an operator: wrong day")
    assert not home.requests(mutating=True)
    assert attributes(home, run) == (False, None)
    states = home.states(run)
    assert {states["create vpc.main"], states[NETWORK]} == {"dropped"}


def test_an_abort_is_seen_while_what_runs_ends(home: House) -> None:
    """Until then the run's page says that nothing else begins, and at its end how it went."""
    home.api.request(
        "PUT",
        "/_emulator/faults",
        {
            "faults": [
                {"operation": SECRETS, "kind": "quota_exceeded", "count": None},
                {"operation": NETWORKS, "kind": "slow", "seconds": 2.0},
            ]
        },
    )
    run = home.begin(small(secrets={"token": {"generate": 32}}))
    home.until(run, lambda states: "parked" in states.values() and states[NETWORK] == "running")

    home.run(home.engine.abort(run, AbortInput(reason="wrong day")))

    details = home.details(run)
    assert "**An operator ends it**: wrong day." in details
    assert "Waiting for an operator" not in details
    assert home.failure(run)[0] == "aborted"
    assert "An operator ends it" not in home.details(run)


def test_decisions_about_nothing_are_refused(home: House) -> None:
    """Each update is refused while nothing is parked, for a step that is not, and for data that is not its own."""
    home.fault(NETWORKS, kind="slow", seconds=1.0, count=1)
    run = home.begin(small())
    home.until(run, lambda states: states.get(NETWORK) == "running")
    for update, data in (("retry", ()), ("skip", ({"step": NETWORK, "reason": "x"},)), ("abort", ({"reason": "x"},))):
        assert refusal(home, run, update, *data) == "no step is parked: there is nothing to decide"
    home.result(run)

    home.fault(NETWORKS, kind="quota_exceeded")
    run = home.begin(small())
    home.until_parked(run, NETWORK)
    assert "'create vpc.main' is not parked; parked: 'create private_network.core'" in refusal(
        home, run, "skip", {"step": "create vpc.main", "reason": "x"}
    )
    assert "Failed decoding arguments" in refusal(home, run, "skip", {"step": NETWORK, "reason": "x", "force": True})
    assert "Failed decoding arguments" in refusal(home, run, "abort", "now")
    assert home.states(run)[NETWORK] == "parked"
    home.run(home.engine.abort(run, AbortInput(reason="end of the test")))
    home.failure(run)


def test_several_at_once(home: House) -> None:
    """Steps park side by side; one is skipped while the other stays, and a retry is for all that are left."""
    data = small(secrets={"one": {"generate": 32}, "two": {"generate": 32}, "three": {"generate": 32}})
    steps = [f"create secret.{name}" for name in ("one", "three", "two")]
    home.fault(SECRETS, kind="quota_exceeded")
    run = home.begin(data)
    home.until_parked(run, *steps)

    refused = refusal(home, run, "skip")
    # Whichever parked first is the example.
    example = re.match(r'several steps are parked: say which one, {"step": "(.*?)", "reason": "\.\.\."}', refused)
    assert example
    assert example[1] in steps
    assert all(f"'{step}'" in refused for step in steps)
    home.run(home.engine.skip(run, SkipInput(step=steps[0], reason="not needed")))
    home.until_parked(run, *steps[1:])
    assert attributes(home, run)[0] is True
    assert f"**`{steps[0]}`**" not in home.details(run)
    assert f"- skipped: `{steps[0]}`" in home.details(run)
    home.mend()
    assert set(home.run(home.engine.retry(run)).steps) == set(steps[1:])

    assert home.result(run).skipped == (steps[0],)
    assert sorted(item["name"] for item in home.resources()["secret.secrets"]) == ["three", "two"]


def test_a_cancelled_run_does_not_wait_for_decisions(home: House) -> None:
    """Cancelling a run that waits for an operator ends it, and nobody is asked any more."""
    home.fault(NETWORKS, kind="quota_exceeded")
    run = home.begin(small())
    home.until_parked(run, NETWORK)
    started = time.monotonic()

    home.run(run.cancel())

    assert home.failure(run)[0] == "cancelled"
    assert time.monotonic() - started < 20
    assert attributes(home, run) == (False, None)
