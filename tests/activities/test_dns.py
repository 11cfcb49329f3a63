"""DNS zones and records against the local Scaleway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from activities.cloud import Cloud
from activities.kinds.dns import DnsRecordLifecycle, DnsZoneLifecycle
from activities.lifecycle import NO_PARENT, Parent, Scope
from blueprint.errors import Gone, Refused, Unavailable
from blueprint.resource import Observed, Resource
from tests.activities.conftest import Control, declared, differences

ZONES = "/domain/v2beta1/dns-zones"
ZONE = "lssm.tech"
PARENT = Parent(ZONE, ZONE)
PATCH = "PATCH /domain/v2beta1/dns-zones/{dns_zone}/records"
LONG = "v=DKIM1; p=" + "A" * 300

RECORDS: list[dict[str, Any]] = [
    {"name": "api", "type": "A", "values": ["203.0.113.8", "203.0.113.7"], "ttl": 300},
    {"name": "api", "type": "AAAA", "values": ["2001:DB8:0::7"]},
    {"name": "www", "type": "CNAME", "values": ["api"]},
    {"name": "app", "type": "CNAME", "values": ["CNAME.vercel-dns.com."]},
    {"type": "ALIAS", "values": ["api"]},
    {"type": "TXT", "values": ["v=spf1 -all", LONG, r'a "quoted" back\slash', '"quoted already"']},
    {"type": "MX", "priority": 10, "values": ["mail", "mx.example.org."]},
    {"type": "CAA", "values": ['0 issue "letsencrypt.org"']},
    {"name": "_sip._tcp", "type": "SRV", "priority": 5, "values": ["10 443 sip.example.org."]},
    {"name": "inner", "type": "NS", "values": ["ns.example.org."]},
    {"name": "*", "type": "A", "values": ["203.0.113.9"]},
]


def wanted(records: Sequence[dict[str, Any]], zone: str = ZONE) -> list[Resource]:
    """The record sets of a zone with these records."""
    found = declared({"dns": {zone: {"records": list(records)}}}).values()
    kept = [resource for resource in found if resource.kind == "dns_record"]
    return [resource.model_copy(update={"inputs": {"parent_id": zone}}) for resource in kept]


def listed(cloud: Cloud) -> dict[str, Observed]:
    """What a plan sees in the zone."""
    return {item.name: item for item in DnsRecordLifecycle(cloud).list(PARENT, Scope())}


def served(emulator: Control) -> set[tuple[str, str, str]]:
    """Name, type and data of all records, Scaleway's own left out."""
    found = emulator.call("GET", f"{ZONES}/{ZONE}/records", query={"page_size": 1000})["records"]
    return {(r["name"], r["type"], r["data"]) for r in found if r["name"] or r["type"] != "NS"}


def by_hand(emulator: Control, *records: dict[str, Any]) -> None:
    """Add records as somebody else would."""
    emulator.call("PATCH", f"{ZONES}/{ZONE}/records", {"changes": [{"add": {"records": list(records)}}]})


@pytest.fixture(autouse=True)
def zone(emulator: Control) -> None:
    """A zone with nothing in it."""
    emulator.call("POST", ZONES, {"domain": ZONE, "subdomain": ""})


def test_every_type_reads_back_as_declared(cloud: Cloud) -> None:
    """Names are completed, texts quoted, priorities put first; none of it shows as a difference."""
    resources = wanted(RECORDS)
    assert DnsRecordLifecycle(cloud).create_all(resources) == [resource.name for resource in resources]

    found = listed(cloud)
    assert set(found) == {resource.name for resource in resources}
    for resource in resources:
        assert not differences(resource, found[resource.name]), resource.name
        assert found[resource.name].ownership == "ours"


