"""Backends: where a load balancer sends requests, and how it finds out which servers are well.

An update is a PUT: every field that the request leaves out falls back to its default. Servers and health check have
calls of their own and keep their values.
"""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Any

from emulator.paging import matching, page
from emulator.products.lb.balancers import OFFERS
from emulator.products.lb.resources import (
    BACKENDS,
    FRONTENDS,
    ROUTES,
    ZONED,
    choice,
    find_child,
    find_lb,
    integer,
    invalid_field,
    lb_of,
    ordered,
    reconfigure,
    rejected,
    show_backend,
    writable,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("lb", ZONED)

ALGORITHMS = ("roundrobin", "leastconn", "first")
STICKY_SESSIONS = ("none", "cookie", "table")
MARKED_DOWN = ("on_marked_down_action_none", "shutdown_sessions")
PROXY_PROTOCOLS = tuple(f"proxy_protocol_{version}" for version in ("none", "v1", "v2", "v2_ssl", "v2_ssl_cn"))

CHECKS: dict[str, Document] = {
    "tcp_config": {},
    "mysql_config": {"user": ""},
    "pgsql_config": {"user": ""},
    "ldap_config": {},
    "redis_config": {},
    "http_config": {"uri": "/", "method": "GET", "code": 200, "host_header": ""},
    "https_config": {"uri": "/", "method": "GET", "code": 200, "host_header": "", "sni": ""},
}
"""Kinds of health check with the defaults of their fields."""

SCALEWAY_BLOCKS = [
    ipaddress.ip_network(block)
    for block in (
        *("51.15.0.0/16", "51.158.0.0/15", "62.4.0.0/19", "62.210.0.0/16", "163.172.0.0/16", "195.154.0.0/16"),
        *("151.115.0.0/16", "212.47.224.0/19", "212.83.128.0/18", "212.129.0.0/18", "2001:bc8::/32"),
    )
]
"""Scaleway's public ranges: other public servers need an offer with multicloud (Scaleway reference 6, limits)."""


def duration(value: Any, default: str, field: str) -> str:
    """A duration as the API writes it ("0.500s", "4s") of one as clients write it ("0.500000000s")."""
    if value is None:
        return default
    if not re.fullmatch(r"\d+(\.\d{1,9})?s", str(value)):
        raise invalid_field(field, f"{value!r} is not a duration")
    nanoseconds = int(Decimal(str(value)[:-1]) * 10**9)
    seconds, fraction = divmod(nanoseconds, 10**9)
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{seconds}.{digits}s" if digits else f"{seconds}s"


def health_check(body: Document, default_port: int) -> Document:
    """A health check as the API shows it, with its defaults (Scaleway reference 6)."""
    kinds = [kind for kind in CHECKS if body.get(kind) is not None]
    if len(kinds) > 1:
        raise invalid_field("health_check", "more than one kind of check is given")
    kind = kinds[0] if kinds else "tcp_config"
    given = {name: value for name, value in (body.get(kind) or {}).items() if value is not None}
    return {
        "port": integer(body, "port", default_port),
        "check_delay": integer(body, "check_delay", 3000, lowest=1, highest=2**31),
        "check_timeout": integer(body, "check_timeout", 1000, lowest=1, highest=2**31),
        "check_max_retries": integer(body, "check_max_retries", 3, lowest=0, highest=2**31),
        "check_send_proxy": bool(body.get("check_send_proxy")),
        "transient_check_delay": duration(body.get("transient_check_delay"), "0.500s", "transient_check_delay"),
        kind: {**CHECKS[kind], **given},
    }


def servers(lb: Document, addresses: Any) -> list[str]:
    """A pool: valid addresses, each once, in the order given; 400 if one is not allowed for the offer."""
    pool: list[str] = []
    for address in addresses or []:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            raise invalid_field("server_ip", f"{address} is not an IP address") from None
        foreign = parsed.is_global and not any(parsed in block for block in SCALEWAY_BLOCKS)
        if foreign and not OFFERS[lb["type"]].multicloud:
            raise invalid_field("server_ip", f"{address}: IP not owned by Scaleway")
        if address not in pool:
            pool.append(address)
    return pool


def _settings(body: Document) -> Document:
    """What a create or an update sets; absent fields have their defaults."""
    proxy = "proxy_protocol_v2" if body.get("send_proxy_v2") else PROXY_PROTOCOLS[0]
    proxy = choice(body, "proxy_protocol", proxy, PROXY_PROTOCOLS)
    redispatch, most = body.get("redispatch_attempt_count"), body.get("max_connections")
    return {
        "name": body.get("name") or "",
        "forward_protocol": choice(body, "forward_protocol", "tcp", ("tcp", "http")),
        "forward_port": integer(body, "forward_port", 0),
        "forward_port_algorithm": choice(body, "forward_port_algorithm", ALGORITHMS[0], ALGORITHMS),
        "sticky_sessions": choice(body, "sticky_sessions", STICKY_SESSIONS[0], STICKY_SESSIONS),
        "sticky_sessions_cookie_name": body.get("sticky_sessions_cookie_name") or "",
        "send_proxy_v2": proxy == "proxy_protocol_v2",
        "timeout_server": body.get("timeout_server"),
        "timeout_connect": body.get("timeout_connect"),
        "timeout_tunnel": body.get("timeout_tunnel"),
        "timeout_queue": duration(body.get("timeout_queue"), "5s", "timeout_queue"),
        "on_marked_down_action": choice(body, "on_marked_down_action", MARKED_DOWN[0], MARKED_DOWN),
        "proxy_protocol": proxy,
        "failover_host": body.get("failover_host"),
        "ssl_bridging": bool(body.get("ssl_bridging")),
        "ignore_ssl_server_verify": body.get("ignore_ssl_server_verify"),
        "redispatch_attempt_count": redispatch,
        "max_retries": integer(body, "max_retries", 3, lowest=0, highest=32),
        "max_connections": most,
        "host": body.get("host") or "",
    }


def _find(call: Call) -> Document:
    return find_child(call, BACKENDS, call.params["backend_id"], "backend")


@product.post("/lbs/{lb_id}/backends", call_ms=342)
def create_backend(call: Call) -> Answer:
    """Add a backend."""
    lb = writable(find_lb(call))
    now = call.world.timestamp()
    settings = _settings(call.body)
    if not settings["forward_port"]:
        raise invalid_field("forward_port", "must be between 1 and 65535")
    backend = {
        "id": call.world.new_id(),
        **settings,
        "name": settings["name"] or f"lb-bkd-{call.world.new_id()[:8]}",
        "health_check": health_check(call.body.get("health_check") or {}, settings["forward_port"]),
        "pool": servers(lb, call.body.get("server_ip")),
        "created_at": now,
        "updated_at": now,
        "_lb_id": lb["id"],
        "_health": {},
    }
    call.world.put(BACKENDS, backend)
    reconfigure(call.world, lb)
    return show_backend(call.world, backend)


@product.get("/lbs/{lb_id}/backends", call_ms=130)
def list_backends(call: Call) -> Answer:
    """The backends of a load balancer."""
    found = matching(call, call.world.where(BACKENDS, _lb_id=find_lb(call)["id"]))
    return page(call, ordered(call, found), "backends", show=lambda backend: show_backend(call.world, backend))


@product.get("/backends/{backend_id}", call_ms=96)
def get_backend(call: Call) -> Answer:
    """One backend."""
    return show_backend(call.world, _find(call))


@product.put("/backends/{backend_id}", call_ms=362)
def update_backend(call: Call) -> Answer:
    """Replace everything but servers and health check."""
    backend = _find(call)
    lb = writable(lb_of(call.world, backend))
    settings = _settings(call.body)
    if not settings["forward_port"]:
        raise invalid_field("forward_port", "must be between 1 and 65535")
    backend.update(settings, name=settings["name"] or backend["name"], updated_at=call.world.timestamp())
    call.world.put(BACKENDS, backend)
    shown = show_backend(call.world, backend)
    reconfigure(call.world, lb)
    return shown


@product.delete("/backends/{backend_id}", call_ms=328)
def delete_backend(call: Call) -> Answer:
    """Remove a backend; 400 while a frontend or a route sends to it."""
    backend = _find(call)
    lb = writable(lb_of(call.world, backend))
    if any(call.world.where(FRONTENDS, _backend_id=backend["id"])):
        raise rejected("the backend is used on a frontend")
    if any(call.world.where(ROUTES, backend_id=backend["id"])):
        raise rejected("the backend is used on a route")
    call.world.remove(BACKENDS, backend["id"])
    reconfigure(call.world, lb)
    return None


@product.put("/backends/{backend_id}/healthcheck", call_ms=311)
def update_health_check(call: Call) -> Answer:
    """Replace the health check; the answer is the check alone."""
    backend = _find(call)
    lb = writable(lb_of(call.world, backend))
    backend.update(
        health_check=health_check(call.body, backend["forward_port"]),
        updated_at=call.world.timestamp(),
    )
    call.world.put(BACKENDS, backend)
    reconfigure(call.world, lb)
    check: Document = dict(backend["health_check"])
    return check


@product.put("/backends/{backend_id}/servers", call_ms=123)
def set_backend_servers(call: Call) -> Answer:
    """Replace the pool; an equal one changes nothing, an empty one is taken."""
    return _set_pool(call, lambda pool, given: given)


@product.post("/backends/{backend_id}/servers")
def add_backend_servers(call: Call) -> Answer:
    """Add servers to the pool."""
    return _set_pool(call, lambda pool, given: [*pool, *(ip for ip in given if ip not in pool)])


@product.delete("/backends/{backend_id}/servers")
def remove_backend_servers(call: Call) -> Answer:
    """Remove servers from the pool."""
    return _set_pool(call, lambda pool, given: [ip for ip in pool if ip not in given])


def _set_pool(call: Call, change: Any) -> Answer:
    backend = _find(call)
    lb = writable(lb_of(call.world, backend))
    pool: list[str] = change(backend["pool"], servers(lb, call.body.get("server_ip")))
    if pool != backend["pool"]:
        backend.update(pool=pool, updated_at=call.world.timestamp())
        backend["_health"] = {ip: health for ip, health in backend["_health"].items() if ip in pool}
        call.world.put(BACKENDS, backend)
        reconfigure(call.world, lb)
    return show_backend(call.world, backend)
