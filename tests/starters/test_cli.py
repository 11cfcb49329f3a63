"""The command line against a real Temporal server, a worker and a local Scaleway: what it says and how it ends."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from blueprint.plan_markdown import LONGEST_COMMENT, plan_markdown
from blueprint.planner import make_plan
from blueprint.resource import Observed, Resource
from starters.child import HOST, free_port
from starters.cli.exits import Exit
from tests.starters.shell import NETWORK, NETWORKS, Shell
from tests.workflows.house import UI, keys, request

BROKEN = sorted((Path(__file__).parents[1] / "blueprint" / "broken").glob("*.yaml"))


# -- done, pending, refused ------------------------------------------------------------------------------------


def test_the_whole_life(shell: Shell) -> None:
    """Plan, apply, again, status, drift, destroy: what each prints for people and how it ends."""
    number = len(keys(shell.data))
    plan = shell("plan", "test")
    assert plan.code == Exit.DONE
    assert f"Plan: {number} to create. Fingerprint" in plan.out
    assert "vpc.main" in plan.out
    assert shell("plan", "test", "--detailed-exitcode").code == Exit.CHANGES

    applied = shell("apply", "test", "--yes")
    assert applied.code == Exit.DONE
    assert f"Done: {number} created" in applied.out
    assert f"Started: {UI}/namespaces/default/workflows/environment%2F" in applied.err
    assert "create vpc.main" in applied.err

    again = shell("apply", "test", "--yes")
    assert (again.code, again.err) == (Exit.DONE, "")
    assert f"No changes: {number} resources are as declared." in again.out
    assert shell("plan", "test", "--detailed-exitcode").code == Exit.DONE
    assert f"vpc-{shell.data['org']}-test" in shell("status", "test").out
    assert shell("drift", "test", "--detailed-exitcode").code == Exit.DONE

    network = shell.home.resources()["vpc.private_networks"][0]["id"]
    shell.home.api.request("PATCH", f"/vpc/v2/regions/fr-par/private-networks/{network}", {"tags": []})
    drifted = shell("drift", "test", "--detailed-exitcode")
    assert drifted.code == Exit.CHANGES
    assert "private_network.core" in drifted.out
    shell.home.api.request("DELETE", "/_emulator/requests")

    assert shell("apply", "test", "--yes", "--adopt", "private_network.*").code == Exit.DONE
    assert shell("destroy", "test", "--yes").code == Exit.DONE
    assert not shell.home.resources()
    assert "Nothing of ours exists." in shell("plan", "test", "--destroy").out


def test_for_programs(shell: Shell) -> None:
    """Every command prints one JSON document, errors included, and nothing else on standard output."""
    plan = shell("plan", "test", output="json").json
    assert plan["schema_version"].startswith("1.")
    assert {change["key"] for change in plan["changes"]} == keys(shell.data)
    applied = shell("apply", "test", "--fingerprint", plan["fingerprint"], output="json").json
    assert applied["counts"]["create"] == len(plan["changes"])
    assert applied["fingerprint"] == plan["fingerprint"]
    assert shell("apply", "test", "--yes", output="json").json["counts"] == {"keep": len(plan["changes"])}
    assert shell("validate", "test", output="json").json["valid"] is True
    assert {item["key"] for item in shell("status", "test", output="json").json["objects"]} >= {"vpc.main"}
    assert shell("drift", "test", output="json").json["changes"] == []
    assert shell("schema", output="json").json["title"].startswith("Environment")
    refused = shell("retry", "test", output="json")
    assert refused.code == Exit.FAILED
    assert refused.json["error"]["code"] == "nothing_runs"


def test_a_plan_out_of_date(shell: Shell) -> None:
    """Somebody changes the world after the plan: code 5, and not one request that writes."""
    fingerprint = shell("plan", "test", output="json").json["fingerprint"]
    body = {"name": f"vpc-{shell.data['org']}-test", "tags": []}
    shell.home.api.request("POST", "/vpc/v2/regions/fr-par/vpcs", body)
    shell.home.forget_requests()

    refused = shell("apply", "test", "--fingerprint", fingerprint)

    assert refused.code == Exit.OUT_OF_DATE
    assert fingerprint in refused.err
    assert "look at a new plan" in refused.err
    assert not shell.home.requests(mutating=True)
    conflict = shell("apply", "test", "--yes")
    assert conflict.code == Exit.FAILED
    assert "conflicts stand in the way: vpc.main" in conflict.err


def test_protected_objects_are_named(shell: Shell) -> None:
    """Destroy says which objects would stay and how each is let go, and removes nothing."""
    shell.write(secrets={"token": {"generate": 32}})
    assert shell("apply", "test", "--yes").code == Exit.DONE
    shell.home.forget_requests()

    refused = shell("destroy", "test", "--yes")

    assert refused.code == Exit.FAILED
    assert "--allow-destroy secret.token" in refused.err
    assert not shell.home.requests(mutating=True)
    assert shell("destroy", "test", "--yes", "--allow-destroy", "secret.token").code == Exit.DONE
    assert not shell.home.resources()


# -- waiting for a person, waiting for a turn ------------------------------------------------------------------


def test_parked_and_steered(shell: Shell) -> None:
    """Code 4 with what happened and what to do; then retry, skip and abort decide."""
    shell.home.fault(NETWORKS, kind="quota_exceeded")
    waiting = shell("apply", "test", "--yes")
    assert waiting.code == Exit.OPERATOR
    for told in (NETWORK, "quota(s) exceeded", "retry", "skip", "abort", UI):
        assert told in waiting.err
    assert shell("watch", "test").code == Exit.OPERATOR

    busy = shell("apply", "test", "--yes")
    assert busy.code == Exit.BUSY
    for told in ("apply runs since", "started by", f"{UI}/namespaces/", "--wait"):
        assert told in busy.err
    assert "A change is running" in shell("status", "test").out

    refused = shell("skip", "test", "create vpc.main", "--reason", "x")
    assert refused.code == Exit.FAILED
    assert "'create vpc.main' is not parked" in refused.err
    assert shell("retry", "test").out == f"Decided about: {NETWORK}\n"
    assert shell("watch", "test").code == Exit.OPERATOR
    shell.home.mend()
    assert shell("retry", "test").code == Exit.DONE
    assert shell("watch", "test").code == Exit.DONE


def test_aborted(shell: Shell) -> None:
    """The run that an operator ends has failed, with his reason; whoever watches is told."""
    shell.home.fault(NETWORKS, kind="quota_exceeded")
    assert shell("apply", "test", "--yes").code == Exit.OPERATOR
    run = shell.home.run(shell.home.engine.current(request(shell.data).target))
    assert run is not None
    assert shell("abort", "test", "--reason", "wrong day").code == Exit.DONE
    assert shell.home.failure(run) == ("aborted", "ended by an operator: wrong day")
    nothing = shell("cancel", "test")
    assert nothing.code == Exit.FAILED
    assert "no change is running" in nothing.err


def test_wait(shell: Shell) -> None:
    """With --wait the second apply begins when the first has ended, with a plan of the world as it is then."""
    shell.home.fault(NETWORKS, kind="quota_exceeded", count=1)
    assert shell("apply", "test", "--yes").code == Exit.OPERATOR
    second = shell.process("apply", "test", "--yes", "--wait")
    assert second.stderr
    assert "Waiting: apply runs, started by" in second.stderr.readline()

    assert shell("retry", "test").code == Exit.DONE

    out, err = second.communicate(timeout=60)
    assert (second.returncode, "Traceback" in err) == (Exit.DONE, False), err
    assert "No changes" in out


def test_interrupted(shell: Shell) -> None:
    """Ctrl-C stops watching, not the run: code 130, and where to look; the run comes to its end."""
    shell.home.fault(NETWORKS, kind="slow", seconds=4.0)
    watching = shell.process("apply", "test", "--yes")
    assert watching.stderr
    started = watching.stderr.readline()
    assert started.startswith(f"Started: {UI}")
    run = shell.home.run(shell.home.engine.current(request(shell.data).target))
    assert run is not None
    shell.home.until(run, lambda states: states.get(NETWORK) == "running")

    watching.send_signal(signal.SIGINT)

    out, err = watching.communicate(timeout=30)
    assert watching.returncode == Exit.INTERRUPTED, err
    assert f"The run goes on: {run.link}" in err
    assert "scaleway-infra watch test" in err
    assert "Traceback" not in out + err
    assert shell("watch", "test").code == Exit.DONE
    assert not shell.home.plan(shell.data).changes


def test_detached(shell: Shell) -> None:
    """--detach starts and leaves; cancel stops what was started, and another apply goes on from there."""
    shell.home.fault(NETWORKS, kind="slow", seconds=2.0)
    started = shell("apply", "test", "--yes", "--detach")
    assert started.code == Exit.DONE
    run = shell.home.run(shell.home.engine.current(request(shell.data).target))
    assert run is not None
    shell.home.until(run, lambda states: states.get(NETWORK) == "running")
    assert shell("cancel", "test").code == Exit.DONE
    assert shell.home.failure(run)[0] == "cancelled"
    shell.home.mend()
    assert shell("apply", "test", "--yes").code == Exit.DONE


# -- wrong input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["plan"],
        ["plan", "test", "--no-such-option"],
        ["apply", "test"],  # nobody to ask
        ["apply", "test", "--confirm", "prod"],
        ["apply", "test", "--yes", "--confirm", "prod"],
        ["runs", "test", "--most", "0"],
        ["--output", "xml", "plan", "test"],
    ],
)
def test_usage(shell: Shell, arguments: list[str]) -> None:
    """Code 64, a sentence that says what would be right, and nothing on standard output but the plan."""
    said = shell(*arguments)
    assert said.code == Exit.USAGE
    assert "Error" in said.err
    assert not shell.home.requests(mutating=True)


def test_production_is_confirmed_by_name(shell: Shell) -> None:
    """--yes alone is not enough for a production environment; its name is."""
    shell.write(production=True)
    refused = shell("apply", "test", "--yes")
    assert refused.code == Exit.USAGE
    assert "--confirm test" in refused.err
    assert not shell.home.requests(mutating=True)
    assert shell("apply", "test", "--confirm", "test").code == Exit.DONE


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_files(shell: Shell, path: Path) -> None:
    """Each ends with code 1 and the error that its first line tells, and reaches nobody."""
    expected = path.read_text().splitlines()[0].removeprefix("# error: ")
    shell.home.forget_requests()
    said = shell("plan", str(path))
    assert said.code == Exit.FAILED
    assert expected in " ".join(said.err.split()) or expected in said.err
    assert not shell.home.requests()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"- 1", b"", b"\x00", b"a: &a [*a]"])
def test_files_that_are_none(shell: Shell, tmp_path: Path, content: bytes) -> None:
    """Not YAML, not text, not a mapping, nothing at all."""
    (tmp_path / "odd.yaml").write_bytes(content)
    said = shell("validate", "odd")
    assert said.code == Exit.FAILED
    assert said.err.startswith("Error: ")
    missing = shell("validate", "nowhere")
    assert missing.code == Exit.FAILED
    assert "nowhere" in missing.err


# -- what is not there -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [["plan", "test"], ["apply", "test", "--yes"], ["status", "test"], ["retry", "test"]]
)
def test_temporal_is_away(shell: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """Within seconds: where nobody answers, and how to start it."""
    address = f"{HOST}:{free_port()}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    began = time.monotonic()
    said = shell(*command)
    assert said.code == Exit.FAILED
    assert f"no Temporal at {address}" in said.err
    assert "scaleway-infra dev" in said.err
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("TEMPORAL_ADDRESS", "not an address", "not an address"),
        ("TEMPORAL_NAMESPACE", "no-such-namespace", "no-such-namespace"),
        ("TEMPORAL_PROFILE", "no-such-profile", "no-such-profile"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere/cert.pem", "/nowhere/cert.pem"),
    ],
)
def test_wrong_settings_of_temporal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, words: str
) -> None:
    """A message with the way out, whatever is wrong with them."""
    monkeypatch.setenv(setting, value)
    said = shell("plan", "test")
    assert said.code == Exit.FAILED
    assert words in said.err


@pytest.mark.parametrize(
    "command",
    [
        ["cancel", "test"],
        ["approve", "test"],
        ["watch", "test"],
        ["runs", "show", "shop-test"],
        ["unfreeze", "test"],
        ["worker", "versions"],
    ],
    ids=" ".join,
)
def test_without_its_namespace_nothing_is_said_to_be_absent(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """That no change is running would be a guess about a namespace that is misspelt."""
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "no-such-namespace")
    said = shell(*command)
    assert said.code == Exit.FAILED
    assert "no-such-namespace" in said.err


def test_no_worker(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that nobody makes does not wait for ever."""
    monkeypatch.setattr("starters.engine.TASK_QUEUE", "nobody-listens")
    monkeypatch.setattr("starters.engine.Engine.__init__.__defaults__", ("nobody-listens",))
    monkeypatch.setattr("starters.cli.watch.SILENT_FOR", 0.2)
    said = shell("plan", "test")
    assert said.code == Exit.FAILED
    assert "no worker listens on 'nobody-listens'" in said.err
    assert "python -m worker" in said.err


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("SCW_API_URL", "http://127.0.0.1:9", "check SCW_API_URL"),
        ("SCW_DEFAULT_PROJECT_ID", "99999999-9999-4999-8999-999999999999", "SCW_DEFAULT_PROJECT_ID"),
    ],
)
def test_a_worker_that_cannot_reach_scaleway(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, words: str
) -> None:
    """API away, another's project: code 1, what to check, nothing changed."""
    monkeypatch.setattr("activities.boundary._PATIENCE_OF_A_LOOK", 0.5)
    with shell.home.working_instead(**{setting: value}):
        said = shell("apply", "test", "--yes")
    assert said.code == Exit.FAILED
    assert words in said.err
    assert not shell.home.requests(mutating=True)


