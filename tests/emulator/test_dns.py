"""The name server, asked over UDP and TCP."""

from __future__ import annotations

from typing import Any

import pytest
from dnslib import RCODE, DNSRecord

from tests.emulator.conftest import Api
from tests.emulator.test_domain import ROOT, add, patch, record

RECORDS = [
    record("api", "A", "51.15.1.1"),
    record("api", "A", "51.15.1.2"),
    record("api", "AAAA", "2001:db8::1"),
    record("www", "CNAME", "api"),
    record("app", "CNAME", "cname.vercel-dns.com."),
    record("", "ALIAS", "api"),
    record("", "TXT", "v=spf1 -all"),
    record("", "MX", "mail", priority=10),
    record("", "CAA", '0 issue "letsencrypt.org"'),
    record("_x._tcp", "SRV", "1 2 443 api"),
    record("*", "A", "9.9.9.9"),
    record("deep.er", "A", "8.8.8.8"),
    record("long", "TXT", "x" * 600),
    record("sub", "NS", "ns1.example.com."),
    record("local", "A", "1.1.1.1", view_config={"views": [{"subnet": "127.0.0.0/8", "data": "10.0.0.1"}]}),
]


@pytest.fixture
def server(api: Api) -> tuple[str, int]:
    """The address of a name server with those records."""
    api.request("POST", ROOT, {"domain": "lssm.tech", "subdomain": ""})
    status, body = patch(api, add(*RECORDS))
    assert status == 200, body
    host, port = api.emulator.planes["dns"].url.split(":")
    return host, int(port)


def ask(server: tuple[str, int], name: str, kind: str, tcp: bool = False) -> Any:
    """The parsed reply to one question."""
    question = DNSRecord.question(name, kind)
    return DNSRecord.parse(question.send(*server, tcp=tcp, timeout=5))


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "answers"),
    [
        ("api.lssm.tech", "A", ["51.15.1.1", "51.15.1.2"]),
        ("API.lssm.tech", "AAAA", ["2001:db8::1"]),
        ("www.lssm.tech", "A", ["api.lssm.tech.", "51.15.1.1", "51.15.1.2"]),
        ("www.lssm.tech", "CNAME", ["api.lssm.tech."]),
        ("app.lssm.tech", "A", ["cname.vercel-dns.com."]),
        ("lssm.tech", "A", ["51.15.1.1", "51.15.1.2"]),
        ("lssm.tech", "TXT", ['"v=spf1 -all"']),
        ("lssm.tech", "MX", ["10 mail.lssm.tech."]),
        ("lssm.tech", "NS", ["ns0.dom.scw.cloud.", "ns1.dom.scw.cloud."]),
        ("lssm.tech", "CAA", ['0 issue "letsencrypt.org"']),
        ("_x._tcp.lssm.tech", "SRV", ["1 2 443 api.lssm.tech."]),
        ("anything.lssm.tech", "A", ["9.9.9.9"]),
        ("local.lssm.tech", "A", ["10.0.0.1"]),
    ],
)
def test_answers(server: tuple[str, int], name: str, kind: str, answers: list[str], tcp: bool) -> None:
    """The same over UDP and TCP."""
    reply = ask(server, name, kind, tcp)
    assert (reply.header.rcode, reply.header.aa) == (RCODE.NOERROR, 1)
    assert [str(rr.rdata) for rr in reply.rr] == answers


@pytest.mark.parametrize(
    ("name", "kind", "code", "authority"),
    [
        ("er.lssm.tech", "A", RCODE.NOERROR, "SOA"),
        ("x.er.lssm.tech", "A", RCODE.NXDOMAIN, "SOA"),
        ("api.lssm.tech", "MX", RCODE.NOERROR, "SOA"),
        ("host.sub.lssm.tech", "A", RCODE.NOERROR, "NS"),
        ("example.com", "A", RCODE.REFUSED, None),
    ],
)
def test_names_without_an_answer(
    server: tuple[str, int], name: str, kind: str, code: int, authority: str | None
) -> None:
    """No data, no name, somebody else's name."""
    reply = ask(server, name, kind)
    assert (reply.header.rcode, reply.rr) == (code, [])
    assert [type(rr.rdata).__name__ for rr in reply.auth] == ([authority] if authority else [])


def test_what_does_not_fit_a_datagram_comes_over_tcp(server: tuple[str, int]) -> None:
    """The datagram says that it is cut."""
    assert ask(server, "long.lssm.tech", "TXT").header.tc == 1
    reply = ask(server, "long.lssm.tech", "TXT", tcp=True)
    assert [len(part) for part in reply.rr[0].rdata.data] == [255, 255, 90]


def test_load_balancers_have_names(api: Api) -> None:
    """By their id."""
    _, balancer = api.request(
        "POST", "/lb/v1/zones/fr-par-1/lbs", {"name": "lb", "type": "LB-S", "assign_flexible_ip": True}
    )
    host, port = api.emulator.planes["dns"].url.split(":")
    reply = ask((host, int(port)), f"{balancer['id']}.lb.fr-par.scw.cloud", "A")
    assert [str(rr.rdata) for rr in reply.rr] == [ip["ip_address"] for ip in balancer["ip"]]
    assert reply.rr
