"""Load balancers: what they need to be released through, and what they refuse."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulator.products import ipam
from emulator.products.lb.backends import duration
from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import Api

LB = "/lb/v1/zones/fr-par-1"
BACKEND = {"name": "web", "forward_protocol": "http", "forward_port": 80, "health_check": {"port": 8080}}


def ok(answer: tuple[int, Any]) -> Any:
    """The body of a successful call."""
    assert answer[0] in {200, 201, 204}, answer
    return answer[1]


def new_lb(api: Api, **fields: Any) -> Any:
    """A load balancer that is ready."""
    body = {"name": "front", "type": "LB-S", "project_id": DEFAULT_PROJECT, **fields}
    lb = ok(api.request("POST", f"{LB}/lbs", body))
    assert (lb["status"], lb["instances"], lb["type"]) == ("to_create", [], "lb-s")
    ready = ok(api.request("GET", f"{LB}/lbs/{lb['id']}"))
    assert ready["status"] == "ready"
    return ready


class Clock:
    """The world's clock, stopped: delays are a thousandth of the real ones, and pass only when the test says so."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = api.world.now()
        api.world.latency = 0.001
        monkeypatch.setattr(api.world, "now", lambda: self.now)

    def advance(self, seconds: float) -> None:
        """Let seconds of Scaleway's time pass."""
        self.now += seconds * 0.001


def new_backend(api: Api, lb: Any, **fields: Any) -> Any:
    """A backend of that load balancer."""
    return ok(api.request("POST", f"{LB}/lbs/{lb['id']}/backends", {**BACKEND, **fields}))


def new_private_network(api: Api) -> str:
    """A private network of its own; the tables are enough for a load balancer."""
    world = api.world
    subnet = {"id": world.new_id(), "subnet": "10.9.0.0/24"}
    row = {"id": world.new_id(), "region": "fr-par", "subnets": [subnet], "project_id": DEFAULT_PROJECT}
    return str(world.put("vpc.private_networks", row)["id"])


def new_server(api: Api, private_network_id: str, state: str = "running") -> tuple[Any, str]:
    """A server with a private NIC: the server, and its private address."""
    world = api.world
    server = world.put("instance.servers", {"id": world.new_id(), "state": state})
    nic = world.put("instance.private_nics", {"id": world.new_id(), "server_id": server["id"]})
    holder = {"type": "instance_private_nic", "id": nic["id"], "mac_address": "", "name": ""}
    booked = ipam.book(
        world,
        project_id=DEFAULT_PROJECT,
        region="fr-par",
        private_network_id=private_network_id,
        resource=holder,
    )
    return server, ipam.host(booked)