def test_without_terminal_and_input(shell: Shell) -> None:
    """As a process of its own: the same codes, plain text, no traceback, whatever the interpreter's end does."""
    for arguments, code in ((["plan", "test", "--detailed-exitcode"], 2), (["apply", "test"], 64), (["--help"], 0)):
        process = shell.process(*arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert "Traceback" not in out + err
        assert not re.search(r"\x1b\[", out + err)


# -- for a pull request ----------------------------------------------------------------------------------------


def test_markdown(shell: Shell) -> None:
    """Counts, fingerprint and a folded diff."""
    said = shell("plan", "test", "--markdown")
    assert said.code == Exit.DONE
    assert f"### Plan for `{shell.data['org']}-test`" in said.out
    assert "+ create vpc.main" in said.out
    assert "<details>" in said.out


def test_markdown_of_thousands_of_changes() -> None:
    """Three thousand changes with long values fit a comment, and it says how many it leaves out."""
    number = 3000
    resources = [
        Resource(key=f"lb.{n:04d}", kind="lb", name=f"lb-{n:04d}", fields={"x": f"``` {n} " * 30})
        for n in range(number)
    ]
    objects = [Observed(kind="lb", name=item.name, id=item.key, fields={"x": "old"}) for item in resources[::2]]
    plan = make_plan("a-b", resources, objects)
    text = plan_markdown(plan)
    assert len(text) < LONGEST_COMMENT
    assert text.count("```") == 2
    shown = len(re.findall(r"^[+!] (?:create|update) lb\.", text, re.MULTILINE))
    assert f"{number - shown} more changes" in text
    assert 100 < shown < number


def test_the_documented_codes() -> None:
    """They are an interface: numbers and meanings stay."""
    assert {code.name: int(code) for code in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "CHANGES": 2,
        "OPERATOR": 4,
        "OUT_OF_DATE": 5,
        "BUSY": 11,
        "USAGE": 64,
        "INTERRUPTED": 130,
    }
