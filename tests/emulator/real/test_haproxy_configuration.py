"""What documents of the API become in HAProxy's configuration, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.products.lb.backends import health_check
from emulator.real.haproxy.configuration import milliseconds, render
from emulator.real.haproxy.documents import Documents
from emulator.real.haproxy.rules import quote, route, rule
from emulator.real.haproxy.servers import Health, handed_over, healths

LB = {"id": "lb", "ssl_compatibility_level": "ssl_compatibility_level_intermediate"}
BACKEND = {
    "id": "back",
    "forward_protocol": "http",
    "forward_port": 3000,
    "forward_port_algorithm": "roundrobin",
    "sticky_sessions": "none",
    "sticky_sessions_cookie_name": "",
    "timeout_connect": None,
    "timeout_server": None,
    "timeout_tunnel": None,
    "timeout_queue": "5s",
    "on_marked_down_action": "on_marked_down_action_none",
    "proxy_protocol": "proxy_protocol_none",
    "ssl_bridging": False,
    "ignore_ssl_server_verify": None,
    "redispatch_attempt_count": None,
    "max_retries": 3,
    "max_connections": None,
    "pool": ["127.16.3.5"],
    "health_check": health_check({}, 3000),
}
FRONTEND = {
    "id": "front",
    "inbound_port": 80,
    "timeout_client": None,
    "certificate_ids": [],
    "enable_access_logs": False,
    "_backend_id": "back",
}
EVERYBODY = {"ip_subnet": [], "http_filter": "acl_http_filter_none", "http_filter_value": [], "invert": False}

HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight"
    " srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state"
    " bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr"
    " srv_agent_addr srv_agent_port"
)


def lines(documents: Documents, section: str) -> list[str]:
    """The lines of one section."""
    found = next(part for part in render(documents).split("\n\n") if part.startswith(section))
    return [line.strip() for line in found.splitlines()[1:]]


def balancer(backend: Any = None, frontend: Any = None, **others: Any) -> Documents:
    """A load balancer with one backend and one frontend, these fields changed."""
    front, back = {**FRONTEND, **(frontend or {})}, {**BACKEND, **(backend or {})}
    return Documents(LB, 1, ("127.224.1.2",), frontends=(front,), backends=(back,), **others)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["mode http", "balance roundrobin", "retries 3", "server 127.16.3.5 127.16.3.5:3000 check"]),
        ({}, ["timeout connect 5000ms", "timeout server 300000ms", "timeout tunnel 900000ms", "timeout queue 5000ms"]),
        ({}, ["default-server port 3000 inter 3000ms fastinter 500ms fall 3 rise 2", "timeout check 1000ms"]),
        ({"timeout_connect": 250, "timeout_queue": "0.500s"}, ["timeout connect 250ms", "timeout queue 500ms"]),
        ({"forward_protocol": "tcp", "forward_port_algorithm": "leastconn"}, ["mode tcp", "balance leastconn"]),
        ({"max_retries": 32, "redispatch_attempt_count": 1}, ["retries 32", "option redispatch 1"]),
        (
            {"sticky_sessions": "cookie", "sticky_sessions_cookie_name": "SRVID"},
            [
                'cookie "SRVID" insert indirect nocache',
                "server 127.16.3.5 127.16.3.5:3000 check cookie 127.16.3.5",
            ],
        ),
        ({"sticky_sessions": "table"}, ["stick-table type ip size 200k expire 30m", "stick on src"]),
        (
            {
                "health_check": health_check(
                    {"port": 81, "check_delay": 1000, "check_max_retries": 2, "http_config": {"uri": "/healthz"}}, 1
                )
            },
            [
                "option httpchk",
                'http-check send meth "GET" uri "/healthz"',
                "http-check expect status 200",
                "default-server port 81 inter 1000ms fastinter 500ms fall 2 rise 2",
            ],
        ),
        (
            {"health_check": health_check({"http_config": {"code": 204, "host_header": "a.example"}}, 1)},
            [
                'http-check send meth "GET" uri "/" ver HTTP/1.1 hdr Host "a.example"',
                "http-check expect status 204",
            ],
        ),
        ({"health_check": health_check({"pgsql_config": {"user": "app"}}, 1)}, ['option pgsql-check user "app"']),
        ({"health_check": health_check({"redis_config": {}}, 1)}, ["option redis-check"]),
        (
            {"on_marked_down_action": "shutdown_sessions", "max_connections": 50},
            [
                "default-server port 3000 inter 3000ms fastinter 500ms fall 3 rise 2"
                " on-marked-down shutdown-sessions maxconn 50"
            ],
        ),
        (
            {"proxy_protocol": "proxy_protocol_v2", "ssl_bridging": True, "ignore_ssl_server_verify": True},
            [
                "default-server port 3000 inter 3000ms fastinter 500ms fall 3 rise 2"
                " send-proxy-v2 ssl verify none no-check-ssl"
            ],
        ),
    ],
)
def test_a_backend(change: Any, expected: list[str]) -> None:
    """Each field of the API has its directive; absent ones have Scaleway's defaults."""
    found = lines(balancer(change), "backend")
    assert set(expected) <= set(found), found


