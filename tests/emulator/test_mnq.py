"""Activation, credentials that are shown once, and the window in which they are not always found."""

from __future__ import annotations

from scaleway import Client
from scaleway.mnq.v1beta1 import MnqV1Beta1SqsAPI
from scaleway.mnq.v1beta1.types import SqsPermissions

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import KEY, Api

MNQ = "/mnq/v1beta1/regions/fr-par"
PROJECT = {"project_id": DEFAULT_PROJECT}


def test_activation_is_once_per_project(api: Api) -> None:
    """409 for the second time, 404 for switching off what is off."""
    assert api.request("GET", f"{MNQ}/sqs-info", query=PROJECT)[1]["status"] == "disabled"
    status, info = api.request("POST", f"{MNQ}/activate-sqs", PROJECT)
    assert (status, info["status"]) == (200, "enabled")
    assert info["sqs_endpoint_url"] == "https://sqs.mnq.fr-par.scaleway.com"
    status, error = api.request("POST", f"{MNQ}/activate-sqs", PROJECT)
    assert (status, error["type"], error["resource"]) == (409, "already_exists", "MnqSQSNamespace")
    assert api.request("GET", f"{MNQ}/sns-info", query=PROJECT)[1]["status"] == "disabled"
    status, info = api.request("POST", f"{MNQ}/deactivate-sqs", PROJECT)
    assert (status, info["status"], info["created_at"]) == (200, "disabled", None)
    status, error = api.request("POST", f"{MNQ}/deactivate-sqs", PROJECT)
    assert (status, error["resource"]) == (404, "MnqSQSNamespace")


def test_credentials_show_their_secret_once(api: Api) -> None:
    """Later answers have the checksum only."""
    refused = api.request("POST", f"{MNQ}/sqs-credentials", {**PROJECT, "name": "early"})
    assert refused[0] == 404
    client = Client(
        api_url=api.url,
        access_key="SCWLOCAL000000000000",
        secret_key=KEY,
        default_project_id=DEFAULT_PROJECT,
        default_region="fr-par",
    )
    sqs = MnqV1Beta1SqsAPI(client)
    sqs.activate_sqs()
    made = sqs.create_sqs_credentials(name="worker", permissions=SqsPermissions(can_receive=True))
    assert len(made.access_key) == 20
    assert made.secret_key
    read = sqs.get_sqs_credentials(sqs_credentials_id=made.id)
    assert (read.secret_key, read.secret_checksum) == ("", made.secret_checksum)
    changed = sqs.update_sqs_credentials(sqs_credentials_id=made.id, permissions=SqsPermissions(can_publish=True))
    assert changed.permissions is not None
    assert changed.permissions.can_publish
    assert [c.id for c in sqs.list_sqs_credentials_all(page_size=100)] == [made.id]
    sqs.delete_sqs_credentials(sqs_credentials_id=made.id)
    status, error = api.request("DELETE", f"{MNQ}/sqs-credentials/{made.id}")
    assert (status, error["resource"]) == (404, "credentials")


def test_null_permissions_stay_as_they_are(api: Api) -> None:
    """A PATCH changes what it names."""
    api.request("POST", f"{MNQ}/activate-sqs", PROJECT)
    _, made = api.request("POST", f"{MNQ}/sqs-credentials", {**PROJECT, "permissions": {"can_receive": True}})
    change = {"permissions": {"can_publish": True, "can_receive": None, "can_manage": False}}
    _, changed = api.request("PATCH", f"{MNQ}/sqs-credentials/{made['id']}", change)
    assert changed["permissions"] == {"can_manage": False, "can_publish": True, "can_receive": True}


def test_new_credentials_flap_within_their_window_only(api: Api) -> None:
    """404 and 200 in turn while they are new, if there is latency at all."""
    api.request("POST", f"{MNQ}/activate-sqs", PROJECT)
    _, made = api.request("POST", f"{MNQ}/sqs-credentials", {**PROJECT, "name": "x"})
    path = f"{MNQ}/sqs-credentials/{made['id']}"
    assert {api.request("GET", path)[0] for _ in range(20)} == {200}
    row = api.world.tables["mnq.sqs_credentials"][made["id"]]
    row["_since"] = api.world.now() + 1000
    api.world.latency = 0.001
    answers = [api.request("GET", path) for _ in range(40)]
    assert {status for status, _ in answers} == {200, 404}
    assert {body["resource"] for status, body in answers if status == 404} == {"namespace"}


def test_deactivation_takes_credentials_along(api: Api) -> None:
    """Nothing of the service is left."""
    api.request("POST", f"{MNQ}/activate-sqs", PROJECT)
    api.request("POST", f"{MNQ}/sqs-credentials", {**PROJECT, "name": "x"})
    api.request("POST", f"{MNQ}/deactivate-sqs", PROJECT)
    assert api.request("GET", f"{MNQ}/sqs-credentials", query=PROJECT)[1]["total_count"] == 0
