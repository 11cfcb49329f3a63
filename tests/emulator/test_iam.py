"""IAM: principals, what they may do, and keys whose secret is shown once."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
import requests
from scaleway import Client
from scaleway.iam.v1alpha1 import IamV1Alpha1API, RuleSpecs

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import KEY, Api, running

IAM = "/iam/v1alpha1"
VPCS = "/vpc/v2/regions/fr-par/vpcs"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILHy/M5FVm5ydLGcal3e5LNcfTalbeN7QL/ZGCvDEdqJ me@host\n"


def post(api: Api, path: str, **body: Any) -> Any:
    """What was made."""
    status, answer = api.request("POST", IAM + path, body)
    assert status == 200, answer
    return answer


def grant(api: Api, application_id: str, *names: str) -> Any:
    """A policy for the application over the default project."""
    rule = {"permission_set_names": list(names), "project_ids": [DEFAULT_PROJECT]}
    return post(api, "/policies", name="p", description="", application_id=application_id, rules=[rule])


def called(api: Api, secret: str, method: str, path: str = VPCS) -> int:
    """The status of a call with this secret."""
    return requests.request(method, api.url + path, headers={"X-Auth-Token": secret}, json={}, timeout=10).status_code


def test_the_secret_is_shown_once(api: Api) -> None:
    """Neither reads nor lists show it again."""
    application = post(api, "/applications", name="backend", description="")
    key = post(api, "/api-keys", application_id=application["id"], description="d")
    assert key["access_key"].startswith("SCW")
    assert len(key["access_key"]) == 20
    assert key["default_project_id"] == DEFAULT_PROJECT
    path = f"{IAM}/api-keys/{key['access_key']}"
    assert api.request("GET", path)[1] == {**key, "secret_key": None}
    assert api.request("PATCH", path, {"description": "new"})[1]["secret_key"] is None
    listed = api.request("GET", f"{IAM}/api-keys", query={"bearer_id": application["id"]})[1]
    assert [found["secret_key"] for found in listed["api_keys"]] == [None]
    assert key["secret_key"] not in str(api.request("GET", "/_emulator/resources", query={"all": "true"}))
    assert api.request("GET", f"{IAM}/applications/{application['id']}")[1]["nb_api_keys"] == 1


def test_a_key_may_do_what_its_application_s_policies_say(api: Api) -> None:
    """Nothing without a policy; 401 once the key is deleted."""
    application = post(api, "/applications", name="backend", description="")["id"]
    key = post(api, "/api-keys", application_id=application, description="")
    secret = key["secret_key"]
    assert (called(api, secret, "GET"), called(api, secret, "POST")) == (403, 403)
    reading = grant(api, application, "VPCReadOnly")
    assert (called(api, secret, "GET"), called(api, secret, "POST")) == (200, 403)
    rules = [{"permission_set_names": ["VPCFullAccess"], "project_ids": [DEFAULT_PROJECT]}]
    assert api.request("PUT", f"{IAM}/rules", {"policy_id": reading["id"], "rules": rules})[0] == 200
    assert (called(api, secret, "GET"), called(api, secret, "POST")) == (200, 200)
    assert called(api, secret, "GET", "/lb/v1/zones/fr-par-1/lbs") == 403
    api.request("DELETE", f"{IAM}/api-keys/{key['access_key']}")
    assert called(api, secret, "GET") == 401


def test_a_rule_reaches_as_far_as_its_scope(api: Api) -> None:
    """Not into another project, and not from the projects' resources into IAM."""
    other = api.request("POST", "/account/v3/projects", {"name": "other"})[1]["id"]
    application = post(api, "/applications", name="backend", description="")["id"]
    secret = post(api, "/api-keys", application_id=application, description="")["secret_key"]
    grant(api, application, "AllProductsFullAccess")
    assert called(api, secret, "GET", f"{VPCS}?project_id={DEFAULT_PROJECT}") == 200
    assert called(api, secret, "GET", f"{VPCS}?project_id={other}") == 403
    assert called(api, secret, "GET", f"{IAM}/applications") == 403
    organization = [{"permission_set_names": ["IAMReadOnly"], "organization_id": DEFAULT_PROJECT}]
    post(api, "/policies", name="i", description="", application_id=application, rules=organization)
    assert called(api, secret, "GET", f"{IAM}/applications") == 200


