"""Runs at the command line: found by what they wait for, shown, and steered by their ids."""

from __future__ import annotations

import pytest

from starters.cli.exits import Exit
from starters.engine import Run
from tests.starters.shell import NETWORK, NETWORKS, Shell
from tests.workflows.house import UI, request
from workflows.messages import ChangeOutput

SECRETS = "POST /secret-manager/v1beta1/regions/{region}/secrets"


@pytest.fixture
def shell(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """That of a CI job."""
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "ann",
        "GITHUB_RUN_ID": "7",
        "GITHUB_SERVER_URL": "https://ci.test",
        "GITHUB_REPOSITORY": "shop/infra",
    }.items():
        monkeypatch.setenv(name, value)
    shell.write(secrets={"one": {"generate": 32}, "two": {"generate": 32}})
    return shell


def test_found_and_steered(shell: Shell) -> None:
    """What waits is listed, with who and where from; what the run's page says is shown; a word ends the waiting."""
    name = request(shell.data).target.environment
    shell.home.fault(NETWORKS, SECRETS, kind="quota_exceeded")
    assert shell("apply", "test", "--yes").code == Exit.OPERATOR

    listed = shell("runs", "test", "--waiting", output="json")
    [found] = listed.json
    assert (found["operation"], found["environment"], found["status"]) == ("apply", name, "waiting")
    assert found["started_by"] == "ann (run 7)"
    assert found["origin"] == "https://ci.test/shop/infra/actions/runs/7"
    assert found["link"].startswith(f"{UI}/namespaces/default/workflows/environment%2F{name}/")
    assert found["id"] in shell("runs").out

    run = found["id"]
    for known in (run, found["run_id"]):
        shown = shell("runs", "show", known)
        for told in (NETWORK, "quota(s) exceeded", "## Waiting for an operator", f"runs retry {run}", found["origin"]):
            assert told in shown.out
    assert "--step 'create " in shown.out, "which one is skipped has to be said, for there are several"
    unclear = shell("runs", "skip", run)
    assert unclear.code == Exit.FAILED
    assert "several steps are parked: say which one" in unclear.err
    assert shell("runs", "skip", run, "--step", "create secret.one").out == "Decided about: create secret.one\n"
    shell.home.mend()
    assert NETWORK in shell("runs", "retry", run).out
    shell.home.run(shell.home.engine.run(run, found["run_id"]).result())

    assert shell("runs", "test", "--waiting").out == "No run waits for a person.\n"
    over = shell("runs", "abort", run)
    assert over.code == Exit.FAILED
    assert "the run has ended: there is nothing to decide any more" in over.err
    [done] = shell("runs", "test", output="json").json
    assert (done["status"], done["waits_for"]) == ("completed", "")


def test_aborted_without_a_reason(shell: Shell) -> None:
    """Nothing but the id is needed."""
    shell.home.fault(NETWORKS, kind="quota_exceeded")
    assert shell("apply", "test", "--yes").code == Exit.OPERATOR
    [found] = shell("runs", "test", "--waiting", output="json").json
    assert shell("runs", "abort", found["id"]).code == Exit.DONE
    run: Run[ChangeOutput] = shell.home.engine.run(found["id"], found["run_id"])
    assert shell.home.failure(run) == ("aborted", "ended by an operator: no reason given")


def test_unknown(shell: Shell) -> None:
    """An id that nobody knows is said to be so."""
    for unknown in ("environment/nobody-test", "00000000-0000-0000-0000-000000000000"):
        said = shell("runs", "show", unknown)
        assert said.code == Exit.FAILED
        assert f"{unknown}: there is no such run" in said.err