def test_updates(cloud: Cloud, emulator: Control) -> None:
    """Values and times to live, of several sets in one call, as often as it takes."""
    lifecycle = DnsRecordLifecycle(cloud)
    lifecycle.create_all(wanted(RECORDS))
    resources = wanted(
        [
            {"name": "api", "type": "A", "values": ["203.0.113.1"], "ttl": 60},
            {"name": "www", "type": "CNAME", "values": ["app"]},
            {"type": "TXT", "values": ["v=spf1 mx -all"], "ttl": 7200},
        ]
    )
    items = [listed(cloud)[resource.name] for resource in resources]
    found = [differences(resource, item) for resource, item in zip(resources, items, strict=True)]
    assert [[difference.path for difference in each] for each in found] == [
        ["ttl", "values"],
        ["values"],
        ["ttl", "values"],
    ]
    emulator.call("DELETE", "/_emulator/requests")

    lifecycle.update_all(resources, items, found)
    lifecycle.update_all(resources, items, found)

    assert emulator.requests()["operations"] == {PATCH: 2}
    for resource in resources:
        assert not differences(resource, listed(cloud)[resource.name])


def test_lost_answer(cloud: Cloud, emulator: Control) -> None:
    """Sent twice, the records are there once."""
    lifecycle, resources = DnsRecordLifecycle(cloud), wanted(RECORDS)
    emulator.faults({"operation": PATCH, "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create_all(resources)
    before = served(emulator)

    lifecycle.create_all(resources)

    assert served(emulator) == before
    assert len(before) == sum(len(record["values"]) for record in RECORDS)


def test_deletes_nothing_but_ours(cloud: Cloud, emulator: Control) -> None:
    """Of a set that is partly ours only our values go; the zone's name servers and other sets are not looked at."""
    lifecycle = DnsRecordLifecycle(cloud)
    lifecycle.create_all(wanted(RECORDS))
    by_hand(
        emulator,
        {"name": "", "type": "TXT", "data": "google-site-verification=1", "ttl": 60},
        {"name": "blog", "type": "A", "data": "203.0.113.99", "ttl": 60},
    )
    found = listed(cloud)
    assert found[f"{ZONE}/blog/A"].ownership == "foreign"
    assert found[f"{ZONE}/@/TXT"].ownership == "ours"
    assert not differences(
        next(each for each in wanted(RECORDS) if each.name == f"{ZONE}/@/TXT"), found[f"{ZONE}/@/TXT"]
    )

    ours = [item for item in found.values() if item.ownership == "ours"]
    lifecycle.delete_all(ours)
    lifecycle.delete_all(ours)

    assert served(emulator) == {("", "TXT", '"google-site-verification=1"'), ("blog", "A", "203.0.113.99")}
    name_servers = emulator.call("GET", f"{ZONES}/{ZONE}/records", query={"type": "NS"})["records"]
    assert len(name_servers) == 2


def test_changes_nothing_but_ours(cloud: Cloud, emulator: Control) -> None:
    """A value that somebody put beside ours outlives a change of ours."""
    lifecycle = DnsRecordLifecycle(cloud)
    lifecycle.create_all(wanted([{"type": "MX", "priority": 10, "values": ["old", "kept"]}]))
    by_hand(emulator, {"name": "", "type": "MX", "data": "elsewhere", "priority": 30, "ttl": 60})
    (resource,) = wanted([{"type": "MX", "priority": 10, "values": ["kept", "new"]}])
    item = listed(cloud)[resource.name]
    for _ in range(2):
        lifecycle.update(resource, item, differences(resource, item))

    assert {data for _, _, data in served(emulator)} == {
        "10 kept.lssm.tech.",
        "10 new.lssm.tech.",
        "30 elsewhere.lssm.tech.",
    }
    assert not differences(resource, listed(cloud)[resource.name])


def test_adopting_takes_over_the_whole_set(cloud: Cloud, emulator: Control) -> None:
    """Foreign until then, and as declared afterwards."""
    by_hand(emulator, *({"name": "api", "type": "A", "data": f"203.0.113.{n}", "ttl": 60} for n in (1, 2)))
    (resource,) = wanted([{"name": "api", "type": "A", "values": ["203.0.113.2"]}])
    item = listed(cloud)[resource.name]
    assert item.ownership == "foreign"

    DnsRecordLifecycle(cloud).update(resource, item, differences(resource, item))

    assert served(emulator) == {("api", "A", "203.0.113.2")}
    assert listed(cloud)[resource.name].ownership == "ours"


def test_requests_for_many_records(cloud: Cloud, emulator: Control) -> None:
    """Two thousand records are a page for each hundred; a hundred are written by one call and awaited by another."""
    records = [{"name": f"n{n}", "type": "A", "values": ["203.0.113.1"]} for n in range(2000)]
    resources, lifecycle = wanted(records), DnsRecordLifecycle(cloud)
    emulator.call("DELETE", "/_emulator/requests")
    for start in range(0, 2000, 100):
        lifecycle.create_all(resources[start : start + 100])
        batch = resources[start : start + 100]
        lifecycle.read_all([Observed(kind=each.kind, name=each.name, id=each.name) for each in batch])
    assert len(listed(cloud)) == 2000

    counted = emulator.requests()["operations"]
    assert counted == {PATCH: 20, f"GET {ZONES}": 20, f"GET {ZONES}/{{dns_zone}}/records": 21}


def test_ready_means_the_zone_is(cloud: Cloud, emulator: Control) -> None:
    """The name servers take a while."""
    emulator.faults({"operation": PATCH, "kind": "stuck"})
    lifecycle, resources = DnsRecordLifecycle(cloud), wanted(RECORDS[:1])
    lifecycle.create_all(resources)
    item = lifecycle.read(listed(cloud)[resources[0].name])
    assert (item.status, item.health) == ("pending", "pending")

    emulator.call("POST", f"{ZONES}/{ZONE}/refresh")
    assert lifecycle.read(item).health == "ok"


def test_a_missing_zone_is_not_made_by_the_way(cloud: Cloud, emulator: Control) -> None:
    """Records of a zone that is not there are refused, and so is a look at them."""
    lifecycle = DnsRecordLifecycle(cloud)
    (resource,) = wanted(RECORDS[:1], "stg.lssm.tech")
    with pytest.raises(Gone):
        lifecycle.create(resource)
    with pytest.raises(Gone):
        lifecycle.read(Observed(kind="dns_record", name=resource.name, id=resource.name))
    assert emulator.call("GET", ZONES)["total_count"] == 1


def test_zones(cloud: Cloud, emulator: Control) -> None:
    """A sub-zone is made once and can be deleted; a root zone goes with its domain; others' zones do not concern us."""
    lifecycle = DnsZoneLifecycle(cloud)
    resources = declared({"dns": {ZONE: {}, "stg.lssm.tech": {}}})
    sub = resources["dns_zone.stg.lssm.tech"]
    emulator.faults({"operation": f"POST {ZONES}", "kind": "response_lost"})
    with pytest.raises(Unavailable):
        lifecycle.create(sub)
    (found,) = lifecycle.find(sub)
    assert (found.id, found.health, found.inputs) == ("stg.lssm.tech", "ok", {"root": False})

    both = Scope(names=frozenset({ZONE, "stg.lssm.tech", "missing.example"}))
    listed = {item.name: item for item in lifecycle.list(NO_PARENT, both)}
    assert {name: item.inputs["root"] for name, item in listed.items()} == {ZONE: True, "stg.lssm.tech": False}
    assert not list(lifecycle.list(NO_PARENT, Scope()))

    lifecycle.delete(found)
    assert not lifecycle.find(sub)
    with pytest.raises(Gone):
        lifecycle.delete(found)

    lifecycle.delete(listed[ZONE])
    assert not list(lifecycle.list(NO_PARENT, both))


def test_unknown_domain(cloud: Cloud) -> None:
    """A sub-zone needs its domain; the refusal says how to bring it in."""
    resource = declared({"dns": {"stg.elsewhere.org": {}}})["dns_zone.stg.elsewhere.org"]
    with pytest.raises(Refused, match="external domain"):
        DnsZoneLifecycle(cloud).create(resource)
