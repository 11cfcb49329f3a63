"""Servers and what belongs to them: power, volumes, addresses, private NICs, security groups, user data."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.conftest import Api

INSTANCE = "/instance/v1/zones/fr-par-1"
BLOCK = "/block/v1/zones/fr-par-1"
GB = 10**9


class Clock:
    """A world with real latencies whose time passes only when told."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = api.world.now()
        api.world.latency = 1.0
        monkeypatch.setattr(api.world, "now", lambda: self.time)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


def make_server(api: Api, **fields: Any) -> Any:
    """Create a small server that boots from a block volume."""
    body = {"name": "web-1", "commercial_type": "PRO2-XXS", "image": "ubuntu_noble", **fields}
    status, answer = api.request("POST", f"{INSTANCE}/servers", body)
    assert status == 201, answer
    return answer["server"]


def server_of(api: Api, server_id: str) -> Any:
    """The server as it is now; None if it is gone."""
    status, answer = api.request("GET", f"{INSTANCE}/servers/{server_id}")
    return answer["server"] if status == 200 else None


def act(api: Api, server_id: str, action: str) -> tuple[int, Any]:
    """Send an action."""
    return api.request("POST", f"{INSTANCE}/servers/{server_id}/action", {"action": action})


def make_network(api: Api) -> str:
    """A private network's id."""
    status, network = api.request("POST", "/vpc/v2/regions/fr-par/private-networks", {"name": "app"})
    assert status == 200
    return str(network["id"])


