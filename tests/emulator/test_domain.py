"""Zones and records: the normal forms, the refusals, and that a PATCH is all or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from scaleway import Client
from scaleway.domain.v2beta1 import (
    DomainV2Beta1API,
    Record,
    RecordChange,
    RecordChangeSet,
    RecordIdentifier,
    RecordType,
)

from tests.emulator.conftest import KEY, Api

ROOT = "/domain/v2beta1/dns-zones"


@pytest.fixture
def zone(api: Api) -> Api:
    """An emulator with the root zone lssm.tech."""
    status, body = api.request("POST", ROOT, {"domain": "lssm.tech", "subdomain": ""})
    assert status == 200, body
    return api


def patch(api: Api, *changes: dict[str, Any], name: str = "lssm.tech", **options: Any) -> tuple[int, Any]:
    """Change the records of a zone, without creating zones unless asked."""
    body = {"changes": list(changes), "disallow_new_zone_creation": True, **options}
    return api.request("PATCH", f"{ROOT}/{name}/records", body)


def add(*records: dict[str, Any]) -> dict[str, Any]:
    """A change that adds records."""
    return {"add": {"records": list(records)}}


def record(name: str, kind: str, data: str, **fields: Any) -> dict[str, Any]:
    """A record as a client sends it."""
    return {"name": name, "type": kind, "data": data, "ttl": 300, "priority": 0, **fields}


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    """The records of lssm.tech that match."""
    _, body = api.request("GET", f"{ROOT}/lssm.tech/records", query={"page_size": 100, **query})
    found: list[dict[str, Any]] = body["records"]
    return found


@pytest.mark.parametrize(
    ("sent", "name", "data", "priority"),
    [
        (record("api", "A", "51.15.1.1"), "api", "51.15.1.1", 0),
        (record("@", "TXT", "v=spf1 -all"), "", '"v=spf1 -all"', 0),
        (record("_dmarc.lssm.tech.", "TXT", '"v=DMARC1"'), "_dmarc", '"v=DMARC1"', 0),
        (record("www", "CNAME", "api"), "www", "api.lssm.tech.", 0),
        (record("app", "CNAME", "cname.vercel-dns.com."), "app", "cname.vercel-dns.com.", 0),
        (record("", "MX", "mail.example.com.", priority=10), "", "10 mail.example.com.", 10),
        (record("_sip._tcp", "SRV", "100 1 3128 box.example.com."), "_sip._tcp", "100 1 3128 box.example.com.", 100),
    ],
)
def test_records_are_kept_in_their_full_form(
    zone: Api, sent: dict[str, Any], name: str, data: str, priority: int
) -> None:
    """Names become relative, targets absolute, texts quoted; priorities are part of the data."""
    status, body = patch(zone, add(sent))
    assert status == 200, body
    stored = body["records"][0]
    assert (stored["name"], stored["data"], stored["priority"]) == (name, data, priority)
    assert stored["comment"] is None
    assert "view_config" not in stored


@pytest.mark.parametrize(
    "bad",
    [
        record("a", "A", "300.1.1.1"),
        record("a", "A", "2001:db8::1"),
        record("a", "FOO", "x"),
        record("a", "A", "1.1.1.1", ttl=5),
        record("", "CNAME", "api"),
        record("taken", "CNAME", "api"),
        record("taken", "A", "1.1.1.1"),
        record("a" * 64, "A", "1.1.1.1"),
        record("m", "MX", "ten mail."),
    ],
)
def test_a_patch_is_all_or_nothing(zone: Api, bad: dict[str, Any]) -> None:
    """One bad record among good ones leaves the zone as it was."""
    patch(zone, add(record("taken", "A", "1.1.1.1")))
    before = listed(zone)
    status, body = patch(
        zone, add(record("good", "A", "1.1.1.1")), {"delete": {"id": before[-1]["id"]}}, add(bad), add(bad)
    )
    assert (status, body["message"].startswith("invalid argument: ")) == (400, True)
    assert listed(zone) == before


def test_set_by_fields_is_an_upsert_that_keeps_ids(zone: Api) -> None:
    """What is set replaces what the fields name."""

    def put(*addresses: str) -> list[dict[str, Any]]:
        records = [record("api", "A", address) for address in addresses]
        status, body = patch(zone, {"set": {"id_fields": {"name": "api", "type": "A"}, "records": records}})
        assert status == 200, body
        return listed(zone, name="api")

    first = put("1.1.1.1", "2.2.2.2")
    assert put("1.1.1.1", "2.2.2.2") != []
    second = put("3.3.3.3")
    assert [r["data"] for r in second] == ["3.3.3.3"]
    assert second[0]["id"] == first[0]["id"]
    assert put() == []


def test_delete_clear_and_all_records(zone: Api) -> None:
    """Deletion by fields and by id, and everything but the name servers."""
    patch(zone, add(record("a", "A", "1.1.1.1"), record("a", "A", "2.2.2.2"), record("b", "TXT", "x")))
    status, body = patch(
        zone, {"delete": {"id_fields": {"name": "a", "type": "A", "data": "2.2.2.2"}}}, return_all_records=True
    )
    assert status == 200
    assert [(r["name"], r["type"]) for r in body["records"]] == [("", "NS"), ("", "NS"), ("a", "A"), ("b", "TXT")]
    assert patch(zone, {"delete": {"id": body["records"][2]["id"]}}) == (200, {"records": []})
    assert patch(zone, {"delete": {"id": body["records"][2]["id"]}})[0] == 404
    assert patch(zone, {"clear": {}})[0] == 200
    assert [r["data"] for r in listed(zone)] == ["ns0.dom.scw.cloud.", "ns1.dom.scw.cloud."]


def test_missing_zones_and_roots(zone: Api) -> None:
    """403 for a missing sub-zone, and a root zone that goes with its domain only."""
    new = add(record("a", "A", "1.1.1.1"))
    assert patch(zone, new, name="sub.lssm.tech") == (403, {"message": "subdomain not found"})
    assert patch(zone, add(record("", "CNAME", "x")), name="sub.lssm.tech", disallow_new_zone_creation=False)[0] == 400
    assert zone.request("GET", f"{ROOT}/sub.lssm.tech/records") == (403, {"message": "subdomain not found"})
    assert patch(zone, new, name="sub.lssm.tech", disallow_new_zone_creation=False)[0] == 200
    assert zone.request("DELETE", f"{ROOT}/sub.lssm.tech") == (200, {})
    assert zone.request("DELETE", f"{ROOT}/sub.lssm.tech") == (403, {"message": "subdomain not found"})
    assert zone.request("DELETE", f"{ROOT}/lssm.tech") == (403, {"message": "root zone can't be deleted"})
    assert zone.request("POST", ROOT, {"domain": "lssm.tech", "subdomain": ""})[0] == 409
    assert zone.request("POST", ROOT, {"domain": "other.tech", "subdomain": "a"})[0] == 404
    taken = zone.request("POST", "/domain/v2beta1/external-domains", {"domain": "a.lssm.tech"})
    assert taken == (403, {"message": "the domain lssm.tech is already registered"})
    assert zone.request("DELETE", "/domain/v2beta1/external-domains/lssm.tech") == (200, {})
    assert zone.world.all("domain.records") == []


def test_zone_is_pending_until_propagated(zone: Api) -> None:
    """Each change starts the wait anew."""

    def status() -> str:
        _, body = zone.request("GET", ROOT, query={"dns_zones": "lssm.tech", "domain": ""})
        return str(body["dns_zones"][0]["status"])

    zone.world.latency = 1.0
    patch(zone, add(record("a", "A", "1.1.1.1")))
    zone.world.latency = 0.0
    assert status() == "pending"
    patch(zone, add(record("b", "A", "1.1.1.1")))
    assert status() == "active"


def test_versions_lead_back(zone: Api) -> None:
    """A version shows the records as they were, and can be restored."""
    patch(zone, add(record("a", "A", "1.1.1.1")))
    patch(zone, {"set": {"id_fields": {"name": "a", "type": "A"}, "records": [record("a", "A", "2.2.2.2")]}})
    patch(zone, {"clear": {}})
    _, body = zone.request("GET", f"{ROOT}/lssm.tech/versions")
    assert body["total_count"] == 3
    oldest = body["versions"][-2]["id"]
    _, then = zone.request("GET", f"{ROOT}/version/{oldest}")
    assert [r["data"] for r in then["records"] if r["type"] == "A"] == ["1.1.1.1"]
    assert zone.request("POST", f"{ROOT}/version/{oldest}/restore")[0] == 200
    assert [r["data"] for r in listed(zone, type="A")] == ["1.1.1.1"]


def test_python_sdk_reads_zones_and_records(zone: Api) -> None:
    """What the engine calls parses into the SDK's types."""
    client = Client(api_url=zone.url, access_key="SCWLOCAL000000000000", secret_key=KEY)
    dns = DomainV2Beta1API(client)
    new = Record(data="1.2.3.4", name="api", priority=0, ttl=600, type_=RecordType.A, id="")
    fields = RecordIdentifier(name="api", type_=RecordType.A)
    change = RecordChange(set_=RecordChangeSet(records=[new], id_fields=fields))
    dns.update_dns_zone_records(dns_zone="lssm.tech", changes=[change], disallow_new_zone_creation=True)
    assert [z.subdomain for z in dns.list_dns_zones_all(domain="", page_size=100)] == [""]
    found = dns.list_dns_zone_records_all(dns_zone="lssm.tech", name="api", page_size=100)
    assert [(r.name, r.data, r.ttl) for r in found] == [("api", "1.2.3.4", 600)]