def pem_chain(name: str, *others: str, stranger: bool = False) -> str:
    """A self-signed certificate with its key, or with the key of somebody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in others or (name,)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown = ec.generate_private_key(ec.SECP256R1()) if stranger else key
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (shown.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM)).decode()


def test_addresses_outlive_their_load_balancer_unless_released(api: Api) -> None:
    """An address is the one thing a deleted load balancer leaves behind."""
    ip = ok(api.request("POST", f"{LB}/ips", {"is_ipv6": True, "tags": ["a"]}))
    assert ip["ip_address"].startswith("2001:bc8:")
    assert ip["reverse"].endswith(".lb.fr-par.scw.cloud")
    kept = new_lb(api, ip_ids=[ip["id"]])
    assert [each["id"] for each in kept["ip"]] == [ip["id"]]
    for call in (("DELETE", f"{LB}/ips/{ip['id']}", None), ("POST", f"{LB}/lbs", {"type": "LB-S", "ip_id": ip["id"]})):
        assert api.request(*call) == (400, {"message": "operation was rejected because the ip_id is used on a lb"})

    ok(api.request("DELETE", f"{LB}/lbs/{kept['id']}", query={"release_ip": "false"}))
    assert api.request("GET", f"{LB}/lbs/{kept['id']}") == (404, {"message": "lbs not Found"})
    assert ok(api.request("GET", f"{LB}/ips/{ip['id']}"))["lb_id"] is None

    both = new_lb(api, assign_flexible_ip=True, assign_flexible_ipv6=True)
    assert [":" in each["ip_address"] for each in both["ip"]] == [False, True]
    ok(api.request("DELETE", f"{LB}/lbs/{both['id']}", query={"release_ip": "True"}))
    assert [each["id"] for each in ok(api.request("GET", f"{LB}/ips"))["ips"]] == [ip["id"]]
    assert new_lb(api, assign_flexible_ip=False)["ip"] == []


def test_configuration_is_applied_by_instances_while_the_load_balancer_stays_ready(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two overlapping writes: the instances are ready only once the second has been taken over."""
    clock = Clock(api, monkeypatch)
    lb = ok(api.request("POST", f"{LB}/lbs", {"type": "LB-S"}))
    path, states = f"{LB}/lbs/{lb['id']}", []
    for seconds in (0, 1, 3.5):
        clock.advance(seconds)
        lb = ok(api.request("GET", path))
        states.append((lb["status"], [instance["status"] for instance in lb["instances"]]))
        if lb["status"] != "ready":
            status, refused = api.request("POST", f"{path}/backends", BACKEND)
            assert (status, refused["type"], refused["current_state"]) == (409, "transient_state", lb["status"])
    assert states == [("to_create", []), ("creating", ["unknown"]), ("ready", ["ready"])]

    servers = f"{LB}/backends/{new_backend(api, lb)['id']}/servers"
    clock.advance(0.2)
    changed = ok(api.request("PUT", servers, {"server_ip": ["10.0.0.2"]}))
    clock.advance(0.2)
    seen = ok(api.request("GET", path))
    assert (seen["status"], seen["instances"][0]["status"]) == ("ready", "pending")
    clock.advance(0.2)
    after = ok(api.request("GET", path))["instances"][0]
    assert after["status"] == "ready"
    assert after["updated_at"] > seen["instances"][0]["updated_at"]
    same = ok(api.request("PUT", servers, {"server_ip": ["10.0.0.2"]}))
    assert same["updated_at"] == changed["updated_at"]
    assert same["lb"]["instances"][0] == after


def test_update_of_a_backend_resets_what_it_leaves_out_but_not_servers_or_check(api: Api) -> None:
    """PUT, as recorded: a client that omits a field loses it."""
    backend = new_backend(
        api,
        new_lb(api),
        server_ip=["10.0.0.2", "10.0.0.3"],
        timeout_server=1000,
        timeout_queue="0.000000000s",
        sticky_sessions="cookie",
        sticky_sessions_cookie_name="sid",
        max_connections=10,
        ssl_bridging=True,
        health_check={"port": 81, "http_config": {"uri": "/healthz"}, "transient_check_delay": "0.250000000s"},
    )
    path = f"{LB}/backends/{backend['id']}"
    check = backend["health_check"]
    assert check["http_config"] == {"uri": "/healthz", "method": "GET", "code": 200, "host_header": ""}
    assert (check["transient_check_delay"], backend["timeout_queue"]) == ("0.250s", "0s")

    reset = ok(api.request("PUT", path, {"name": "web", "forward_protocol": "http", "forward_port": 81}))
    assert (reset["timeout_server"], reset["sticky_sessions"], reset["sticky_sessions_cookie_name"]) == (
        None,
        "none",
        "",
    )
    assert (reset["max_connections"], reset["max_retries"], reset["ssl_bridging"]) == (None, 3, False)
    assert (reset["pool"], reset["health_check"]) == (backend["pool"], check)

    assert ok(api.request("POST", f"{path}/servers", {"server_ip": ["10.0.0.4", "10.0.0.3"]}))["pool"] == [
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.4",
    ]
    assert ok(api.request("DELETE", f"{path}/servers", {"server_ip": ["10.0.0.3"]}))["pool"] == ["10.0.0.2", "10.0.0.4"]
    assert ok(api.request("PUT", f"{path}/servers", {"server_ip": []}))["pool"] == []
    assert ok(api.request("PUT", f"{path}/healthcheck", {"port": 82}))["tcp_config"] == {}