def test_an_application_takes_its_keys_along_and_leaves_its_policies(api: Api) -> None:
    """So that a key cannot outlive its owner, and a policy that is still there can be seen."""
    application = post(api, "/applications", name="backend", description="")["id"]
    key = post(api, "/api-keys", application_id=application, description="")
    policy = grant(api, application, "AllProductsFullAccess")["id"]
    assert api.request("DELETE", f"{IAM}/applications/{application}")[0] == 204
    assert called(api, key["secret_key"], "GET") == 401
    left = api.request("GET", f"{IAM}/policies/{policy}")[1]
    assert "application_id" not in left
    assert left["no_principal"] is True


def test_a_policy_counts_its_rules_from_the_second_look_on(api: Api) -> None:
    """The answer that creates it says 0, as recorded."""
    application = post(api, "/applications", name="backend", description="")["id"]
    rules = [
        {"permission_set_names": ["IAMManager"], "organization_id": DEFAULT_PROJECT},
        {"permission_set_names": ["VPCReadOnly", "RedisReadOnly"], "project_ids": [DEFAULT_PROJECT]},
    ]
    made = post(api, "/policies", name="p", description="", application_id=application, rules=rules)
    counts = ("nb_rules", "nb_scopes", "nb_permission_sets")
    assert [made[name] for name in counts] == [0, 0, 0]
    assert [api.request("GET", f"{IAM}/policies/{made['id']}")[1][name] for name in counts] == [2, 1, 3]
    shown = api.request("GET", f"{IAM}/rules", query={"policy_id": made["id"]})[1]["rules"]
    assert [rule["permission_sets_scope_type"] for rule in shown] == ["organization", "projects"]
    assert api.request("DELETE", f"{IAM}/policies/{made['id']}")[0] == 204
    assert api.request("GET", f"{IAM}/rules", query={"policy_id": made["id"]})[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/policies", {"name": "p", "rules": []}, 400),
        ("/policies", {"name": "p", "application_id": DEFAULT_PROJECT, "rules": []}, 404),
        ("/policies", {"name": "p", "no_principal": True, "application_id": DEFAULT_PROJECT, "rules": []}, 400),
        ("/policies", {"no_principal": True, "rules": [{"permission_set_names": ["Everything"]}]}, 404),
        ("/policies", {"no_principal": True, "rules": [{"permission_set_names": ["VPCReadOnly"]}]}, 400),
        ("/policies", {"no_principal": True, "rules": [{"project_ids": [DEFAULT_PROJECT]}]}, 400),
        ("/api-keys", {"application_id": DEFAULT_PROJECT}, 404),
        ("/api-keys", {"default_project_id": KEY}, 404),
        ("/api-keys", {"expires_at": "2020-01-01T00:00:00Z"}, 400),
        ("/api-keys", {"expires_at": "tomorrow"}, 400),
        ("/ssh-keys", {"name": "k", "public_key": "ssh-ed25519 AAAA"}, 400),
        ("/ssh-keys", {"name": "k", "public_key": PUBLIC_KEY.replace("ed25519", "rsa")}, 400),
    ],
)
def test_refused(api: Api, path: str, body: Any, status: int) -> None:
    """And nothing is made."""
    before = api.request("GET", "/_emulator/resources")[1]
    assert api.request("POST", IAM + path, body)[0] == status
    assert api.request("GET", "/_emulator/resources")[1] == before


def test_expiry_is_kept_in_utc_and_takes_effect(api: Api) -> None:
    """An expired key is refused like a deleted one."""
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    far = post(api, "/api-keys", description="", expires_at="2035-07-06T11:00:00+02:00")
    assert far["expires_at"] == "2035-07-06T09:00:00Z"
    key = post(api, "/api-keys", description="", expires_at=soon.isoformat())
    assert called(api, key["secret_key"], "GET") == 200
    api.request("PUT", "/_emulator/clock", {"ahead": 3601})
    assert called(api, key["secret_key"], "GET") == 401
    expired = api.request("GET", f"{IAM}/api-keys", query={"expired": "true"})[1]["api_keys"]
    assert [found["access_key"] for found in expired] == [key["access_key"]]


