"""The server: who may call, what it does not know, and what it keeps."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import KEY, Api, running

VPCS = "/vpc/v2/regions/fr-par/vpcs"
LBS = "/lb/v1/zones/fr-par-1/lbs"
SECRETS = "/secret-manager/v1beta1/regions/fr-par/secrets"
NOBODY = "99999999-9999-4999-8999-999999999999"


@pytest.mark.parametrize("token", ["", "not-a-uuid"])
def test_a_key_is_needed(api: Api, token: str) -> None:
    """401 without a key, and for one that cannot be a key."""
    response = requests.get(api.url + VPCS, headers={"X-Auth-Token": token}, timeout=10)
    assert response.status_code == 401
    assert response.json() == {
        "message": "authentication is denied",
        "method": "api_key",
        "reason": "not_found",
        "type": "denied_authentication",
    }


def test_a_project_that_does_not_exist_is_denied(api: Api) -> None:
    """403 on lists and on changes."""
    for method, body, query in (
        ("POST", {"name": "a", "project_id": NOBODY}, None),
        ("GET", None, {"project_id": NOBODY}),
    ):
        status, answer = api.request(method, VPCS, body, query)
        assert (status, answer["type"]) == (403, "permissions_denied")
        assert answer["details"][0]["action"] == ("write" if method == "POST" else "read")
    assert api.request("POST", VPCS, {"name": "a", "project_id": DEFAULT_PROJECT})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing/v1/things", 404), ("GET", "/vpc/v2/regions/fr-par/nothing", 501), ("PUT", VPCS, 501)],
)
def test_unknown_operations_do_not_look_like_missing_objects(api: Api, method: str, path: str, status: int) -> None:
    """A client that deletes would take a 404 not_found for success."""
    found, answer = api.request(method, path)
    assert found == status
    assert answer.get("type") != "not_found"


@pytest.mark.parametrize("body", [b"{", b"[]", b"text", b"\xff"])
def test_bodies_that_are_no_json_objects_are_refused(api: Api, body: bytes) -> None:
    """400, and nothing is made of them."""
    response = api.session.post(api.url + VPCS, data=body, headers={"Content-Type": "application/json"}, timeout=10)
    assert (response.status_code, response.json()["type"]) == (400, "invalid_arguments")


def test_the_sdk_s_way_of_asking_is_understood(api: Api) -> None:
    """GET and DELETE carry `{}` without a content type, booleans come capitalised."""
    secret = api.request("POST", SECRETS, {"name": "s", "project_id": DEFAULT_PROJECT})[1]
    response = api.session.get(api.url + SECRETS, params={"scheduled_for_deletion": False}, data="{}", timeout=10)
    assert [found["id"] for found in response.json()["secrets"]] == [secret["id"]]
    assert api.session.delete(f"{api.url}{SECRETS}/{secret['id']}", data="{}", timeout=10).status_code == 204
    response = api.session.get(api.url + SECRETS, params={"scheduled_for_deletion": "True"}, timeout=10)
    assert [found["id"] for found in response.json()["secrets"]] == [secret["id"]]


def test_requests_are_counted_by_operation(api: Api) -> None:
    """Templates, not paths, so that counts do not grow with objects."""
    for _ in range(3):
        api.request("GET", VPCS)
    api.request("POST", VPCS, {"name": "a"})
    api.request("GET", f"{VPCS}/{NOBODY}")
    seen = api.request("GET", "/_emulator/requests", query={"last": 2})[1]
    assert seen["operations"] == {
        "GET /vpc/v2/regions/{region}/vpcs": 3,
        "POST /vpc/v2/regions/{region}/vpcs": 1,
        "GET /vpc/v2/regions/{region}/vpcs/{vpc_id}": 1,
    }
    assert (seen["total"], seen["mutating"]) == (5, 1)
    assert [(entry["status"], entry["mutating"]) for entry in seen["requests"]] == [(200, True), (404, False)]
    assert api.request("DELETE", "/_emulator/requests")[0] == 204
    assert api.request("GET", "/_emulator/requests")[1]["total"] == 0


def test_resources_are_what_was_made_and_not_what_was_there(api: Api) -> None:
    """An empty world shows nothing, so that leftovers stand out."""
    assert api.request("GET", "/_emulator/resources")[1] == {}
    vpc = api.request("POST", VPCS, {"name": "mine", "tags": ["env=prod"]})[1]
    kinds = api.request("GET", "/_emulator/resources")[1]
    assert kinds["vpc.vpcs"]["count"] == 1
    assert kinds["vpc.vpcs"]["items"][0] == {
        "id": vpc["id"],
        "name": "mine",
        "tags": ["env=prod"],
        "project_id": DEFAULT_PROJECT,
        "status": None,
    }
    everything = api.request("GET", "/_emulator/resources", query={"all": "true"})[1]
    assert everything["account.projects"]["items"][0]["default"] is True
    assert api.request("POST", "/_emulator/reset")[0] == 204
    assert api.request("GET", "/_emulator/resources")[1] == {}


def test_a_snapshot_brings_everything_back(api: Api) -> None:
    """And what came later is gone."""
    vpc = api.request("POST", VPCS, {"name": "kept"})[1]
    snapshot = api.request("GET", "/_emulator/snapshot")[1]
    api.request("DELETE", f"{VPCS}/{vpc['id']}")
    api.request("POST", VPCS, {"name": "later"})
    assert api.request("PUT", "/_emulator/snapshot", snapshot)[0] == 204
    assert [item["name"] for item in api.request("GET", "/_emulator/resources")[1]["vpc.vpcs"]["items"]] == ["kept"]
    assert api.request("PUT", "/_emulator/snapshot", {"tables": {}})[0] == 400


def test_latency_is_scaleway_s_times_the_factor(api: Api) -> None:
    """Listing projects takes 1,058 ms at the median."""
    assert api.request("PUT", "/_emulator/latency", {"factor": -1})[0] == 400
    assert api.request("PUT", "/_emulator/latency", {"factor": 0.5})[1] == {"factor": 0.5}
    started = time.monotonic()
    api.request("GET", "/account/v3/projects")
    took = time.monotonic() - started
    assert 1.058 * 0.5 * 0.9 <= took < 1.058 * 0.5 * 1.1 + 0.5


def test_permissions_on_a_new_project_come_and_go() -> None:
    """403 in between, also after a first success (Scaleway latencies, section 2)."""
    with running(latency=0.1, seed=1) as api:
        answers = []
        for _ in range(5):
            project = api.request("POST", "/account/v3/projects", {"name": "new"})[1]["id"]
            document = api.world.find("account.projects", project)
            assert document is not None
            while api.world.now() < document["_flaps_until"]:
                answers.append(api.request("GET", VPCS, query={"project_id": project})[0])
            assert api.request("GET", VPCS, query={"project_id": project})[0] == 200
    assert set(answers) == {200, 403}
    assert re.search("200.*403", " ".join(map(str, answers))), "a success does not prove that it stays"


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    """With what exists, in its order, and with what is under way."""
    state = tmp_path / "state.db"
    with running(latency=1.0, state=state) as api:
        api.request("PUT", "/_emulator/latency", {"factor": 0.2})
        names = [api.request("POST", VPCS, {"name": f"vpc-{number}"})[1]["name"] for number in range(5)]
        gone = api.request("POST", VPCS, {"name": "gone"})[1]["id"]
        api.request("DELETE", f"{VPCS}/{gone}")
        api.request("PUT", "/_emulator/latency", {"factor": 1.0})
        balancer = api.request("POST", LBS, {"name": "lb", "description": "", "type": "LB-S"})[1]
        assert balancer["status"] == "to_create"
    with running(state=state) as api:
        listed = api.request("GET", VPCS, query={"order_by": "created_at_asc"})[1]["vpcs"]
        assert [vpc["name"] for vpc in listed if not vpc["is_default"]] == names
        found = api.request("GET", "/_emulator/resources")[1]
        assert "account.projects" not in found
        assert api.request("GET", f"{LBS}/{balancer['id']}")[1]["status"] != "ready"
        deadline = time.monotonic() + 30
        while api.request("GET", f"{LBS}/{balancer['id']}")[1]["status"] != "ready":
            assert time.monotonic() < deadline, "the transition did not survive the restart"
            time.sleep(0.1)


def test_ten_thousand_objects(tmp_path: Path) -> None:
    """A call costs milliseconds, with the state on disk."""
    with running(state=tmp_path / "state.db") as api:
        for number in range(9_900):
            api.world.put("vpc.vpcs", {"id": str(number), "name": f"vpc-{number}", "region": "nl-ams", "tags": []})
        started = time.monotonic()
        for _ in range(100):
            assert api.request("POST", VPCS, {"name": "one more"})[0] == 200
            assert api.request("GET", VPCS, query={"page": 2})[0] == 200
        assert time.monotonic() - started < 10, "200 calls took more than 50 ms each"
        assert api.request("GET", "/_emulator/resources")[1]["vpc.vpcs"]["count"] >= 10_000


def command(*options: str) -> subprocess.Popen[str]:
    """The program itself."""
    return subprocess.Popen(
        [sys.executable, "-m", "emulator", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_prints_where_it_listens_and_stops_when_told(number: signal.Signals) -> None:
    """The environment that it prints is enough to call it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = command("--port", str(port))
    try:
        assert program.stdout is not None
        printed: dict[str, Any] = {}
        for line in iter(program.stdout.readline, ""):
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                printed[name] = value
            if "SCALEWAY_INFRA_COCKPIT_URL" in printed:
                break
        assert printed["SCW_API_URL"] == f"http://127.0.0.1:{port}"
        assert re.fullmatch(r"SCW[A-Z0-9]{17}", printed["SCW_ACCESS_KEY"])
        assert requests.get(
            f"{printed['SCW_API_URL']}{VPCS}", headers={"X-Auth-Token": printed["SCW_SECRET_KEY"]}, timeout=10
        ).ok
        endpoints = requests.get(f"{printed['SCW_API_URL']}/_emulator/endpoints", timeout=10).json()
        assert endpoints["environment"] == printed
        assert set(endpoints) == {"api", "s3", "sqs", "generative", "dns", "cockpit", "environment"}
        program.send_signal(number)
        assert program.wait(10) == 0
        assert program.stderr is not None
        assert program.stderr.read() == ""
    finally:
        program.kill()
        program.communicate()


def test_what_it_cannot_use_is_said_in_one_line(tmp_path: Path) -> None:
    """A taken port, a file that is no state file."""
    bad = tmp_path / "state.db"
    bad.write_text("not a database, but long enough to be read as one" * 20)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options in (["--port", port], ["--port", "0", "--state", str(bad)]):
            program = command(*options)
            out, err = program.communicate(timeout=20)
            assert (program.returncode, out) == (1, "")
            assert err.startswith("emulator: ")
            assert err.count("\n") == 1


def test_the_owner_s_key_is_any_well_formed_one(api: Api) -> None:
    """Nobody has to register a key first."""
    assert api.session.headers["X-Auth-Token"] == KEY
    assert api.request("GET", "/account/v3/projects")[0] == 200