def test_only_servers_on_loopback_are_real_and_the_pool_keeps_its_order() -> None:
    """A server that cannot be reached here would be asked over the network of this computer."""
    found = lines(balancer({"pool": ["127.16.3.6", "10.0.0.2", "127.16.3.5"]}), "backend")
    servers = [line.split()[1] for line in found if line.startswith("server")]
    assert servers == ["127.16.3.6", "127.16.3.5"]


@pytest.mark.parametrize(
    ("frontend", "expected"),
    [
        ({}, ["bind 127.224.1.2:80", "mode http", "timeout client 300000ms", "default_backend back"]),
        ({}, ["option forwardfor", "http-request set-header X-Forwarded-Proto http"]),
        (
            {"inbound_port": 443, "certificate_ids": ["a", "b"], "timeout_client": 5000},
            [
                "bind 127.224.1.2:443 ssl crt certificates/a.pem crt certificates/b.pem"
                " ssl-min-ver TLSv1.2 alpn h2,http/1.1",
                "http-request set-header X-Forwarded-Proto https",
                "timeout client 5000ms",
            ],
        ),
        ({"enable_access_logs": True}, ["option httplog"]),
    ],
)
def test_a_frontend(frontend: Any, expected: list[str]) -> None:
    """Where it listens, with which certificates, and what servers are told of the client."""
    found = lines(balancer(frontend=frontend), "frontend")
    assert set(expected) <= set(found), found


def test_acls_are_asked_in_the_order_of_their_index() -> None:
    """Whatever the order in which they were made; those of other frontends are not among them."""
    acls = tuple(
        {"_frontend_id": owner, "index": index, "action": {"type": kind}, "match": None}
        for owner, index, kind in (("front", 2, "deny"), ("front", 1, "allow"), ("other", 0, "deny"))
    )
    found = lines(balancer(acls=acls), "frontend")
    assert [line for line in found if line in {"http-request allow", "http-request deny"}] == [
        "http-request allow",
        "http-request deny",
    ]


@pytest.mark.parametrize(
    ("action", "match", "expected"),
    [
        ({"type": "deny"}, None, "http-request deny"),
        ({"type": "deny"}, {"invert": True}, None),
        (
            {"type": "deny"},
            {"ip_subnet": ["192.0.2.0/24", "198.51.100.7"], "invert": True},
            'http-request deny unless { src -- "192.0.2.0/24" "198.51.100.7" }',
        ),
        (
            {"type": "allow"},
            {"http_filter": "path_begin", "http_filter_value": ["/-a"], "ip_subnet": ["192.0.2.1"]},
            'http-request allow if { src -- "192.0.2.1" } { path_beg -- "/-a" }',
        ),
        (
            {"type": "deny"},
            {"http_filter": "http_header_match", "http_filter_option": "X-Team", "http_filter_value": ["a b"]},
            'http-request deny if { "req.hdr(X-Team)" -- "a b" }',
        ),
        (
            {"type": "redirect", "redirect": {"type": "scheme", "target": "https", "code": 301}},
            {"http_filter": "path_begin", "http_filter_value": ["/"]},
            'http-request redirect scheme "https" code 301 if { path_beg -- "/" }',
        ),
        (
            {
                "type": "redirect",
                "redirect": {"type": "location", "target": "//{{host}}/a%20{{path}}", "code": 302},
            },
            None,
            'http-request redirect location "//%[req.hdr(host)]/a%%20%[path]" code 302',
        ),
    ],
)
def test_an_acl(action: Any, match: Any, expected: str | None) -> None:
    """All conditions have to hold; `invert` turns them as a whole."""
    acl = {"action": action, "match": match if match is None else {**EVERYBODY, **match}}
    assert rule(acl, "http") == expected


