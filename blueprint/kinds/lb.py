"""Load balancer: its addresses, its network, and what it does with a request.

The fields of what lives under it are those of Scaleway's API: times are whole milliseconds, but for the two that the
API writes as durations ("5s", "0.500s").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from blueprint.environment import Environment
from blueprint.environment.load_balancer import Backend, Frontend
from blueprint.kinds.dns import leading_records
from blueprint.kinds.kind import Kind
from blueprint.kinds.node import releases_behind
from blueprint.kinds.vpc import PRIVATE_NETWORK
from blueprint.resource import Resource, ref

LB = "lb.main"
LB_PRIVATE_NETWORK = "lb_private_network.main"

EVERYBODY = ["0.0.0.0/0", "::/0"]
"""The clients that an ACL for all requests names: the API wants some, and 0.0.0.0/0 leaves IPv6 out."""
REDIRECT = "redirect-https"
"""Name of the ACL that sends clients to HTTPS."""
PERMANENT = 308
"""Status of that redirect: permanent, and unlike 301 it keeps the method, so that a POST stays one."""


def _ips(environment: Environment) -> Iterable[Resource]:
    if balancer := environment.load_balancer:
        for family in ("ipv4", "ipv6") if balancer.ipv6 else ("ipv4",):
            yield Resource(
                key=f"lb_ip.{family}",
                kind="lb_ip",
                name=f"{environment.names.load_balancer}/{family}",
                fields={"is_ipv6": family == "ipv6"},
            )


def _balancers(environment: Environment) -> Iterable[Resource]:
    if balancer := environment.load_balancer:
        ipv6 = {"ipv6": ref("lb_ip.ipv6")} if balancer.ipv6 else {"only_ipv4": True}
        yield Resource(
            key=LB,
            kind="lb",
            name=environment.names.load_balancer,
            fields={
                "type": balancer.type.upper(),
                "ssl_compatibility": balancer.ssl_compatibility,
                "ipv4": ref("lb_ip.ipv4"),
                **ipv6,
            },
        )


def _private_networks(environment: Environment) -> Iterable[Resource]:
    if environment.load_balancer:
        yield Resource(
            key=LB_PRIVATE_NETWORK,
            kind="lb_private_network",
            name=_under(environment, environment.names.private_network),
            parent=LB,
            fields={"private_network_id": ref(PRIVATE_NETWORK)},
        )


# -- backends ----------------------------------------------------------------------------------------------------------


def _backends(environment: Environment) -> Iterable[Resource]:
    for name, backend in environment.load_balancer.backends.items() if environment.load_balancer else ():
        nodes = range(1, environment.nodes[backend.nodes].count + 1)
        yield Resource(
            key=f"lb_backend.{name}",
            kind="lb_backend",
            name=_under(environment, name),
            parent=LB,
            fields={
                **_forwarding(backend),
                "health_check": _health_check(backend),
                "server_ip": [ref(f"private_nic.{backend.nodes}-{index:02d}", "address") for index in nodes],
            },
            # Servers are reached through the private network: without it every check fails. And a node joins its pool
            # only once it runs the release.
            depends_on=(LB_PRIVATE_NETWORK, *releases_behind(environment, name)),
        )


def _forwarding(backend: Backend) -> dict[str, Any]:
    return {
        "forward_protocol": "http",
        "forward_port": backend.port,
        "forward_port_algorithm": backend.balance,
        "sticky_sessions": backend.sticky,
        "sticky_sessions_cookie_name": backend.cookie if backend.sticky == "cookie" else "",
        "proxy_protocol": f"proxy_protocol_{backend.proxy_protocol}",
        "on_marked_down_action": {
            "none": "on_marked_down_action_none",
            "shutdown_sessions": "shutdown_sessions",
        }[backend.on_marked_down],
        "timeout_connect": _milliseconds(backend.connect_timeout),
        "timeout_server": _milliseconds(backend.server_timeout),
        "timeout_tunnel": _milliseconds(backend.tunnel_timeout),
        "timeout_queue": _duration(backend.queue_timeout),
        "max_connections": backend.max_connections,
        "max_retries": backend.max_retries,
        "redispatch_attempt_count": int(backend.redispatch),
    }


def _health_check(backend: Backend) -> dict[str, Any]:
    check = backend.health_check
    return {
        "port": check.port or backend.port,
        "check_delay": _milliseconds(check.interval),
        "check_timeout": _milliseconds(check.timeout),
        "check_max_retries": check.retries,
        "transient_check_delay": _duration(check.transient_interval),
        # A server that expects the PROXY protocol takes a check without it for garbage.
        "check_send_proxy": backend.proxy_protocol != "none",
        "http_config": {"uri": check.path, "method": "GET", "code": check.expected_code},
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _duration(seconds: float) -> str:
    """As the API shows it: "5s", "0.500s"."""
    whole, rest = divmod(_milliseconds(seconds), 1000)
    return f"{whole}.{rest:03d}s" if rest else f"{whole}s"


# -- certificates ------------------------------------------------------------------------------------------------------


def _certificates(environment: Environment) -> Iterable[Resource]:
    for name, certificate in environment.load_balancer.certificates.items() if environment.load_balancer else ():
        common_name, *others = certificate.domains
        domains = [common_name, *sorted(others)]
        yield Resource(
            key=f"lb_certificate.{name}",
            kind="lb_certificate",
            name=_under(environment, f"{environment.names.certificate(name)}-{_digest(domains)}"),
            parent=LB,
            fields={"domains": domains},
            depends_on=tuple(sorted({key for domain in domains for key in leading_records(environment, domain)})),
        )


def _digest(domains: list[str]) -> str:
    """Eight digits that stand for the domains in a certificate's name.

    A certificate cannot be changed, nor deleted while a frontend shows it. So other domains make another name: the new
    certificate is ordered, the frontend shows it, and the old one goes (terraform-provider-scaleway issue 1546).
    """
    return hashlib.sha256(" ".join(domains).encode()).hexdigest()[:8]


# -- frontends ---------------------------------------------------------------------------------------------------------


def _frontends(environment: Environment) -> Iterable[Resource]:
    if balancer := environment.load_balancer:
        for name, frontend in balancer.frontends.items():
            yield Resource(
                key=f"lb_frontend.{name}",
                kind="lb_frontend",
                name=_under(environment, name),
                parent=LB,
                fields=_listening(frontend, balancer.backend_of(name)),
            )


def _listening(frontend: Frontend, backend: str) -> dict[str, Any]:
    return {
        "inbound_port": frontend.port,
        "backend_id": ref(f"lb_backend.{backend}"),
        "certificate_ids": [ref(f"lb_certificate.{name}") for name in frontend.certificates],
        "timeout_client": _milliseconds(frontend.client_timeout),
        "enable_access_logs": frontend.access_logs,
        "enable_http3": False,
    }


def _acls(environment: Environment) -> Iterable[Resource]:
    for name, frontend in environment.load_balancer.frontends.items() if environment.load_balancer else ():
        if frontend.redirect_https:
            yield Resource(
                key=f"lb_acl.{name}",
                kind="lb_acl",
                name=_under(environment, f"{name}/{REDIRECT}"),
                parent=f"lb_frontend.{name}",
                fields={
                    "index": 1,
                    "action": {
                        "type": "redirect",
                        "redirect": {"type": "scheme", "target": "https", "code": PERMANENT},
                    },
                    "match": {"ip_subnet": EVERYBODY, "http_filter": "acl_http_filter_none", "invert": False},
                },
            )


def _under(environment: Environment, name: str) -> str:
    return f"{environment.names.load_balancer}/{name}"


KINDS = (
    Kind(
        name="lb_ip",
        title="load balancer address",
        product="lb",
        resources=_ips,
        permission_sets=("LoadBalancersFullAccess",),
        settles=False,
        tells_more=True,
        lingers=False,
    ),
    Kind(
        name="lb",
        title="load balancer",
        product="lb",
        resources=_balancers,
        permission_sets=("LoadBalancersFullAccess",),
        immutable={
            "ipv4": "a load balancer keeps the IPv4 address that it was made with",
            "only_ipv4": "an IPv6 address cannot be taken off a load balancer",
        },
        serial="lb",
    ),
    Kind(
        name="lb_private_network",
        title="load balancer's private network",
        product="lb",
        resources=_private_networks,
        permission_sets=("LoadBalancersFullAccess", "PrivateNetworksReadOnly"),
        parent="lb",
        immutable={"private_network_id": "an attachment cannot move to another private network"},
        serial="lb",
    ),
    Kind(
        name="lb_backend",
        title="load balancer backend",
        product="lb",
        resources=_backends,
        permission_sets=("LoadBalancersFullAccess", "IPAMReadOnly"),
        parent="lb",
        dies_with_parent=True,
        lingers=False,
        serial="lb",
    ),
    Kind(
        name="lb_certificate",
        title="load balancer certificate",
        product="lb",
        resources=_certificates,
        permission_sets=("LoadBalancersFullAccess",),
        parent="lb",
        dies_with_parent=True,
        immutable={"domains": "the domains of a certificate cannot be changed"},
        lingers=False,
        serial="lb",
        replace_failed=True,
    ),
    Kind(
        name="lb_frontend",
        title="load balancer frontend",
        product="lb",
        resources=_frontends,
        permission_sets=("LoadBalancersFullAccess",),
        parent="lb",
        dies_with_parent=True,
        lingers=False,
        serial="lb",
        makes_way=True,
    ),
    Kind(
        name="lb_acl",
        title="load balancer ACL",
        product="lb",
        resources=_acls,
        permission_sets=("LoadBalancersFullAccess",),
        parent="lb_frontend",
        dies_with_parent=True,
        lingers=False,
        serial="lb",
    ),
)
