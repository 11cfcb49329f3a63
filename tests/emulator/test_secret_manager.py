"""Secret Manager: payloads, protection, and deletions that can be taken back."""

from __future__ import annotations

import base64
import time
import zlib
from typing import Any

import pytest
from scaleway import Client
from scaleway.secret.v1beta1 import SecretV1Beta1API

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import KEY, Api

SECRETS = "/secret-manager/v1beta1/regions/fr-par/secrets"


def encoded(text: str) -> str:
    """Base64, as the API wants it."""
    return base64.b64encode(text.encode()).decode()


def make(api: Api, *payloads: str, **body: Any) -> str:
    """A secret with these versions; its id."""
    status, secret = api.request("POST", SECRETS, {"name": "db", **body})
    assert status == 200, secret
    for payload in payloads:
        assert api.request("POST", f"{SECRETS}/{secret['id']}/versions", {"data": encoded(payload)})[0] == 200
    return str(secret["id"])


def read(api: Api, secret: str, revision: str = "latest") -> tuple[int, Any]:
    """The status and, if there is one, the payload."""
    status, answer = api.request("GET", f"{SECRETS}/{secret}/versions/{revision}/access")
    return status, base64.b64decode(answer["data"]).decode() if status == 200 else answer["type"]


def test_the_sdk_writes_and_reads(api: Api) -> None:
    """Through the types of the unmodified SDK, by id and by path."""
    client = Client(
        api_url=api.url,
        access_key="SCW00000000000000000",
        secret_key=KEY,
        default_project_id=DEFAULT_PROJECT,
        default_region="fr-par",
    )
    secrets = SecretV1Beta1API(client)
    secret = secrets.create_secret(name="db", protected=False, path="/prod/", tags=["env=prod"])
    assert secret.path == "/prod"
    crc = zlib.crc32(b"hunter2")
    version = secrets.create_secret_version(secret_id=secret.id, data=encoded("hunter2"), data_crc32=crc)
    assert (version.revision, version.latest) == (1, True)
    read_back = secrets.access_secret_version_by_path(secret_path="/prod", secret_name="db", revision="latest")
    assert (read_back.data, read_back.data_crc32) == (encoded("hunter2"), crc)
    listed = secrets.list_secrets_all(scheduled_for_deletion=False, tags=["env=prod"], path="/prod")
    assert [(found.id, found.version_count) for found in listed] == [(secret.id, 1)]
    assert secrets.browse_secrets(prefix="/").items[0].name == "prod"
    assert secrets.list_tags_all() == ["env=prod"]
    assert "opaque" in secrets.list_secret_types_all()


def test_versions_are_numbered_and_the_newest_is_the_latest(api: Api) -> None:
    """Lists show the newest first."""
    secret = make(api, "one", "two")
    listed = api.request("GET", f"{SECRETS}/{secret}/versions")[1]["versions"]
    assert [(version["revision"], version["latest"]) for version in listed] == [(2, True), (1, False)]
    assert [read(api, secret, revision) for revision in ("1", "latest")] == [(200, "one"), (200, "two")]
    assert api.request("POST", f"{SECRETS}/{secret}/versions/2/disable")[1]["status"] == "disabled"
    assert read(api, secret) == (412, "precondition_failed")
    assert read(api, secret, "latest_enabled") == (200, "one")
    body = {"data": encoded("three"), "disable_previous": True}
    api.request("POST", f"{SECRETS}/{secret}/versions/2/enable")
    api.request("POST", f"{SECRETS}/{secret}/versions", body)
    assert read(api, secret, "2")[0] == 412
    assert read(api, secret, "4") == (404, "not_found")


def test_a_payload_appears_nowhere_but_in_access(api: Api) -> None:
    """Not in reads, lists, the request log or the resources."""
    secret = make(api, "hunter2")
    for path in (f"{SECRETS}/{secret}", f"{SECRETS}/{secret}/versions", f"{SECRETS}/{secret}/versions/1", SECRETS):
        assert encoded("hunter2") not in str(api.request("GET", path)[1])
    for path in ("/_emulator/requests", "/_emulator/resources?all=true"):
        assert encoded("hunter2") not in str(api.request("GET", path)[1])


def test_a_deleted_secret_can_be_restored_and_its_name_is_free(api: Api) -> None:
    """It reads as ready with a date of deletion, and no list shows it unless asked."""
    secret = make(api, "one")
    assert api.request("DELETE", f"{SECRETS}/{secret}")[0] == 204
    shown = api.request("GET", f"{SECRETS}/{secret}")[1]
    assert (shown["status"], shown["deletion_requested_at"]) == ("ready", shown["updated_at"])
    assert api.request("GET", SECRETS)[1]["total_count"] == 0
    assert api.request("GET", SECRETS, query={"scheduled_for_deletion": "true"})[1]["total_count"] == 1
    assert read(api, secret) == (412, "precondition_failed")
    assert api.request("GET", "/_emulator/resources")[1] == {}
    second = make(api, "two")
    assert api.request("POST", f"{SECRETS}/{secret}/restore")[0] == 409
    api.request("DELETE", f"{SECRETS}/{second}")
    assert api.request("POST", f"{SECRETS}/{secret}/restore")[1]["deletion_requested_at"] is None
    assert read(api, secret) == (200, "one")


