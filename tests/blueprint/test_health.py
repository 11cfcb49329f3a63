"""What there is to check, and what an answer means."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.contract import Target
from blueprint.environment import parse
from blueprint.errors import EnvironmentFileError
from blueprint.graph import resources_of
from blueprint.health.contract import Check, HealthSite, Host, Records, Zone
from blueprint.health.site_of import health_site
from blueprint.health.verdicts import (
    DAY,
    Answer,
    Looked,
    certificate_check,
    echo_check,
    graphql_check,
    response_check,
    zone_check,
)
from blueprint.health.wording import health_markdown
from blueprint.resource import Resource

TARGET = Target(org="lssm", env="prod", region="fr-par", zone="fr-par-1")
BALANCER = ("203.0.113.7", "2001:db8::7")
MINIMAL: dict[str, Any] = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}
BASTION = {"network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["203.0.113.0/24"]}}}}
FULL: dict[str, Any] = {
    **MINIMAL,
    **BASTION,
    "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm ops"},
    "nodes": {"core": {}},
    "postgresql": {"databases": ["shop", "bills"]},
    "redis": {},
    "sqs": {"queues": {"lssm/jobs": {"dlq": True}, "lssm/mails": {"fifo": True}}},
    "load_balancer": {
        "backends": {"api": {"nodes": "core"}},
        "certificates": {"api": {"domains": ["api.example.org", "www.example.org"]}},
    },
    "dns": {
        "example.org": {"records": [{"name": name, "target": "load_balancer"} for name in ("api", "www")]},
        "empty.org": {},
    },
    "health": {"rest": "/rest/release", "graphql": "/graphql", "websocket": "/ws"},
}


def site(data: dict[str, Any]) -> HealthSite:
    """What of a file is checked."""
    return health_site(parse(data), TARGET)


def resources(data: dict[str, Any]) -> dict[str, Resource]:
    """What a file asks for."""
    return {resource.key: resource for resource in resources_of(parse(data))}


# -- what is checked ---------------------------------------------------------------------------------------------


def test_everything_that_a_file_declares() -> None:
    """Zones with records, certificates, paths, queues, databases and Redis."""
    found = site(FULL)

    records = tuple(Records(name=f"{name}.example.org", type="A") for name in ("api", "www"))
    assert found.zones == (Zone(name="example.org", records=records),)
    assert found.traffic
    assert found.traffic.url == "https://api.example.org"
    assert (found.traffic.path, found.traffic.rest) == ("/healthz", "/rest/release")
    assert found.traffic.hosts == (Host(name="api.example.org"), Host(name="www.example.org"))
    assert found.queues
    assert (found.queues.names, found.queues.own) == (("lssm-prod-jobs", "lssm-prod-mails.fifo"), "lssm-prod-health")
    assert found.inside
    assert found.inside.nodes == ("lssm-prod-core-01",)
    assert [asset.name for asset in found.inside.databases] == ["shop", "bills"]
    assert found.inside.cache


def test_without_the_section_no_message_is_sent() -> None:
    """There is no queue for it then; all that only looks is still looked at, for `status --live`."""
    data = {key: value for key, value in FULL.items() if key != "health"}
    found = site(data)

    assert found.queues
    assert not found.queues.own
    assert found.traffic
    assert not found.traffic.graphql
    assert "queue.lssm-prod-health" not in resources(data)
    assert "schedule.health" not in resources(data)
    assert site(MINIMAL) == HealthSite(target=TARGET)


@pytest.mark.parametrize(
    ("sections", "url"),
    [
        ({"health": {"url": "http://127.0.0.1:8080"}}, "http://127.0.0.1:8080"),
        ({"health": {}}, "https://api.example.org"),
        ({"health": {}, "load_balancer": {"backends": {"api": {"nodes": "core"}}}}, ""),
    ],
    ids=["given", "certificate", "nowhere"],
)
def test_where_users_find_the_application(sections: dict[str, Any], url: str) -> None:
    """What the file says, or the first certificate's name."""
    traffic = site(FULL | sections).traffic
    assert (traffic.url if traffic else "") == url


def test_the_schedule() -> None:
    """Every five minutes unless the file says otherwise; it carries what is checked, and changes with that."""
    found = resources(FULL)["schedule.health"]

    assert found.fields["every"] == 300.0
    assert found.fields["starts"]["workflow"] == "Health"
    assert HealthSite.model_validate({**found.inputs["health"], "target": TARGET}) == site(FULL)
    other = resources(FULL | {"health": {}})["schedule.health"]
    assert other.fields["file"] != found.fields["file"]
    assert "schedule.health" not in resources(FULL | {"schedules": {"health": None}})


def test_the_queue_of_their_own() -> None:
    """What is left in it is hidden for a second and gone after a minute; no application may call one so."""
    fields = resources(FULL)["queue.lssm-prod-health"].fields

    assert (fields["visibility_timeout"], fields["retention"], fields["redrive"]) == (1, 60, None)
    with pytest.raises(EnvironmentFileError, match="of their own"):
        parse(FULL | {"sqs": {"queues": {"lssm/health": {}}}})


def test_paths_without_a_place_are_refused() -> None:
    """Nobody would notice that they are never asked."""
    with pytest.raises(EnvironmentFileError, match="where is that path"):
        parse(MINIMAL | {"health": {"graphql": "/graphql"}})


# -- what an answer means ----------------------------------------------------------------------------------------