NO_CHAIN = {"certificate_chain": "no PEM"}
FOREIGN_KEY = {"certificate_chain": pem_chain("a.example.com", stranger=True)}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("lbs", {"type": "LB-XXL"}, "type"),
        ("backends", {**BACKEND, "forward_port": 0}, "forward_port"),
        ("backends", {**BACKEND, "server_ip": ["web-1"]}, "server_ip"),
        ("backends", {**BACKEND, "server_ip": ["8.8.8.8"]}, "server_ip"),
        ("backends", {**BACKEND, "sticky_sessions": "always"}, "sticky_sessions"),
        ("backends", {**BACKEND, "max_retries": 33}, "max_retries"),
        ("backends", {**BACKEND, "timeout_queue": "5"}, "timeout_queue"),
        ("certificates", {"custom_certificate": NO_CHAIN}, "certificate_chain"),
        (
            "certificates",
            {"custom_certificate": FOREIGN_KEY},
            "certificate_chain",
        ),
        ("certificates", {"letsencrypt": {"common_name": "nowhere.example.com"}}, "dns_name"),
    ],
)
def test_unfit_input_is_refused(api: Api, path: str, body: Any, field: str) -> None:
    """400 `invalid_field` names the field."""
    parent = "" if path == "lbs" else f"lbs/{new_lb(api)['id']}/"
    status, refused = api.request("POST", f"{LB}/{parent}{path}", body)
    assert (status, refused["type"], refused["details"][0]["field"]) == (400, "invalid_field", field)


def test_what_is_used_cannot_go_and_what_is_absent_says_so(api: Api) -> None:
    """Deletion in the wrong order, and the 404s without a type."""
    lb = new_lb(api)
    backend = new_backend(api, lb)
    chain = {
        "custom_certificate": {"certificate_chain": pem_chain("example.com", "shop.example.com", "www.example.com")}
    }
    certificate = ok(api.request("POST", f"{LB}/lbs/{lb['id']}/certificates", chain))
    assert (certificate["status"], certificate["common_name"]) == ("ready", "shop.example.com")
    assert certificate["subject_alternative_name"] == ["www.example.com"]
    assert certificate["not_valid_after"] == "2027-01-01T00:00:00Z"
    listen = {"name": "https", "inbound_port": 443, "backend_id": backend["id"], "certificate_ids": [certificate["id"]]}
    frontend = ok(api.request("POST", f"{LB}/lbs/{lb['id']}/frontends", listen))
    assert frontend["certificate"]["id"] == certificate["id"]
    assert frontend["backend"]["id"] == backend["id"]
    match = {"match": {"host_header": "a.example.com"}, "backend_id": backend["id"]}
    ok(api.request("POST", f"{LB}/routes", {**match, "frontend_id": frontend["id"]}))
    assert api.request("POST", f"{LB}/lbs/{lb['id']}/frontends", listen)[0] == 400
    assert api.request("POST", f"{LB}/routes", {**match, "frontend_id": lb["id"]}) == (
        403,
        {"message": "permission denied"},
    )

    for path, user in ((f"certificates/{certificate['id']}", "certificate"), (f"backends/{backend['id']}", "backend")):
        message = f"operation was rejected because the {user} is used on a frontend"
        assert api.request("DELETE", f"{LB}/{path}") == (400, {"message": message})
    counts = ok(api.request("GET", f"{LB}/lbs/{lb['id']}"))
    assert [counts[f"{kind}_count"] for kind in ("frontend", "backend", "route")] == [1, 1, 1]
    for path in (f"frontends/{frontend['id']}", f"certificates/{certificate['id']}", f"backends/{backend['id']}"):
        ok(api.request("DELETE", f"{LB}/{path}"))
    words = {"backends": "backend", "frontends": "frontend", "certificates": "certificate", "acls": "acl", "ips": "ips"}
    for path, word in {**words, "routes": "privateNetwork", "lbs": "lbs"}.items():
        assert api.request("GET", f"{LB}/{path}/{frontend['id']}") == (404, {"message": f"{word} not Found"})
    assert api.request("GET", f"/lb/v1/zones/fr-par-2/lbs/{lb['id']}")[0] == 404