def test_a_new_key_is_refused_now_and_then_at_first() -> None:
    """IAM needs up to 85 s to spread a permission; without latency it does so at once."""
    with running(latency=0.02, seed=3) as api:
        application = post(api, "/applications", name="backend", description="")["id"]
        grant(api, application, "AllProductsFullAccess")
        secret = post(api, "/api-keys", application_id=application, description="")["secret_key"]
        answers = [called(api, secret, "GET")]
        deadline = time.monotonic() + 10
        while answers[-20:] != [200] * 20:
            assert time.monotonic() < deadline
            answers.append(called(api, secret, "GET"))
    assert 403 in answers


def test_an_ssh_key_loses_its_comment_and_gains_a_fingerprint(api: Api) -> None:
    """As recorded of this very key."""
    key = post(api, "/ssh-keys", name="k", public_key=PUBLIC_KEY, project_id=DEFAULT_PROJECT)
    assert key["public_key"] == PUBLIC_KEY.rpartition(" ")[0]
    assert key["fingerprint"] == "256 MD5:fd:2d:1c:d2:34:96:3f:8d:de:19:1e:da:f5:c1:05:7d (ssh-ed25519)"
    assert api.request("PATCH", f"{IAM}/ssh-keys/{key['id']}", {"disabled": True})[1]["disabled"] is True
    assert api.request("GET", f"{IAM}/ssh-keys", query={"disabled": "false"})[1]["total_count"] == 0


def test_groups_pass_their_policies_on(api: Api) -> None:
    """A member may do what the group may."""
    application = post(api, "/applications", name="backend", description="")["id"]
    secret = post(api, "/api-keys", application_id=application, description="")["secret_key"]
    group = post(api, "/groups", name="g", description="")["id"]
    rule = {"permission_set_names": ["VPCReadOnly"], "project_ids": [DEFAULT_PROJECT]}
    post(api, "/policies", name="p", description="", group_id=group, rules=[rule])
    assert called(api, secret, "GET") == 403
    post(api, f"/groups/{group}/add-member", application_id=application)
    assert called(api, secret, "GET") == 200
    post(api, f"/groups/{group}/remove-member", application_id=application)
    assert called(api, secret, "GET") == 403
    assert api.request("POST", f"{IAM}/groups/{group}/remove-member", {"application_id": application})[0] == 404


def test_the_sdk_reads_everything(api: Api) -> None:
    """Through the types of the unmodified SDK."""
    client = Client(
        api_url=api.url,
        access_key="SCW00000000000000000",
        secret_key=KEY,
        default_organization_id=DEFAULT_PROJECT,
        default_project_id=DEFAULT_PROJECT,
    )
    iam = IamV1Alpha1API(client)
    application = iam.create_application(description="", name="backend", tags=["env=prod"])
    rules = [RuleSpecs(condition="", permission_set_names=["ObjectStorageFullAccess"], project_ids=[DEFAULT_PROJECT])]
    policy = iam.create_policy(description="", name="p", application_id=application.id, rules=rules)
    key = iam.create_api_key(description="", application_id=application.id)
    assert key.secret_key
    assert [found.id for found in iam.list_applications_all(tag="env=prod")] == [application.id]
    assert [found.id for found in iam.list_policies_all(application_ids=[application.id])] == [policy.id]
    assert [found.access_key for found in iam.list_api_keys_all(bearer_id=application.id)] == [key.access_key]
    assert iam.list_rules_all(policy_id=policy.id)[0].permission_set_names == ["ObjectStorageFullAccess"]
    assert "IAMManager" in {found.name for found in iam.list_permission_sets_all()}
    assert {str(found.type_) for found in iam.list_users_all()} == {"owner"}
    assert {found.name: found.limit for found in iam.list_quota_all()}["IamApiKeys"] == 50
