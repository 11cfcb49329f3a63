"""Record the histories that `test_replay.py` replays.

    python -m tests.workflows.record [changes] [releases] [backups] [approvals] [health]

Needed when workflow code changes what it asks Temporal for, and then only once no run of the code before is under way
anywhere: a worker with the new code could not go on with it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from blueprint.contract import InventoryInput
from blueprint.release.contract import MigrationPlan
from starters.engine import Run
from starters.releases import freeze, unfreeze
from starters.temporal_server import TemporalServer
from tests.workflows.fleet import Fleet, fleet_house
from tests.workflows.house import House, house, request
from tests.workflows.record_approvals import record_approvals
from tests.workflows.record_backups import record_backups
from tests.workflows.record_health import record_health
from workflows.identity import freeze_id
from workflows.messages import AbortInput, ChangeOutput, SkipInput

HISTORIES = Path(__file__).parent / "histories"
NETWORK = "create private_network.core"
NETWORKS = "POST /vpc/v2/regions/{region}/private-networks"
DATA = {
    "org": "lssm",
    "env": "replay",
    "network": {"cidr": "10.0.0.0/24"},
    "security_groups": {},
    "secrets": {"token": {"generate": 32}, "other": {"generate": 32}},
    "buckets": {"shop/files": {}},
}


def record(home: House) -> dict[str, Run[Any]]:
    """Runs of every type, with everything that an operator can decide."""
    runs: dict[str, Run[Any]] = {}

    home.fault(NETWORKS, kind="quota_exceeded")
    runs["apply_cancelled_while_parked"] = parked(home)
    home.run(runs["apply_cancelled_while_parked"].cancel())
    home.failure(runs["apply_cancelled_while_parked"])

    runs["apply_aborted"] = parked(home)
    home.run(home.engine.abort(runs["apply_aborted"], AbortInput(reason="recorded")))
    home.failure(runs["apply_aborted"])

    home.mend()
    home.fault(NETWORKS, kind="slow", seconds=2.0)
    runs["apply_cancelled"] = home.begin(DATA)
    home.until(runs["apply_cancelled"], lambda states: states.get(NETWORK) == "running")
    home.run(runs["apply_cancelled"].cancel())
    home.failure(runs["apply_cancelled"])

    home.api.request("POST", "/_emulator/reset")
    home.fault(NETWORKS, "POST /secret-manager/*/secrets", kind="quota_exceeded")
    secrets = ("create secret.other", "create secret.token")
    run = runs["apply_skipped_and_retried"] = parked(home, *secrets)
    home.run(home.engine.skip(run, SkipInput(step=secrets[0], reason="recorded")))
    home.until_parked(run, NETWORK, secrets[1])
    home.mend()
    home.run(home.engine.retry(run))
    home.result(run)

    target = request(DATA).target
    runs["plan"] = last(home, "plan", lambda: home.plan(DATA))
    runs["drift"] = last(home, "drift", lambda: home.run(home.engine.drift(request(DATA))))
    inventory = InventoryInput(target=target, environment=DATA)
    runs["status"] = last(home, "status", lambda: home.run(home.engine.status(inventory)))
    runs["apply_changes"] = home.begin(DATA | {"secrets": {"token": {"generate": 32}}})
    home.result(runs["apply_changes"])
    runs["destroy"] = home.begin(DATA, destroy=True, allow_destroy=("*",))
    home.result(runs["destroy"])
    return runs


def record_releases(home: House) -> dict[str, Run[Any]]:
    """Deploys and rollbacks of a fleet, and what only looks at one."""
    runs: dict[str, Run[Any]] = {}
    fleet = Fleet(("node-01", "node-02"), url="https://api.test/", migrate={})
    fleet.pending = MigrationPlan(pending=("002_more",), irreversible=("002_more",))
    with fleet_house(home, fleet) as house:
        runs["deploy"] = house.begin()
        home.run(runs["deploy"].result())
        runs["rollback"] = house.begin_rollback(force=True)
        home.run(runs["rollback"].result())
        house.run(house.engine.releases(house.request()))
        runs["releases"] = newest(home, "releases", house.fleet.site.target.environment)

        # The release is marked as bad by the rollback, and this time a person is asked twice on the way back.
        fleet.wrong |= {"watch node-01": "unhealthy", "switch node-01 aaa": "ssh_unreachable"}
        run = runs["deploy_rolled_back"] = house.begin(force=True)
        home.until_parked(run, "back past 002_more")
        house.run(house.engine.retry(run))
        home.until_parked(run, "back: node-01")
        house.run(house.engine.skip(run, SkipInput(step="back: node-01", reason="recorded")))
        home.failure(run)

        fleet.wrong.clear()
        fleet.nodes["node-01"].pooled = True
        fleet.slow.add("drain node-02")
        run = runs["deploy_cancelled"] = house.begin("c" * 40)
        home.until(run, lambda states: states.get("drain node-02") == "running")
        home.run(run.cancel())
        home.until_parked(run, "back past 002_more")
        home.run(house.engine.retry(run))
        home.failure(run)

        target = house.fleet.site.target
        home.run(freeze(house.engine, target, "recorded", hours=1))
        home.run(unfreeze(house.engine, target))
        handle = home.client.get_workflow_handle(freeze_id(target.environment))
        runs["freeze"] = Run(handle, "")
        home.failure(runs["freeze"])
    return runs


def parked(home: House, *besides: str) -> Run[ChangeOutput]:
    """An apply that waits for an operator."""
    run = home.begin(DATA)
    home.until_parked(run, NETWORK, *besides)
    return run


def last(home: House, operation: str, look: Any) -> Run[Any]:
    """The run that a look was."""
    look()
    return newest(home, operation, "lssm-replay")


def newest(home: House, operation: str, environment: str) -> Run[Any]:
    """The newest run of an operation."""

    async def found() -> Run[Any]:
        query = f"Operation = '{operation}' AND Environment = '{environment}'"
        async for execution in home.client.list_workflows(query):
            return Run(home.client.get_workflow_handle(execution.id, run_id=execution.run_id), "")
        raise LookupError(operation)

    return home.run(found())


def without_traces(value: Any) -> Any:
    """A history without stack traces: they name folders of the machine that recorded them."""
    if isinstance(value, dict):
        return {key: without_traces(child) for key, child in value.items() if key != "stackTrace"}
    return [without_traces(child) for child in value] if isinstance(value, list) else value


def write(home: House, runs: dict[str, Run[Any]]) -> None:
    """Write the histories of these runs into the folder beside this file."""
    for name, run in runs.items():
        history = json.loads(home.run(run.handle.fetch_history()).to_json())
        (HISTORIES / f"{name}.json").write_text(json.dumps(without_traces(history), indent=1) + "\n")
        sys.stdout.write(f"{name}: {len(history['events'])} events\n")


def main() -> None:
    """Replace the histories: all, or those of the parts that are named as arguments."""
    os.environ.update(GITHUB_ACTIONS="true", GITHUB_ACTOR="recorder", GITHUB_RUN_ID="1")
    HISTORIES.mkdir(exist_ok=True)
    with (
        TemporalServer(None, 0, None, time_skipping=True) as temporal,
        house(temporal.address, identity="recorder") as home,
        home.working(),
    ):
        for name in sys.argv[1:] or PARTS:
            write(home, PARTS[name](home))


PARTS = {
    "changes": record,
    "releases": record_releases,
    "backups": record_backups,
    "approvals": record_approvals,
    "health": record_health,
}


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Temporal's client now and then crashes the interpreter's own exit (temporalio issue 300).
    os._exit(0)
