"""The configuration of HAProxy that says what the documents of a load balancer say (Scaleway reference 6)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from emulator.real.haproxy.documents import Documents
from emulator.real.haproxy.rules import quote, route, rule
from emulator.world import Document

CONFIGURATION = "haproxy.cfg"
STATES = "servers.state"
CERTIFICATES = "certificates"
"""Names in the folder of a load balancer, which is HAProxy's working directory: a socket's path has to be short."""

TIMEOUTS = {"connect": 5_000, "server": 300_000, "tunnel": 900_000}
TIMEOUT_CLIENT = 300_000
"""Milliseconds, where the documents have none."""

RISE = 2
"""Passed checks after which a server is back."""

PROXY_PROTOCOLS = {
    "proxy_protocol_v1": ("send-proxy",),
    "proxy_protocol_v2": ("send-proxy-v2",),
    "proxy_protocol_v2_ssl": ("send-proxy-v2-ssl",),
    "proxy_protocol_v2_ssl_cn": ("send-proxy-v2-ssl-cn",),
}

TLS_VERSIONS = {
    "ssl_compatibility_level_modern": "TLSv1.3",
    "ssl_compatibility_level_intermediate": "TLSv1.2",
    "ssl_compatibility_level_old": "TLSv1.0",
}
"""The oldest version that each level offers."""

GLOBAL = f"""\
global
    nbthread 1
    # One that listens nowhere would not start: a load balancer without frontends has this.
    stats socket unix@worker.sock mode 600 level admin expose-fd listeners
    server-state-file {STATES}

defaults
    load-server-state-from-file global
    # An old worker answers the request that is already under way on an idle connection, and closes with the answer.
    option idle-close-on-response
    timeout connect {TIMEOUTS["connect"]}ms
    timeout server {TIMEOUTS["server"]}ms
    timeout client {TIMEOUT_CLIENT}ms
    # Clients that have been silent for long would keep an old worker, which knows an old pool.
    timeout http-keep-alive 10s
