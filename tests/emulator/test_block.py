"""Block volumes and snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.conftest import Api

BLOCK = "/block/v1/zones/fr-par-1"
GB = 10**9


def make_volume(api: Api, **fields: Any) -> Any:
    """Create an empty volume of 10 GB."""
    status, volume = api.request(
        "POST", f"{BLOCK}/volumes", {"name": "data", "from_empty": {"size": 10 * GB}, **fields}
    )
    assert status == 200, volume
    return volume


def test_a_volume_is_created_updated_and_deleted(api: Api) -> None:
    """Answers show the state before the change; the change is there at the next look."""
    volume = make_volume(api, perf_iops=15000, tags=["x"])
    assert (volume["status"], volume["type"]) == ("creating", "sbs_15k")
    path = f"{BLOCK}/volumes/{volume['id']}"
    assert api.request("GET", path)[1]["status"] == "available"
    changing = api.request("PATCH", path, {"size": 20 * GB, "perf_iops": 5000})[1]
    assert (changing["status"], changing["size"], changing["type"]) == ("updating", 10 * GB, "sbs_15k")
    changed = api.request("GET", path)[1]
    assert (changed["status"], changed["size"], changed["type"]) == ("available", 20 * GB, "sbs_5k")
    assert api.request("DELETE", path) == (204, None)
    assert api.request("GET", path)[1] == {
        "message": "resource is not found",
        "resource": "volume",
        "resource_id": volume["id"],
        "type": "not_found",
    }


def test_snapshots_outlive_their_volume(api: Api) -> None:
    """A snapshot needs its volume only at birth; a volume from it cannot be smaller."""
    volume = make_volume(api)
    snapshot = api.request("POST", f"{BLOCK}/snapshots", {"volume_id": volume["id"], "name": "s", "public": False})[1]
    assert (snapshot["status"], snapshot["parent_volume"]["id"]) == ("creating", volume["id"])
    assert api.request("DELETE", f"{BLOCK}/volumes/{volume['id']}")[0] == 204
    body: dict[str, Any] = {"from_snapshot": {"snapshot_id": snapshot["id"], "size": 5 * GB}}
    assert api.request("POST", f"{BLOCK}/volumes", body)[0] == 412
    body["from_snapshot"]["size"] = None
    copy = api.request("POST", f"{BLOCK}/volumes", body)[1]
    assert (copy["size"], copy["parent_snapshot_id"]) == (10 * GB, snapshot["id"])
    found = api.request("GET", f"{BLOCK}/snapshots", query={"volume_id": volume["id"]})[1]
    assert (found["total_count"], found["snapshots"][0]["status"]) == (1, "available")
    assert api.request("DELETE", f"{BLOCK}/snapshots/{snapshot['id']}")[0] == 204


def test_the_root_snapshot_of_a_published_image_is_not_for_us(api: Api) -> None:
    """403, not 404: it is there, and somebody else's."""
    body = {"commercial_type": "PRO2-XXS", "image": "ubuntu_noble"}
    server = api.request("POST", "/instance/v1/zones/fr-par-1/servers", body)[1]["server"]
    volume = api.request("GET", f"{BLOCK}/volumes/{server['volumes']['0']['id']}")[1]
    status, refusal = api.request("GET", f"{BLOCK}/snapshots/{volume['parent_snapshot_id']}")
    assert (status, refusal["details"]) == (403, [{"action": "read", "resource": "snapshot"}])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"from_empty": {"size": GB}}, "size"),
        ({"from_empty": None}, "size"),
        ({"from_empty": {"size": 10 * GB}, "perf_iops": 7}, "perf_iops"),
    ],
)
def test_impossible_volumes_are_refused(api: Api, body: dict[str, Any], named: str) -> None:
    """400 that names the argument."""
    status, refusal = api.request("POST", f"{BLOCK}/volumes", body)
    assert (status, refusal["details"][0]["argument_name"]) == (400, named)
    assert api.request("GET", f"{BLOCK}/volumes")[1]["total_count"] == 0


def test_lists_filter_and_sort(api: Api) -> None:
    """By tags and name, in either order."""
    for name in ("b", "a"):
        make_volume(api, name=name, tags=["app", name])
    for query, names in (
        ({"tags": "app", "order_by": "name_asc"}, ["a", "b"]),
        ({"order_by": "created_at_asc"}, ["b", "a"]),
        ({"name": "a"}, ["a"]),
    ):
        found = api.request("GET", f"{BLOCK}/volumes", query=query)[1]["volumes"]
        assert [volume["name"] for volume in found] == names, query
