"""Histories of runs that wait for approval, for `record.py`."""

from __future__ import annotations

from typing import Any

from blueprint.approval import APPROVAL
from blueprint.environment.approval import Approval
from starters import approvals
from starters.approvals import ApprovalRefused
from starters.engine import Run
from tests.workflows.fleet import Fleet, fleet_house
from tests.workflows.house import House, request
from tests.workflows.test_apply import hand_made_vpc
from tests.workflows.vault_house import skipping_engine
from workflows.messages import ChangeInput

DATA: dict[str, Any] = {
    "org": "lssm",
    "env": "test",
    "network": {"cidr": "10.0.0.0/24"},
    "security_groups": {},
    "approval": {"timeout": "2h"},
}


def record_approvals(home: House) -> dict[str, Run[Any]]:
    """Approved at the second try, rejected, timed out; and a deploy that was approved."""
    runs: dict[str, Run[Any]] = {}

    run = runs["apply_rejected"] = waiting(home)
    home.run(approvals.reject(run, "recorder", "recorded"))
    home.failure(run)

    engine = skipping_engine(home, identity="recorder")
    run = runs["apply_timed_out"] = home.run(engine.apply(ChangeInput(request=request(DATA))))
    home.failure(run)

    run = runs["apply_approved"] = waiting(home)
    vpc = hand_made_vpc(home, DATA)
    for _ in range(2):
        try:
            home.run(approvals.approve(run, "recorder"))
        except ApprovalRefused:
            home.api.request("DELETE", f"/vpc/v2/regions/fr-par/vpcs/{vpc}")
    home.run(approvals.approve(run, "recorder", "recorded"))
    home.result(run)

    run = runs["destroy_approved"] = waiting(home, destroy=True, allow_destroy=("*",))
    home.run(approvals.approve(run, "recorder"))
    home.result(run)

    with fleet_house(home, Fleet(("node-01", "node-02"))) as house:
        run = runs["deploy_approved"] = house.begin(approval=Approval())
        home.until_parked(run, APPROVAL)
        home.run(approvals.approve(run, "recorder", "recorded"))
        home.run(run.result())
        run = runs["deploy_rejected"] = house.begin("c" * 40, approval=Approval())
        home.until_parked(run, APPROVAL)
        home.run(approvals.reject(run, "recorder", "recorded"))
        home.failure(run)
    return runs


def waiting(home: House, **wishes: Any) -> Run[Any]:
    """A run that waits for approval."""
    run = home.begin(DATA, **wishes)
    home.until_parked(run, APPROVAL)
    return run
