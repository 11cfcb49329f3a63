"""Apply and destroy, from plan to proof: what runs is what was approved, and the world is as the file says after it."""

from __future__ import annotations

import pytest

from starters.engine import Run
from tests.workflows.house import House, keys, small
from workflows.messages import ChangeOutput

VPCS = "/vpc/v2/regions/fr-par/vpcs"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks give up after a second, not after fifteen."""
    monkeypatch.setattr("activities.boundary._PATIENCE_OF_A_LOOK", 1.0)


def hand_made_vpc(home: House, data: dict[str, object], **more: object) -> str:
    """A VPC under our name that somebody made by hand; its id."""
    body = {"name": f"vpc-{data['org']}-test", "tags": [], **more}
    status, made = home.api.request("POST", VPCS, body)
    assert status == 200, made
    return str(made["id"])


def test_created_changed_and_removed(home: House) -> None:
    """The whole life of an environment; a second apply writes nothing, and destroy leaves nothing of ours."""
    data = small(secrets={"token": {"generate": 32}}, buckets={"shop/files": {"versioning": True}})
    number = len(keys(data))
    assert home.apply(data).counts == {"keep": 0, "create": number}
    home.forget_requests()
    assert home.apply(data).counts == {"keep": number}
    assert not home.requests(mutating=True)

    rule = {"action": "drop", "protocol": "tcp", "source": "10.0.0.9/32", "ports": 22}
    data = {**data, "buckets": {}, "network": {"cidr": "10.0.0.0/24", "acl": {"rules": [rule]}}}
    output = home.apply(data)
    # The schedule looks for drift from the file, so a changed file is a changed schedule.
    assert output.counts == {"keep": number - 4, "held": 1, "update": 2, "delete": 1}
    assert output.held == ("bucket.shop-test-files",)

    home.destroy(data)
    assert not home.resources()
    assert not home.plan(data, destroy=True, allow_destroy=("*",)).changes


def test_the_plan_that_was_approved(home: House) -> None:
    """With its fingerprint an apply does the plan, however often it was made anew in between."""
    data = small()
    plan = home.plan(data)

    assert plan.fingerprint() == home.plan(data).fingerprint()
    output = home.result(home.begin(data, plan.fingerprint()))

    assert output.fingerprint == plan.fingerprint()
    assert output.counts == plan.counts()


def test_a_plan_out_of_date(home: House) -> None:
    """Somebody changes the world between plan and apply: the apply refuses and writes nothing."""
    data = small()
    plan = home.plan(data)
    hand_made_vpc(home, data)
    home.forget_requests()

    code, message = home.failure(home.begin(data, plan.fingerprint()))

    assert code == "plan_out_of_date"
    assert plan.fingerprint() in message
    assert not home.requests(mutating=True)


def test_what_is_not_ours_stays(home: House) -> None:
    """An object under our name without our tag is a conflict, until it is adopted; destroy does not touch it before."""
    data = small()
    vpc = hand_made_vpc(home, data)
    home.forget_requests()
    code, message = home.failure(home.begin(data))
    assert code == "conflict"
    assert "vpc.main: exists, but was not made by us" in message
    home.destroy(data)
    assert [item["id"] for item in home.resources()["vpc.vpcs"]] == [vpc]
    assert [call for call in home.requests(mutating=True) if call != f"POST {VPCS}"] == []

    assert home.apply(data, adopt=("vpc.*",)).counts == {
        "keep": 1,
        "adopt": 1,
        "create": len(keys(data)) - 2,
    }

    assert [item["id"] for item in home.resources()["vpc.vpcs"]] == [vpc]
    assert "managed-by=scaleway-infra" in home.resources()["vpc.vpcs"][0]["tags"]
    assert not home.plan(data).changes


def test_destroy_keeps_what_is_protected(home: House) -> None:
    """Each protected object is refused by name, and while one is, nothing is removed."""
    data = small(secrets={"token": {"generate": 32}}, buckets={"shop/files": {}})
    home.apply(data)
    home.forget_requests()

    code, message = home.failure(home.begin(data, destroy=True, allow_destroy=("bucket.*",)))

    assert code == "protected"
    assert "secret.token" in message
    assert "bucket." not in message
    assert not home.requests(mutating=True)


def test_protection_outlives_the_file(home: House) -> None:
    """A bucket whose block is gone from the file is held by its tag; the file's word lets it go."""
    data = small(buckets={"shop/files": {}})
    home.apply(data)
    data["buckets"] = {}

    assert home.apply(data).held == ("bucket.shop-test-files",)
    assert len(home.resources()["s3.buckets"]) == 1
    home.apply({**data, "allow_destroy": ["bucket.shop-test-files"]})
    assert "s3.buckets" not in home.resources()


