"""A protected environment at the command line: what waits, how that is said, and how it is let on."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from starters.cli.exits import Exit
from starters.engine import Running
from tests.starters.shell import Said, Shell
from tests.workflows.house import UI, keys, request


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """With a protected production environment."""
    shell.write(production=True, approval={})
    return shell


def running(shell: Shell) -> Running | None:
    """The change that is under way."""
    return shell.home.run(shell.home.engine.running(request(shell.data).target))


def until_free(shell: Shell) -> None:
    """Wait until no change is under way."""
    deadline = time.monotonic() + 30
    while running(shell):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def waits(said: Said) -> None:
    """It started, and told that it waits, for what, and how to go on."""
    assert said.code == Exit.OPERATOR
    assert f"Started: {UI}/namespaces/" in said.err
    assert "the apply waits until" in said.err
    assert "nothing is changed before" in said.err
    assert "`scaleway-infra approve test` or `reject test --reason ...`" in said.err
    assert said.err.count(UI) == 2


def test_apply_waits_and_is_approved(shell: Shell) -> None:
    """Nobody is asked by `apply`; `approve` shows the plan, wants its fingerprint, and the run goes on."""
    fingerprint = shell.home.plan(shell.data).fingerprint()
    waits(shell("apply", "test"))
    assert not shell.home.resources()
    assert shell("watch", "test").code == Exit.OPERATOR

    shown = shell("approve", "test")
    assert shown.code == Exit.USAGE
    assert "+ create vpc.main" in shown.out
    assert f"--fingerprint {fingerprint}" in shown.err
    other = shell("approve", "test", "--fingerprint", "0" * 16)
    assert other.code == Exit.FAILED
    assert f"what is shown now is {fingerprint}, not 0000000000000000" in other.err

    approved = shell("approve", "test", "--fingerprint", fingerprint, "--reason", "as discussed", output="json")
    assert approved.code == Exit.DONE
    assert (approved.json["decision"], approved.json["reason"]) == ("approved", "as discussed")
    assert "@" in approved.json["by"]
    until_free(shell)
    assert not shell.home.plan(shell.data).changes


def test_whoever_looks_says_yes_or_no(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the plan is shown and one word asked for; a no decides nothing."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    waits(shell("apply", "test"))
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    declined = shell("approve", "test")
    assert declined.code == Exit.FAILED
    assert "it still waits" in declined.err
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    approved = shell("approve", "test")
    assert approved.code == Exit.DONE
    assert "approved by" in approved.out
    until_free(shell)
    assert shell.home.resources()


def test_whoever_waits_sees_the_end(shell: Shell) -> None:
    """`--wait-for-approval` keeps following: to the work that was approved, or to the rejection."""
    for word, code in ((("reject", "test", "--reason", "not today"), Exit.FAILED), (("approve", "test"), Exit.DONE)):
        following = shell.process("apply", "test", "--wait-for-approval")
        try:
            fingerprint = until_waiting(shell)
            more = ("--fingerprint", fingerprint) if word[0] == "approve" else ()
            assert shell(*word, *more).code == Exit.DONE
            out, err = following.communicate(timeout=60)
        finally:
            following.kill()
        assert following.returncode == code, err
    assert f"Done: {len(keys(shell.data))} created" in out
    assert "approved by" in out


def until_waiting(shell: Shell) -> str:
    """The fingerprint of what waits, as soon as something does."""
    deadline = time.monotonic() + 30
    target: Any = request(shell.data).target
    while True:
        run = shell.home.run(shell.home.engine.current(target))
        waiting = shell.home.run(run.progress()).approval if run else None
        if waiting:
            return str(waiting.proposal.fingerprint)
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_reject(shell: Shell) -> None:
    """It ends the run, and its reason is kept; after it there is nothing to decide."""
    waits(shell("apply", "test"))
    assert shell("reject", "test").code == Exit.USAGE
    rejected = shell("reject", "test", "--reason", "not before the weekend")
    assert rejected.code == Exit.DONE
    assert "not before the weekend" in rejected.out
    until_free(shell)
    again = shell("reject", "test", "--reason", "again")
    assert again.code == Exit.FAILED
    assert "no change is running" in again.err
    assert not shell.home.resources()


def test_the_run_waits_whoever_confirms(shell: Shell) -> None:
    """Neither `--yes` nor `--confirm` is an approval, and where nothing waits for one, `approve` says so."""
    waits(shell("apply", "test", "--confirm", "test"))
    assert shell("reject", "test", "--reason", "x").code == Exit.DONE
    until_free(shell)
    waits(shell("apply", "test", "--yes"))
    assert shell("reject", "test", "--reason", "x").code == Exit.DONE
    until_free(shell)

    shell.data.pop("approval")
    shell.write(production=False)
    shell.home.fault("POST /vpc/v2/regions/{region}/vpcs", kind="quota_exceeded")
    assert shell("apply", "test", "--yes").code == Exit.OPERATOR
    refused = shell("approve", "test")
    assert refused.code == Exit.FAILED
    assert "does not wait for approval" in refused.err
    assert shell("abort", "test", "--reason", "end of the test").code == Exit.DONE
    until_free(shell)
