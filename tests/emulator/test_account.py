"""Projects."""

from __future__ import annotations

import time
from typing import Any

import pytest
from scaleway import Client
from scaleway.account.v3 import AccountV3ProjectAPI

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import KEY, Api, running

PROJECTS = "/account/v3/projects"


def make(api: Api, name: str = "shop") -> str:
    """A project's id."""
    status, project = api.request("POST", PROJECTS, {"name": name, "description": ""})
    assert status == 200
    return str(project["id"])


def test_the_sdk_makes_lists_renames_and_deletes(api: Api) -> None:
    """Through the types of the unmodified SDK."""
    client = Client(
        api_url=api.url,
        access_key="SCW00000000000000000",
        secret_key=KEY,
        default_organization_id=DEFAULT_PROJECT,
        default_project_id=DEFAULT_PROJECT,
    )
    projects = AccountV3ProjectAPI(client)
    made = projects.create_project(description="a", name="shop")
    assert projects.update_project(project_id=made.id, name="store").name == "store"
    assert [project.name for project in projects.list_projects_all(name="store")] == ["store"]
    assert {project.name for project in projects.list_projects_all()} == {"default", "store"}
    projects.delete_project(project_id=made.id)
    assert api.request("GET", f"{PROJECTS}/{made.id}") == (
        404,
        {"message": "resource is not found", "resource": "project_id", "resource_id": made.id, "type": "not_found"},
    )


def test_a_project_with_resources_stays(api: Api) -> None:
    """412 until they are gone; what Scaleway made in it by itself goes with it."""
    project = make(api)
    vpc = api.request("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": "a", "project_id": project})[1]["id"]
    network = {"name": "pn", "project_id": project}
    in_default_vpc = api.request("POST", "/vpc/v2/regions/fr-par/private-networks", network)[1]["id"]
    status, answer = api.request("DELETE", f"{PROJECTS}/{project}")
    assert (status, answer["precondition"]) == (412, "resource_still_in_use")
    api.request("DELETE", f"/vpc/v2/regions/fr-par/vpcs/{vpc}")
    api.request("DELETE", f"/vpc/v2/regions/fr-par/private-networks/{in_default_vpc}")
    assert api.request("DELETE", f"{PROJECTS}/{project}")[0] == 204
    everything = api.request("GET", "/_emulator/resources", query={"all": "true"})[1]
    assert project not in str(everything)


def test_the_default_project_cannot_go(api: Api) -> None:
    """It is the organization's own."""
    assert api.request("DELETE", f"{PROJECTS}/{DEFAULT_PROJECT}")[0] == 412


def test_quota(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default project does not count."""
    monkeypatch.setattr("emulator.products.account.QUOTA", 3)
    for number in range(3):
        make(api, f"p{number}")
    status, answer = api.request("POST", PROJECTS, {"name": "one too many"})
    assert (status, answer["details"]) == (403, [{"current": 3, "quota": 3, "resource": "UsrProjectsWidth"}])


def test_deleting_a_project_right_after_its_secrets_asks_for_patience() -> None:
    """412 `please retry later` for a while, then it goes."""
    with running(latency=0.02) as api:
        project = make(api)
        secrets = "/secret-manager/v1beta1/regions/fr-par/secrets"
        deadline = time.monotonic() + 10
        status = 403
        secret: Any = None
        while status == 403:
            assert time.monotonic() < deadline
            status, secret = api.request("POST", secrets, {"name": "s", "project_id": project})
        api.request("DELETE", f"{secrets}/{secret['id']}")
        status, answer = api.request("DELETE", f"{PROJECTS}/{project}")
        assert (status, answer["precondition"]) == (412, "resource_not_usable")
        assert answer["help_message"].endswith("please retry later")
        while api.request("DELETE", f"{PROJECTS}/{project}")[0] == 412:
            assert time.monotonic() < deadline
        assert api.request("GET", f"{secrets}/{secret['id']}")[0] == 404