@pytest.mark.parametrize("kind", ["response_lost", "unavailable", "throttled", "reset"])
def test_calls_that_go_wrong_once(home: House, kind: str) -> None:
    """Whatever happens to the first attempt of every call, all is there once at the end, and nobody was asked."""
    data = small(secrets={"token": {"generate": 32}})
    vpc, secret = "/vpc/v2/regions/{region}", "/secret-manager/v1beta1/regions/{region}/secrets"
    creates = (f"POST {vpc}/vpcs", f"POST {vpc}/private-networks", f"PUT {vpc}/vpcs/{{vpc_id}}/acl-rules")
    home.fault(*creates, f"POST {secret}", f"POST {secret}/{{secret_id}}/versions", kind=kind, count=1)

    output = home.apply(data)

    assert output.counts["create"] == len(keys(data))
    _, shown = home.api.request("GET", "/_emulator/faults")
    assert [fault["fired"] for fault in shown["faults"]] == [1] * 5
    found = {kind: len(items) for kind, items in home.resources().items()}
    assert [found[kind] for kind in ("secret.secrets", "vpc.acls", "vpc.private_networks", "vpc.vpcs")] == [1] * 4
    assert not home.plan(data).changes


def test_a_look_at_an_api_that_is_away(home: House, impatient: None) -> None:
    """A plan gives up and says what does not answer."""
    with home.working_instead(SCW_API_URL="http://127.0.0.1:9"):
        code, message = home.failure(home.begin(small()))
    assert code == "unavailable"
    assert "no answer from http://127.0.0.1:9" in message
    assert "check SCW_API_URL" in message


def deleted_key(home: House) -> str:
    """The secret half of an API key that exists no more."""
    project = home.api.world.tables["account.projects"]
    organization = next(iter(project.values()))["organization_id"]
    _, made = home.api.request("POST", "/iam/v1alpha1/applications", {"name": "a", "organization_id": organization})
    _, key = home.api.request("POST", "/iam/v1alpha1/api-keys", {"application_id": made["id"]})
    home.api.request("DELETE", f"/iam/v1alpha1/api-keys/{key['access_key']}")
    return str(key["secret_key"])


def test_a_key_that_exists_no_more(home: House) -> None:
    """The plan fails at once, names the settings to check, and nothing is changed."""
    secret_key = deleted_key(home)
    home.forget_requests()
    with home.working_instead(SCW_SECRET_KEY=secret_key):
        code, message = home.failure(home.begin(small()))
    assert code == "unauthenticated"
    assert "SCW_SECRET_KEY" in message
    assert secret_key not in message
    assert not home.requests(mutating=True)


def test_a_project_of_somebody_else(home: House, impatient: None) -> None:
    """The API says no more than 403: the message names both causes that this can have."""
    with home.working_instead(SCW_DEFAULT_PROJECT_ID="99999999-9999-4999-8999-999999999999"):
        code, message = home.failure(home.begin(small()))
    assert code == "permission_denied"
    assert "SCW_DEFAULT_PROJECT_ID" in message
    assert not home.requests(mutating=True)


def test_no_secret_in_any_history(
    home: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a value that the worker is given nor one that the engine makes is in a history or in a log."""
    planted = "planted-7c1f9a52-value"
    monkeypatch.setenv("PLANTED_SECRET", planted)
    data = small(
        secrets={"given": {"env": "PLANTED_SECRET"}, "made": {"generate": 48}},
        applications={"backend": {"api_key": True}},
        sqs={"queues": {"shop/orders": {}}},
    )
    home.fault(
        "POST /secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions", kind="internal_error", count=2
    )
    runs: list[Run[ChangeOutput]] = [home.begin(data)]
    home.result(runs[0])
    home.mend()
    values = home.secret_values()
    assert planted in values
    assert len(values) >= 4

    monkeypatch.setenv("PLANTED_SECRET", f"{planted}-changed")
    runs.append(home.begin(data))
    home.result(runs[1])
    values |= home.secret_values()
    runs.append(home.begin(data, destroy=True, allow_destroy=("*",)))
    home.result(runs[2])

    said = "".join(home.history(run.handle) for run in runs) + caplog.text
    assert "secret.given" in said, "the search reads the right text"
    assert [value for value in values if value in said] == []