def test_a_week_after_its_deletion_a_secret_is_gone(api: Api) -> None:
    """Restoring is over then."""
    secret = make(api)
    api.request("DELETE", f"{SECRETS}/{secret}")
    document = api.world.find("secret.secrets", secret)
    assert document is not None
    document["deletion_requested_at"] = api.world.timestamp(time.time() - 7 * 86400 - 1)
    assert api.request("POST", f"{SECRETS}/{secret}/restore")[0] == 404
    assert api.request("GET", SECRETS, query={"scheduled_for_deletion": "true"})[1]["total_count"] == 0


def test_protection(api: Api) -> None:
    """A protected secret cannot be deleted until it is unprotected."""
    secret = make(api, protected=True)
    status, answer = api.request("DELETE", f"{SECRETS}/{secret}")
    assert (status, answer["precondition"]) == (412, "protected_resource")
    assert api.request("POST", f"{SECRETS}/{secret}/unprotect")[1]["protected"] is False
    assert api.request("DELETE", f"{SECRETS}/{secret}")[0] == 204


def test_names_are_unique_per_path(api: Api) -> None:
    """409 names the one that is there."""
    secret = make(api)
    make(api, path="/other")
    status, answer = api.request("POST", SECRETS, {"name": "db"})
    assert (status, answer["type"], answer["resource_id"]) == (409, "already_exists", secret)
    elsewhere = make(api, name="else")
    assert api.request("PATCH", f"{SECRETS}/{elsewhere}", {"name": "db"})[0] == 409
    assert api.request("GET", f"{SECRETS}/{elsewhere}")[1]["name"] == "else"


@pytest.mark.parametrize(
    ("body", "argument", "reason"),
    [
        ({}, "data", "required"),
        ({"data": {"a": 1}}, "data", "format"),
        ({"data": "not base64!"}, "data", "format"),
        ({"data": base64.b64encode(bytes(64 * 1024 + 1)).decode()}, "data", "constraint"),
        ({"data": encoded("a"), "data_crc32": 1}, "data_crc32", "constraint"),
        ({"data": encoded('{"a": {"b": "c"}}')}, "data", "format"),
    ],
)
def test_payloads_that_are_refused(api: Api, body: Any, argument: str, reason: str) -> None:
    """And no version is made."""
    secret = make(api, type="key_value")
    status, answer = api.request("POST", f"{SECRETS}/{secret}/versions", body)
    detail = answer["details"][0]
    assert (status, detail["argument_name"], detail["reason"]) == (400, argument, reason)
    assert api.request("GET", f"{SECRETS}/{secret}")[1]["version_count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a b"},
        {"name": "a", "path": "relative"},
        {"name": "a", "type": "nothing"},
        {"name": "a", "tags": "env=prod"},
        {"name": "a", "ephemeral_policy": {"action": "delete"}},
        {"name": "a", "ephemeral_policy": {"action": "burn", "expires_once_accessed": True}},
        {"name": "a", "ephemeral_policy": {"action": "delete", "time_to_live": "0s"}},
    ],
)
def test_secrets_that_are_refused(api: Api, body: Any) -> None:
    """400, and nothing is there."""
    assert api.request("POST", SECRETS, body)[0] == 400
    assert api.request("GET", SECRETS)[1]["total_count"] == 0


def test_ephemeral_versions_end_by_access_or_by_time(api: Api) -> None:
    """The policy holds for versions made under it."""
    once = make(api, "one", name="once", ephemeral_policy={"action": "disable", "expires_once_accessed": True})
    assert read(api, once) == (200, "one")
    assert read(api, once) == (412, "precondition_failed")
    assert api.request("GET", f"{SECRETS}/{once}/versions/1")[1]["status"] == "disabled"
    brief = make(api, "two", name="brief", ephemeral_policy={"action": "delete", "time_to_live": "3600s"})
    assert read(api, brief) == (200, "two")
    api.request("PUT", "/_emulator/clock", {"ahead": 3601})
    assert read(api, brief)[0] != 200
    assert api.request("GET", f"{SECRETS}/{brief}/versions/1")[1]["status"] == "scheduled_for_deletion"


def test_a_secret_holds_twenty_versions(api: Api) -> None:
    """Deleted ones do not count, and their numbers are not used again."""
    secret = make(api, *(str(number) for number in range(20)))
    body = {"data": encoded("x")}
    assert api.request("POST", f"{SECRETS}/{secret}/versions", body)[1]["type"] == "quotas_exceeded"
    assert api.request("DELETE", f"{SECRETS}/{secret}/versions/3")[0] == 204
    assert api.request("POST", f"{SECRETS}/{secret}/versions", body)[1]["revision"] == 21