def test_letsencrypt_wants_every_name_to_lead_to_the_load_balancer(api: Api) -> None:
    """Refused for the common name, `error` for what only the issuance finds out."""
    lb = new_lb(api)
    address, own_name = lb["ip"][0]["ip_address"], lb["ip"][0]["reverse"]
    for name, kind, data in (
        ("lb", "A", address),
        ("www", "CNAME", "lb"),
        ("far", "A", "51.15.0.1"),
        ("*.x", "A", address),
    ):
        row = {"id": api.world.new_id(), "name": name, "type": kind, "data": data, "_zone": "example.com"}
        api.world.put("domain.records", row)
    certificates = f"{LB}/lbs/{lb['id']}/certificates"

    def order(name: str, *others: str) -> tuple[str, Any]:
        request = {"letsencrypt": {"common_name": name, "subject_alternative_name": list(others)}}
        status, body = api.request("POST", certificates, request)
        if status != 200:
            return "refused", body
        assert (body["status"], body["fingerprint"]) == ("pending", "")
        issued = ok(api.request("GET", f"{LB}/certificates/{body['id']}"))
        return issued["status"], issued

    status, refused = order("far.example.com")
    message = f"far.example.com not resolve to your Load Balancer IP {address}"
    assert (status, refused["details"][0]["message"]) == ("refused", message)
    assert order("www.example.com", "lb.example.com", "a.x.example.com")[0] == "ready"
    status, issued = order(own_name, f"sub.{own_name}")
    assert status == "ready"
    assert len(issued["fingerprint"]) == 40
    assert order("www.example.com", "far.example.com")[0] == "error"

    backend = new_backend(api, lb, forward_protocol="tcp")
    listen = {"name": "http", "inbound_port": 80, "backend_id": backend["id"]}
    ok(api.request("POST", f"{LB}/lbs/{lb['id']}/frontends", listen))
    assert order("www.example.com")[0] == "error"
    assert ok(api.request("GET", certificates))["total_count"] == 4