def test_an_acl_of_a_tcp_frontend_knows_addresses_only() -> None:
    """There is nothing to redirect."""
    match = {**EVERYBODY, "ip_subnet": ["192.0.2.1"], "http_filter": "path_begin", "http_filter_value": ["/"]}
    assert rule({"action": {"type": "deny"}, "match": match}, "tcp") == (
        'tcp-request content reject if { src -- "192.0.2.1" }'
    )
    redirect = {"type": "redirect", "redirect": {"type": "scheme", "target": "https", "code": 301}}
    assert rule({"action": redirect, "match": None}, "tcp") is None


@pytest.mark.parametrize(
    ("match", "protocol", "terminates_tls", "expected"),
    [
        ({"path_begin": "/rest"}, "http", False, ['use_backend b if { path_beg -- "/rest" }']),
        ({"path_begin": "/rest"}, "tcp", False, []),
        ({"sni": "a.example"}, "http", True, ['use_backend b if { ssl_fc_sni -i -- "a.example" }']),
        ({"sni": "a.example"}, "tcp", False, ['use_backend b if { req.ssl_sni -i -- "a.example" }']),
        (
            {"host_header": "a.example", "match_subdomains": True},
            "http",
            False,
            [
                'use_backend b if { req.hdr(host),field(1,:) -i -- "a.example" }',
                'use_backend b if { req.hdr(host),field(1,:) -i -m end -- ".a.example" }',
            ],
        ),
    ],
)
def test_a_route(match: Any, protocol: str, terminates_tls: bool, expected: list[str]) -> None:
    """By name or path."""
    document = {"backend_id": "b", "match": {"match_subdomains": False, **match}}
    assert route(document, protocol, terminates_tls=terminates_tls) == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [("a", '"a"'), ('a" b', r'"a\" b"'), ("$HOME\\", r'"\$HOME\\"'), ("a\nglobal", r'"a\nglobal"')],
)
def test_what_users_write_stays_one_argument(text: str, written: str) -> None:
    """A quote, a variable or a new line of theirs is no directive."""
    assert quote(text) == written


@pytest.mark.parametrize(("duration", "expected"), [("5s", 5000), ("0.500s", 500), ("1.250000s", 1250)])
def test_durations_are_milliseconds(duration: str, expected: int) -> None:
    """The API shows three, six or nine decimals."""
    assert milliseconds(duration) == expected


def row(backend: str, address: str, state: int, result: int, port: int = 3000) -> str:
    """A line of HAProxy's table of servers."""
    return f"3 {backend} 1 {address} {address} {state} 0 1 1 8 8 {result} 0 6 0 0 0 - {port} - 0 3001 - - 0"


def test_healths_in_words_of_the_api() -> None:
    """HAProxy's numbers are Scaleway's enumerations."""
    table = "\n".join(["1", HEADER, row("back", "127.0.0.5", 0, 2), row("back", "127.0.0.6", 2, 3), ""])
    assert healths(table) == {
        ("back", "127.0.0.5"): Health("stopped", "failed"),
        ("back", "127.0.0.6"): Health("running", "passed"),
    }


def test_the_next_worker_keeps_health_and_takes_ports_as_configured() -> None:
    """HAProxy would go on with the ports of the table; servers that left the pool are not in it."""
    table = "\n".join(["1", HEADER, row("back", "127.16.3.5", 0, 2, port=1), row("back", "127.0.0.6", 2, 3), ""])
    version, header, *rows = handed_over(table, balancer()).splitlines()
    assert (version, header) == ("1", HEADER)
    [kept] = rows
    fields = dict(zip(header.removeprefix("# ").split(), kept.split(), strict=True))
    expected = {"srv_name": "127.16.3.5", "srv_op_state": "0", "srv_port": "3000", "srv_check_port": "3000"}
    assert fields | expected == fields
