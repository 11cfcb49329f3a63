"""Faults on demand: before and after the commit, and in what was set in motion."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.emulator.conftest import Api

VPCS = "/vpc/v2/regions/fr-par/vpcs"
LBS = "/lb/v1/zones/fr-par-1/lbs"
CREATE = "POST /vpc/v2/regions/{region}/vpcs"


def put(api: Api, **fault: Any) -> None:
    """Set this one fault."""
    status, answer = api.request("PUT", "/_emulator/faults", {"faults": [fault]})
    assert status == 200, answer


def names(api: Api) -> list[str]:
    """The VPCs that were made."""
    return sorted(vpc["name"] for vpc in api.request("GET", VPCS)[1]["vpcs"] if not vpc["is_default"])


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("unavailable", 503, {"message": "upstream request timeout"}),
        ("internal_error", 500, {"message": "Internal error"}),
        ("throttled", 429, None),
        ("quota_exceeded", 403, "quotas_exceeded"),
        ("out_of_stock", 503, "out_of_stock"),
    ],
)
def test_refused_before_anything_happens(api: Api, kind: str, status: int, body: Any) -> None:
    """These kinds answer in place of the call: nothing is there afterwards."""
    put(api, operation=CREATE, kind=kind)
    response = api.session.post(api.url + VPCS, json={"name": "a"}, timeout=10)
    assert response.status_code == status
    answer: Any = response.json() if response.content else None
    assert (answer["type"] if isinstance(body, str) else answer) == body
    assert (response.headers.get("X-Envoy-Ratelimited") == "true") is (kind == "throttled")
    assert names(api) == []
    assert api.request("POST", VPCS, {"name": "b"})[0] == 200, "a fault strikes once unless told"
    entry = next(e for e in api.request("GET", "/_emulator/requests")[1]["requests"] if e["method"] == "POST")
    assert (entry["fault"], entry["status"]) == (kind, status)


@pytest.mark.parametrize(("kind", "left"), [("reset", []), ("response_lost", ["a"])])
def test_a_cut_connection_leaves_open_what_happened(api: Api, kind: str, left: list[str]) -> None:
    """The client sees the same; only a look at the world tells the two apart."""
    put(api, operation=CREATE, kind=kind)
    with pytest.raises(requests.exceptions.ConnectionError):
        api.session.post(api.url + VPCS, json={"name": "a"}, timeout=10)
    assert names(api) == left


def test_a_lost_response_can_come_as_a_status(api: Api) -> None:
    """The gateway gives up at 30 s with a 503 although the call went through."""
    put(api, operation=CREATE, kind="response_lost", status=503)
    assert api.request("POST", VPCS, {"name": "a"})[0] == 503
    assert names(api) == ["a"]


@pytest.mark.parametrize(
    ("operation", "strikes"),
    [
        ("*", [True, True, True]),
        ("mutating", [True, False, True]),
        ("POST *", [True, False, False]),
        ("* /vpc/v2/regions/{region}/vpcs/{vpc_id}", [False, False, True]),
        ("DELETE /vpc/v2/regions/fr-par/vpcs/*", [False, False, True]),
        ("GET /lb/*", [False, False, False]),
    ],
)
def test_operations_are_named_by_template_path_or_glob(api: Api, operation: str, strikes: list[bool]) -> None:
    """As in the request log, or as sent."""
    vpc = api.request("POST", VPCS, {"name": "a"})[1]
    put(api, operation=operation, kind="unavailable", count=None)
    calls = [("POST", VPCS), ("GET", VPCS), ("DELETE", f"{VPCS}/{vpc['id']}")]
    assert [api.request(method, path, {})[0] == 503 for method, path in calls] == strikes


def test_skip_and_count_choose_which_calls_are_struck(api: Api) -> None:
    """What a sweep over every mutating call needs."""
    put(api, operation="mutating", kind="throttled", skip=2, count=2)
    statuses = []
    for number in range(6):
        statuses.append(api.request("POST", VPCS, {"name": f"vpc-{number}"})[0])
        api.request("GET", VPCS)
    assert statuses == [200, 200, 429, 429, 200, 200]
    shown = api.request("GET", "/_emulator/faults")[1]["faults"][0]
    assert (shown["seen"], shown["fired"]) == (6, 2)
    assert api.request("DELETE", "/_emulator/faults")[0] == 204
    assert api.request("GET", "/_emulator/faults")[1] == {"faults": []}


def test_slow_takes_its_time(api: Api) -> None:
    """In real seconds, whatever the latency factor."""
    put(api, operation="GET *", kind="slow", seconds=0.4)
    started = time.monotonic()
    assert api.request("GET", VPCS)[0] == 200
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(("kind", "status"), [("stuck", "to_create"), ("error_state", "error")])
def test_what_was_set_in_motion_hangs_or_fails(api: Api, kind: str, status: str) -> None:
    """Only the object of the call that was struck is affected."""
    put(api, operation="POST /lb/*/lbs", kind=kind)
    body = {"name": "lb", "description": "", "type": "LB-S"}
    first = api.request("POST", LBS, body)[1]["id"]
    second = api.request("POST", LBS, body)[1]["id"]
    for _ in range(3):
        assert api.request("GET", f"{LBS}/{first}")[1]["status"] == status
    assert api.request("GET", f"{LBS}/{second}")[1]["status"] == "ready"


def test_faults_survive_neither_a_new_set_nor_a_reset(api: Api) -> None:
    """A test starts from none."""
    put(api, operation="*", kind="unavailable", count=None)
    put(api, operation="GET /lb/*", kind="unavailable")
    assert api.request("GET", VPCS)[0] == 200
    put(api, operation="*", kind="unavailable", count=None)
    api.request("POST", "/_emulator/reset")
    assert api.request("GET", VPCS)[0] == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "meteor"},
        {"kind": "reset", "counts": 2},
        {"kind": "reset", "count": "2"},
        {"kind": "slow", "seconds": "long"},
        "reset",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(api: Api, fault: Any) -> None:
    """A misspelt fault must not pass for one that never struck."""
    status, answer = api.request("PUT", "/_emulator/faults", {"faults": [fault]})
    assert (status, answer["type"]) == (400, "invalid_arguments")
    assert answer["details"][0]["argument_name"].startswith("faults[0]")