def a(*values: str, type: str = "A") -> Zone:
    """A zone with one record set."""
    return Zone(name="example.org", records=(Records(name="api.example.org", type=type, values=values),))


@pytest.mark.parametrize(
    ("zone", "looked", "trouble"),
    [
        (a(), Looked(("203.0.113.7",)), ""),
        (a(type="AAAA"), Looked(("2001:db8::7",)), ""),
        (a(), Looked(("203.0.113.8",)), "api.example.org A is 203.0.113.8, not 203.0.113.7"),
        (a(), Looked(("203.0.113.7", "203.0.113.8")), "api.example.org A is 203.0.113.7, 203.0.113.8, not 203.0.113.7"),
        (a(), Looked(), "api.example.org A is nothing, not 203.0.113.7"),
        (a("192.0.2.1", "192.0.2.2"), Looked(("192.0.2.2", "192.0.2.1")), ""),
        (a("cname.vercel-dns.com.", type="CNAME"), Looked(("CNAME.vercel-dns.com.",)), ""),
        (a("10 mx.example.org.", type="MX"), Looked(("10 MX.example.org.",)), ""),
        (
            a("10 mx.org.", type="MX"),
            Looked(("20 mx.org.",)),
            "api.example.org MX is 20 mx.org., not 10 mx.org.",
        ),
        (a("hello", type="TXT"), Looked(('"hello"',)), ""),
        (a("hello", type="TXT"), Looked(), "api.example.org TXT: no such record"),
        (a("www.example.com", type="ALIAS"), Looked(), ""),
        (a(), Looked(trouble="the name does not exist"), "api.example.org A: the name does not exist"),
    ],
)
def test_zones(zone: Zone, looked: Looked, trouble: str) -> None:
    """Addresses and aliases have to be those declared, in any order and spelling; others have to be there."""
    found = zone_check(zone, [looked], BALANCER, 0.1)
    assert (found.name, found.up, found.trouble) == ("dns/example.org", not trouble, trouble)


def test_a_zone_that_is_gone_is_one_line() -> None:
    """However many records it has: results are kept."""
    zone = Zone(name="z.org", records=tuple(Records(name=f"r{n}.z.org", type="A") for n in range(200)))
    found = zone_check(zone, [Looked(trouble="timeout " * 50)] * 200, BALANCER, 1.0)
    assert len(found.trouble) == 300


@pytest.mark.parametrize(
    ("left", "trouble", "expected"),
    [
        (30 * DAY, "", ""),
        (21 * DAY, "", ""),
        (21 * DAY - 1, "", "the certificate ends in 20 days: it was not renewed"),
        (-DAY, "", "the certificate ends in 0 days: it was not renewed"),
        (None, "the certificate is not valid: self-signed certificate", None),
    ],
)
def test_certificates(left: float | None, trouble: str, expected: str | None) -> None:
    """Valid, and for three weeks still."""
    found = certificate_check("tls/api.example.org", 0.1, left, trouble, days=21)
    assert found.trouble == (trouble if expected is None else expected)
    assert found.up == (not found.trouble)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Answer(0.1, 200), ""),
        (Answer(0.1, 204), ""),
        (Answer(0.1, 302), "it answers 302"),
        (Answer(0.1, 503), "it answers 503"),
        (Answer(9.9, trouble="no answer in time"), "no answer in time"),
    ],
)
def test_answers(answer: Answer, trouble: str) -> None:
    """Any of 2xx will do."""
    assert response_check("healthz", answer).trouble == trouble


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (200, '{"data": {"__typename": "Query"}}', ""),
        (200, '{"errors": [{"message": "no schema"}]}', "it answers with an error: no schema"),
        (200, '{"errors": ["?"]}', "it answers with an error"),
        (200, '{"errors": [], "data": {"__typename": "Query"}}', ""),
        (200, '{"data": {}}', "it does not answer what was asked"),
        (200, '{"data": null}', "it does not answer what was asked"),
        (200, "<html>", "it answers with something else than JSON"),
        (200, "[]", "it answers with something else than a result"),
        (502, '{"data": {"__typename": "Query"}}', "it answers 502"),
    ],
)
def test_graphql(status: int, body: str, trouble: str) -> None:
    """It says 200 to errors, too."""
    assert graphql_check(Answer(0.1, status, body)).trouble == trouble


@pytest.mark.parametrize(
    ("received", "trouble", "expected"),
    [
        (['{"release": "abc"}', "health-1"], "", ""),
        (['"health-1"'], "closed", ""),
        (['{"release": "abc"}'], "it was closed before the echo", "it was closed before the echo"),
        (["health-2"], "", "what was sent did not come back"),
    ],
)
def test_echoes(received: list[str], trouble: str, expected: str) -> None:
    """Among whatever else a server says."""
    assert echo_check("health-1", received, 0.1, trouble).trouble == expected


def test_the_page_of_a_run() -> None:
    """What fails comes first, with its reason; what others say breaks no table."""
    checks = (Check(name="healthz", up=True, seconds=0.1), Check(name="rest", up=False, trouble="a | <b>"))
    page = health_markdown("lssm-prod", checks, ["no way there"])

    assert "**1 of 2 checks fail**" in page
    assert page.index("`rest`") < page.index("`healthz`")
    assert "a \\| &lt;b>" in page
    assert "- **could not be checked**: no way there" in page
    assert "all 1 checks are well" in health_markdown("lssm-prod", checks[:1])