def test_statistics_follow_the_servers_behind_the_addresses(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is seen through the private network only, and comes and goes after several checks."""
    lb, network = new_lb(api), new_private_network(api)
    server, address = new_server(api, network)
    backend = new_backend(api, lb, server_ip=[address, "10.9.0.200"])

    def stats() -> dict[str, tuple[str, str]]:
        query = {"backend_id": backend["id"]}
        body = ok(api.request("GET", f"{LB}/lbs/{lb['id']}/backend-stats", query=query))
        assert body["total_count"] == 2 * len(lb["instances"])
        assert {row["instance_id"] for row in body["backend_servers_stats"]} == {each["id"] for each in lb["instances"]}
        rows = body["backend_servers_stats"]
        return {row["ip"]: (row["server_state"], row["last_health_check_status"]) for row in rows}

    nothing = ("stopped", "unknown")
    assert stats() == {address: nothing, "10.9.0.200": nothing}
    attach = {"private_network_id": network}
    answer = ok(api.request("POST", f"{LB}/lbs/{lb['id']}/attach-private-network", attach))
    assert (answer["status"], answer["ipam_ids"]) == ("pending", [])
    row = ok(api.request("GET", f"{LB}/lbs/{lb['id']}/private-networks"))["private_network"][0]
    assert row["status"] == "ready"
    assert row["dhcp_config"]["ip_id"] == row["ipam_ids"][0]
    assert stats() == {address: ("running", "passed"), "10.9.0.200": nothing}

    api.world.put("lb.health", {"id": f"{address}:8080", "passed": False})
    assert stats()[address] == ("stopped", "failed")
    api.world.remove("lb.health", f"{address}:8080")
    server["state"] = "stopped"
    assert stats()[address] == ("stopped", "failed")

    clock = Clock(api, monkeypatch)
    server["state"] = "running"
    states = []
    for seconds in (0, 5.9, 0.2):
        clock.advance(seconds)
        states.append(stats()[address])
    assert states == [("starting", "passed"), ("starting", "passed"), ("running", "passed")]
    server["state"] = "stopped"
    assert stats()[address] == ("stopping", "failed")
    clock.advance(9.1)
    assert stats()[address] == ("stopped", "failed")

    ok(api.request("POST", f"{LB}/lbs/{lb['id']}/detach-private-network", attach))
    clock.advance(1.1)
    assert ok(api.request("GET", f"{LB}/lbs/{lb['id']}"))["private_network_count"] == 0
    assert not [ip for ip in api.world.all("ipam.ips") if ip["resource"]["type"] == "lb_server"]


def test_acls_are_replaced_at_once_and_subscribers_and_offers_move(api: Api) -> None:
    """The rest of the writes, each with the refusal that belongs to it."""
    lb = new_lb(api)
    listen = {"name": "http", "inbound_port": 80, "backend_id": new_backend(api, lb)["id"]}
    frontend = ok(api.request("POST", f"{LB}/lbs/{lb['id']}/frontends", listen))
    acls = f"{LB}/frontends/{frontend['id']}/acls"
    redirect = {"type": "redirect", "redirect": {"type": "scheme", "target": "https", "code": 301}}
    first = ok(api.request("POST", acls, {"name": "old", "index": 1, "action": {"type": "allow"}}))
    assert (first["match"], first["action"]) == (None, {"type": "allow", "redirect": None})
    match = {"http_filter": "path_begin", "http_filter_value": ["/"]}
    wanted = {"acls": [{"name": "new", "index": 2, "action": redirect, "match": match, "description": ""}]}
    assert ok(api.request("PUT", acls, wanted))["acls"][0]["action"] == redirect
    assert [acl["name"] for acl in ok(api.request("GET", acls))["acls"]] == ["new"]
    no_target = {"name": "x", "index": 3, "action": {"type": "redirect"}}
    assert api.request("POST", acls, no_target)[0] == 400

    subscriber = ok(
        api.request("POST", f"{LB}/subscribers", {"name": "ops", "email_config": {"email": "ops@example.com"}})
    )
    body = {"subscriber_id": subscriber["id"]}
    assert ok(api.request("POST", f"{LB}/lb/{lb['id']}/subscribe", body))["subscriber"]["name"] == "ops"
    assert api.request("DELETE", f"{LB}/lb/subscription/{subscriber['id']}")[0] == 400
    assert ok(api.request("DELETE", f"{LB}/lb/{lb['id']}/unsubscribe"))["subscriber"] is None

    moving = ok(api.request("POST", f"{LB}/lbs/{lb['id']}/migrate", {"type": "LB-GP-M"}))
    assert (moving["status"], moving["type"]) == ("migrating", "lb-s")
    moved = ok(api.request("GET", f"{LB}/lbs/{lb['id']}"))
    assert (moved["status"], moved["type"]) == ("ready", "lb-gp-m")


@pytest.mark.parametrize(
    ("written", "shown"),
    [("0.500000000s", "0.500s"), ("4s", "4s"), ("0s", "0s"), ("1.2345s", "1.234500s"), (None, "5s")],
)
def test_durations_have_three_six_or_nine_decimals(written: str | None, shown: str) -> None:
    """The form in which the API repeats a duration."""
    assert duration(written, "5s", "field") == shown