def test_power_takes_as_long_as_at_scaleway(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """stopped, starting, running, stopping, stopped; the task of an action says nothing (Scaleway latencies, 1)."""
    server = make_server(api)
    clock = Clock(api, monkeypatch)
    assert (server["state"], server["allowed_actions"]) == ("stopped", ["poweron", "backup"])
    status, answer = act(api, server["id"], "poweron")
    assert (status, answer["task"]["description"]) == (202, "fake task")
    seen = []
    for seconds in (0, 6, 10):
        clock.wait(seconds)
        now = server_of(api, server["id"])
        seen.append((now["state"], now["state_detail"], now["location"] is not None))
    assert seen == [
        ("starting", "allocating node", False),
        ("starting", "provisioning node", True),
        ("running", "booting kernel", True),
    ]
    assert act(api, server["id"], "poweron")[1]["help_message"] == "server should be stopped"
    for action, seconds, state in (("reboot", 39, "running"), ("stop_in_place", 37, "stopped in place")):
        assert act(api, server["id"], action)[0] == 202
        assert server_of(api, server["id"])["state"] == "stopping"
        clock.wait(seconds)
        assert server_of(api, server["id"])["state"] == state
    act(api, server["id"], "poweron")
    clock.wait(16)
    act(api, server["id"], "poweroff")
    clock.wait(48)
    assert (server_of(api, server["id"])["state"], server_of(api, server["id"])["location"]) == ("stopped", None)


def test_terminate_frees_everything_but_block_volumes_cost_on(api: Api) -> None:
    """Flexible IPs and block volumes survive, NICs and their addresses do not (Terraform issue 2853)."""
    ip = api.request("POST", f"{INSTANCE}/ips", {})[1]["ip"]
    server = make_server(api, public_ips=[ip["id"]])
    volume_id = server["volumes"]["0"]["id"]
    assert server["public_ip"]["address"] == ip["address"]
    network = make_network(api)
    nics = f"{INSTANCE}/servers/{server['id']}/private_nics"
    assert api.request("POST", nics, {"private_network_id": network})[0] == 201
    act(api, server["id"], "poweron")
    assert api.request("DELETE", f"{INSTANCE}/servers/{server['id']}")[0] == 400
    assert api.request("DELETE", f"{BLOCK}/volumes/{volume_id}")[0] == 412
    assert act(api, server["id"], "terminate")[0] == 202
    status, gone = api.request("GET", f"{INSTANCE}/servers/{server['id']}")
    assert (status, gone["resource"]) == (404, "instance_server")
    assert api.request("GET", f"{INSTANCE}/ips/{ip['id']}")[1]["ip"]["state"] == "detached"
    volume = api.request("GET", f"{BLOCK}/volumes/{volume_id}")[1]
    assert (volume["status"], volume["references"]) == ("available", [])
    assert api.request("GET", f"{INSTANCE}/volumes/{volume_id}")[1]["resource"] == "instance_volume"
    assert api.request("DELETE", f"/vpc/v2/regions/fr-par/private-networks/{network}")[0] == 204
    assert api.request("DELETE", f"{BLOCK}/volumes/{volume_id}")[0] == 204


def test_local_volumes_go_with_terminate_and_stay_after_delete(api: Api) -> None:
    """What becomes of a local volume depends on how its server goes."""
    for terminated in (True, False):
        server = make_server(api, commercial_type="DEV1-S", volumes={"0": {"size": 10 * GB, "volume_type": "l_ssd"}})
        volume = server["volumes"]["0"]
        assert (volume["volume_type"], volume["server"]["id"]) == ("l_ssd", server["id"])
        if terminated:
            act(api, server["id"], "poweron")
            server_of(api, server["id"])
            act(api, server["id"], "terminate")
        else:
            assert api.request("DELETE", f"{INSTANCE}/servers/{server['id']}") == (204, None)
        status, left = api.request("GET", f"{INSTANCE}/volumes/{volume['id']}")
        assert status == (404 if terminated else 200)
        assert terminated or left["volume"]["server"] is None


def test_protection_blocks_actions_but_not_delete(api: Api) -> None:
    """As feint measured on the real API: DELETE of a protected server is a 204."""
    server = make_server(api, protected=True)
    act(api, server["id"], "poweron")
    for action in ("poweroff", "reboot", "stop_in_place", "terminate"):
        status, refusal = act(api, server["id"], action)
        assert (status, refusal["precondition"]) == (400, "protected_resource")
    other = make_server(api, protected=True)
    assert api.request("DELETE", f"{INSTANCE}/servers/{other['id']}")[0] == 204


REFUSED = [
    ({"commercial_type": "NO-SUCH"}, 400, "commercial_type"),
    ({"image": "no_such_image"}, 404, "instance_image"),
    ({"volumes": {"0": {"volume_type": "l_ssd", "size": 10 * GB}}}, 400, "volumes"),
    ({"volumes": {"0": {"size": 1 * GB}}}, 400, "volumes.0.size"),
    ({"volumes": {"0": {}, "1": {"id": "11111111-2222-4333-8444-555555555555"}}}, 404, "instance_volume"),
    ({"image": None}, 400, "volumes"),
    ({"security_group": "11111111-2222-4333-8444-555555555555"}, 404, "instance_security_group"),
    ({"public_ips": ["11111111-2222-4333-8444-555555555555"]}, 404, "instance_ip"),
    ({"boot_type": "floppy"}, 400, "boot_type"),
]


@pytest.mark.parametrize(("fields", "status", "named"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_refused_server_leaves_nothing_behind(api: Api, fields: dict[str, Any], status: int, named: str) -> None:
    """Refusals come before anything is stored: no volume remains that somebody would pay for."""
    body = {"name": "web-1", "commercial_type": "PRO2-XXS", "image": "ubuntu_noble", **fields}
    got, refusal = api.request("POST", f"{INSTANCE}/servers", body)
    assert got == status
    assert named in (refusal.get("resource"), *(detail["argument_name"] for detail in refusal.get("details", [])))
    assert api.request("GET", f"{BLOCK}/volumes")[1]["total_count"] == 0
    assert api.request("GET", f"{INSTANCE}/volumes")[1]["volumes"] == []


def test_private_nics_sync_only_on_a_running_server(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """35 s on a running server, none on a stopped one; addresses are booked in IPAM (issue 1571 of the provider)."""
    server, network = make_server(api), make_network(api)
    nics = f"{INSTANCE}/servers/{server['id']}/private_nics"
    clock = Clock(api, monkeypatch)
    nic = api.request("POST", nics, {"private_network_id": network, "tags": ["a"]})[1]["private_nic"]
    assert nic["state"] == "available"
    clock.wait(2)  # IPAM learns of a new NIC a moment later
    held = api.request("GET", "/ipam/v1/regions/fr-par/ips", query={"resource_id": nic["id"]})[1]["ips"]
    assert sorted(ip["id"] for ip in held) == sorted(nic["ipam_ip_ids"])
    assert {ip["resource"]["type"] for ip in held} == {"instance_private_nic"}
    assert api.request("POST", nics, {"private_network_id": network})[0] == 400
    assert api.request("DELETE", f"{nics}/{nic['id']}") == (204, None)
    act(api, server["id"], "poweron")
    clock.wait(16)
    nic = api.request("POST", nics, {"private_network_id": network})[1]["private_nic"]
    assert nic["state"] == "syncing"
    clock.wait(34)
    assert api.request("GET", f"{nics}/{nic['id']}")[1]["private_nic"]["state"] == "syncing"
    clock.wait(2)
    assert server_of(api, server["id"])["private_nics"][0]["state"] == "available"
    missing = api.request("GET", f"{nics}/11111111-2222-4333-8444-555555555555")[1]
    assert missing["resource"] == "instance_private_nic"


def test_volumes_follow_a_patch(api: Api) -> None:
    """A PATCH names all volumes a server shall have; a newly attached block volume shows as attaching at first."""
    server = make_server(api)
    root = server["volumes"]["0"]["id"]
    body = {"name": "data", "from_empty": {"size": 10 * GB}}
    data = api.request("POST", f"{BLOCK}/volumes", body)[1]["id"]
    path = f"{INSTANCE}/servers/{server['id']}"
    wanted = {"0": {"id": root}, "1": {"id": data, "volume_type": "sbs_volume"}}
    changed = api.request("PATCH", path, {"volumes": wanted})[1]["server"]
    assert [volume["state"] for volume in changed["volumes"].values()] == ["available", "attaching"]
    assert server_of(api, server["id"])["volumes"]["1"]["state"] == "available"
    assert api.request("GET", f"{BLOCK}/volumes/{data}")[1]["status"] == "in_use"
    other = make_server(api)
    wanted["0"] = {"id": other["volumes"]["0"]["id"]}
    assert api.request("PATCH", f"{INSTANCE}/servers/{other['id']}", {"volumes": wanted})[0] == 412
    assert list(api.request("PATCH", path, {"volumes": {"0": {"id": root}}})[1]["server"]["volumes"]) == ["0"]
    assert api.request("GET", f"{BLOCK}/volumes/{data}")[1]["last_detached_at"] is not None


def test_ips_change_hands_and_resolve(api: Api) -> None:
    """A reverse must resolve to its address; an address is nobody else's while it is attached."""
    ip = api.request("POST", f"{INSTANCE}/ips", {"tags": ["edge"]})[1]["ip"]
    v6 = api.request("POST", f"{INSTANCE}/ips", {"type": "routed_ipv6"})[1]["ip"]
    assert (v6["address"], v6["prefix"].endswith("/64")) == (None, True)
    first, second = make_server(api, public_ips=[ip["id"], v6["id"]]), make_server(api)
    families = [(address["family"], address["provisioning_mode"]) for address in first["public_ips"]]
    assert families == [("inet", "dhcp"), ("inet6", "slaac")]
    path = f"{INSTANCE}/ips/{ip['address']}"
    assert api.request("PATCH", path, {"server": second["id"]})[0] == 400
    assert api.request("PATCH", path, {"server": None})[1]["ip"]["state"] == "detached"
    assert api.request("PATCH", path, {"server": second["id"]})[1]["ip"]["server"]["id"] == second["id"]
    refusal = api.request("PATCH", path, {"reverse": "www.example.org"})[1]
    assert refusal["details"][0]["argument_name"] == "reverse"
    assert [found["id"] for found in api.request("GET", f"{INSTANCE}/ips", query={"tags": "edge"})[1]["ips"]] == [
        ip["id"]
    ]
    assert api.request("DELETE", path) == (204, None)
    assert server_of(api, second["id"])["public_ips"] == []


def test_security_group_rules(api: Api) -> None:
    """Scaleway's own rules come first; the group's are numbered from 1; ports of 0 are refused."""
    body = {"name": "web", "stateful": True, "inbound_default_policy": "drop"}
    group = api.request("POST", f"{INSTANCE}/security_groups", body)[1]["security_group"]
    rules = f"{INSTANCE}/security_groups/{group['id']}/rules"
    ssh = {
        "protocol": "TCP",
        "direction": "inbound",
        "action": "accept",
        "ip_range": "1.2.3.4/32",
        "dest_port_from": 22,
    }
    web = {**ssh, "ip_range": "0.0.0.0/0", "dest_port_from": 80, "dest_port_to": 443}
    answer = api.request("PUT", rules, {"rules": [ssh, web]})[1]["rules"]
    assert [rule["dest_port_from"] for rule in answer if not rule["editable"]] == [25, 465, 587] * 2
    own = [rule for rule in answer if rule["editable"]]
    assert [(rule["position"], rule["ip_range"], rule["dest_port_to"]) for rule in own] == [
        (1, "1.2.3.4", None),
        (2, "0.0.0.0/0", 443),
    ]
    status, refusal = api.request("PUT", rules, {"rules": [ssh, {**web, "dest_port_to": 0}]})
    assert (status, refusal["fields"]) == (400, {"rules.1.dest_port_to": ["value must be at least 1"]})
    first = api.request("POST", rules, {**web, "position": 1})[1]["rule"]
    assert api.request("DELETE", f"{rules}/{own[0]['id']}") == (204, None)
    left = [rule["id"] for rule in api.request("GET", rules)[1]["rules"] if rule["editable"]]
    assert left == [first["id"], own[1]["id"]]
    server = make_server(api, security_group=group["id"])
    assert server["security_group"] == {"id": group["id"], "name": "web"}
    path = f"{INSTANCE}/security_groups/{group['id']}"
    assert api.request("DELETE", path)[0] == 400
    default = make_server(api)["security_group"]
    assert default["name"] == "Default security group"
    api.request("PATCH", f"{INSTANCE}/servers/{server['id']}", {"security_group": {"id": default["id"]}})
    assert api.request("DELETE", path) == (204, None)


def test_user_data_is_raw(api: Api) -> None:
    """PATCH with text/plain, 204, and the same bytes back."""
    path = f"{INSTANCE}/servers/{make_server(api)['id']}/user_data"
    script = b'#cloud-config\nruncmd: ["true"]\n'
    headers = {"Content-Type": "text/plain"}
    assert api.session.patch(f"{api.url}{path}/cloud-init", data=script, headers=headers).status_code == 204
    assert api.request("GET", path)[1] == {"user_data": ["cloud-init"]}
    assert api.session.get(f"{api.url}{path}/cloud-init").content == script
    assert api.request("DELETE", f"{path}/cloud-init")[0] == 204
    assert api.request("GET", f"{path}/cloud-init")[0] == 404


def test_lists_page_and_filter(api: Api) -> None:
    """`per_page`, the count in X-Total-Count, and the filters that find what an engine owns."""
    network = make_network(api)
    made = [make_server(api, name=f"web-{number}", tags=["env:prod", f"n:{number}"]) for number in range(3)]
    api.request("POST", f"{INSTANCE}/servers/{made[1]['id']}/private_nics", {"private_network_id": network})
    act(api, made[2]["id"], "poweron")
    response = api.session.get(f"{api.url}{INSTANCE}/servers", params={"per_page": 2, "page": 2})
    assert (len(response.json()["servers"]), response.headers["X-Total-Count"]) == (1, "3")
    for query, names in (
        ({"tags": "env:prod,n:0"}, ["web-0"]),
        ({"name": "web"}, ["web-2", "web-1", "web-0"]),
        ({"private_networks": network}, ["web-1"]),
        ({"state": "running"}, ["web-2"]),
        ({"order": "creation_date_asc"}, ["web-0", "web-1", "web-2"]),
    ):
        found = api.request("GET", f"{INSTANCE}/servers", query=query)[1]["servers"]
        assert [server["name"] for server in found] == names, query


def test_backup_makes_an_image_to_boot_from(api: Api) -> None:
    """Action backup: a snapshot of every volume, an image of them, and a new server from it."""
    server = make_server(api)
    api.request("POST", f"{INSTANCE}/servers/{server['id']}/action", {"action": "backup", "name": "golden"})
    image = api.request("GET", f"{INSTANCE}/images", query={"name": "golden"})[1]["images"][0]
    assert image["from_server"] == server["id"]
    snapshot = image["root_volume"]["id"]
    assert api.request("DELETE", f"{BLOCK}/snapshots/{snapshot}")[0] == 412
    clone = make_server(api, image=image["id"])
    volume = api.request("GET", f"{BLOCK}/volumes/{clone['volumes']['0']['id']}")[1]
    assert (volume["parent_snapshot_id"], volume["size"]) == (snapshot, 10 * GB)
    assert api.request("DELETE", f"{INSTANCE}/images/{image['id']}") == (204, None)
    assert api.request("DELETE", f"{BLOCK}/snapshots/{snapshot}") == (204, None)
    local = api.request("POST", f"{INSTANCE}/snapshots", {"volume_id": volume["id"]})
    assert (local[0], local[1]["resource"]) == (404, "instance_volume")


def test_catalogue_of_server_types(api: Api) -> None:
    """What a zone sells, page by page; what it does not sell cannot be ordered there."""
    pages = [api.request("GET", f"{INSTANCE}/products/servers", query={"page": n})[1]["servers"] for n in (1, 2, 3)]
    names = [name for page in pages for name in page]
    assert (len(names), names) == (136, sorted(names))
    dev = {name: facts for page in pages for name, facts in page.items()}["DEV1-S"]
    assert (dev["ncpus"], dev["ram"], dev["monthly_price"]) == (2, 2 * 2**30, 6.55248)
    body = {"commercial_type": "DEV1-S", "image": "ubuntu_noble"}
    assert api.request("POST", "/instance/v1/zones/fr-par-3/servers", body)[0] == 400
    query = {"image_label": "ubuntu_noble", "zone": "fr-par-1", "type": "instance_local"}
    local = api.request("GET", "/marketplace/v2/local-images", query=query)[1]["local_images"][0]
    assert "DEV1-S" in local["compatible_commercial_types"]
    assert "PRO2-XXS" not in local["compatible_commercial_types"]