"""


def render(documents: Documents) -> str:
    """The whole file."""
    sections = [GLOBAL]
    sections += [_section("frontend", each["id"], _frontend(documents, each)) for each in documents.frontends]
    sections += [_section("backend", each["id"], _backend(documents, each)) for each in documents.backends]
    return "\n".join(sections)


def _section(kind: str, name: str, lines: Iterator[str]) -> str:
    return "\n".join([f"{kind} {name}", *(f"    {line}" for line in lines), ""])


def _frontend(documents: Documents, frontend: Document) -> Iterator[str]:
    protocol = documents.backend(frontend["_backend_id"])["forward_protocol"]
    tls = _tls(documents, frontend, protocol)
    for address in documents.addresses:
        yield " ".join([f"bind {address}:{frontend['inbound_port']}", *tls])
    yield f"mode {protocol}"
    yield f"timeout client {frontend['timeout_client'] or TIMEOUT_CLIENT}ms"
    if frontend["enable_access_logs"]:
        yield "log stdout format raw daemon"
        yield f"option {protocol}log"
    if protocol == "http":
        yield "option forwardfor"
        yield f"http-request set-header X-Forwarded-Proto {'https' if tls else 'http'}"
    acls = [acl for acl in documents.acls if acl["_frontend_id"] == frontend["id"]]
    for acl in sorted(acls, key=lambda acl: acl["index"]):
        if line := rule(acl, protocol):
            yield line
    yield from _routes(documents, frontend, protocol, terminates_tls=bool(tls))
    yield f"default_backend {frontend['_backend_id']}"


def _tls(documents: Documents, frontend: Document, protocol: str) -> list[str]:
    if not frontend["certificate_ids"]:
        return []
    # The first one is shown to clients that name no server, or one that no certificate is for.
    certificates = [f"crt {CERTIFICATES}/{certificate_id}.pem" for certificate_id in frontend["certificate_ids"]]
    oldest = TLS_VERSIONS[documents.lb["ssl_compatibility_level"]]
    return ["ssl", *certificates, f"ssl-min-ver {oldest}", *(["alpn h2,http/1.1"] if protocol == "http" else [])]


def _routes(documents: Documents, frontend: Document, protocol: str, *, terminates_tls: bool) -> Iterator[str]:
    lines = [
        line
        for each in documents.routes
        if each["frontend_id"] == frontend["id"]
        and documents.backend(each["backend_id"])["forward_protocol"] == protocol
        for line in route(each, protocol, terminates_tls=terminates_tls)
    ]
    if any("req.ssl_sni" in line for line in lines):
        yield "tcp-request inspect-delay 5s"
        yield "tcp-request content accept if { req.ssl_hello_type 1 }"
    yield from lines


def _backend(documents: Documents, backend: Document) -> Iterator[str]:
    protocol = backend["forward_protocol"]
    yield f"mode {protocol}"
    yield f"balance {backend['forward_port_algorithm']}"
    for name, default in TIMEOUTS.items():
        yield f"timeout {name} {backend[f'timeout_{name}'] or default}ms"
    yield f"timeout queue {milliseconds(backend['timeout_queue'])}ms"
    yield f"timeout check {backend['health_check']['check_timeout']}ms"
    yield f"retries {backend['max_retries']}"
    if backend["redispatch_attempt_count"]:
        yield f"option redispatch {backend['redispatch_attempt_count']}"
    if _sticks_by_cookie(backend):
        yield f"cookie {quote(backend['sticky_sessions_cookie_name'])} insert indirect nocache"
    if backend["sticky_sessions"] == "table":
        yield "stick-table type ip size 200k expire 30m"
        yield "stick on src"
    yield from _check(backend["health_check"])
    yield f"default-server {' '.join(_server_options(backend))}"
    for owner, address in documents.servers():
        if owner is backend:
            cookie = [f"cookie {address}"] if _sticks_by_cookie(backend) else []
            yield " ".join([f"server {address} {address}:{backend['forward_port']} check", *cookie])


def _sticks_by_cookie(backend: Document) -> bool:
    named = bool(backend["sticky_sessions_cookie_name"])
    return backend["sticky_sessions"] == "cookie" and named and backend["forward_protocol"] == "http"


def _check(check: Document) -> Iterator[str]:
    """How a server is asked whether it is well; without a line here a connection is enough."""
    for kind in ("http_config", "https_config"):
        if config := check.get(kind):
            host = f" ver HTTP/1.1 hdr Host {quote(config['host_header'])}" if config["host_header"] else ""
            yield "option httpchk"
            yield f"http-check send meth {quote(config['method'])} uri {quote(config['uri'])}{host}"
            yield f"http-check expect status {config['code']}"
    for kind, name in (("mysql_config", "mysql-check"), ("pgsql_config", "pgsql-check")):
        if config := check.get(kind):
            yield f"option {name} user {quote(config['user'])}"
    for kind, name in (("ldap_config", "ldap-check"), ("redis_config", "redis-check")):
        if kind in check:
            yield f"option {name}"


def _server_options(backend: Document) -> Iterator[str]:
    check = backend["health_check"]
    yield f"port {check['port']}"
    yield f"inter {check['check_delay']}ms"
    yield f"fastinter {milliseconds(check['transient_check_delay'])}ms"
    yield f"fall {max(check['check_max_retries'], 1)}"
    yield f"rise {RISE}"
    yield from PROXY_PROTOCOLS.get(backend["proxy_protocol"], ())
    if check["check_send_proxy"]:
        yield "check-send-proxy"
    if backend["on_marked_down_action"] == "shutdown_sessions":
        yield "on-marked-down shutdown-sessions"
    if backend["max_connections"]:
        yield f"maxconn {backend['max_connections']}"
    verify = "verify none" if backend["ignore_ssl_server_verify"] else "verify required ca-file @system-ca"
    if backend["ssl_bridging"]:
        yield f"ssl {verify}"
    if config := check.get("https_config"):
        yield "check-ssl" if backend["ssl_bridging"] else f"check-ssl {verify}"
        if config["sni"]:
            yield f"check-sni {quote(config['sni'])}"
    else:
        # Without this the checks would follow the traffic into TLS.
        yield from ("no-check-ssl",) if backend["ssl_bridging"] else ()


def milliseconds(duration: str) -> int:
    """A duration as the API shows it, such as 0.500s."""
    return int(Decimal(duration.removesuffix("s")) * 1000)
