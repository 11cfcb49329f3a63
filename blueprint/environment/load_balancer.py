"""The load balancer: what listens, which certificate it shows, who answers and how their health is known."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from blueprint.environment.base import Section
from blueprint.environment.scalars import CommercialType, Hostname, Label, Matching, Port, Seconds


class HealthCheck(Section):
    """The HTTP request that tells a healthy server from another."""

    path: Annotated[str, Matching("/.*", "a path from the root, such as /healthz", limit=255)] = "/healthz"
    """What is asked for."""
    port: Port | None = None
    """Where; the backend's own port if left out."""
    expected_code: int = Field(default=200, ge=100, le=599)
    """The status of a healthy server."""
    interval: Annotated[Seconds, Field(ge=1)] = 10.0
    """Time between two checks, 1s or more."""
    timeout: Annotated[Seconds, Field(ge=0.001)] = 5.0
    """How long an answer may take."""
    retries: int = Field(default=3, ge=1, le=100)
    """Failed checks in a row after which a server is down. Two good ones bring it back."""
    transient_interval: Annotated[Seconds, Field(ge=0.5)] = 0.5
    """Time between two checks while a server changes from up to down or back."""


class Backend(Section):
    """A pool of nodes that answer HTTP."""

    nodes: Label
    """One of `nodes`: every node of the role is in the pool, by its private address."""
    port: Port = 3000
    """Where the servers listen."""
    health_check: HealthCheck = HealthCheck()
    """How their health is known."""
    balance: Literal["roundrobin", "leastconn", "first"] = "roundrobin"
    """Who gets the next request."""
    sticky: Literal["none", "cookie", "table"] = "none"
    """Whether a client stays with its server, by a cookie or by its address."""
    cookie: str = Field(default="SRVID", min_length=1, max_length=50)
    """Name of the cookie, for `sticky: cookie`."""
    proxy_protocol: Literal["none", "v1", "v2", "v2_ssl", "v2_ssl_cn"] = "none"
    """Whether servers are told of the client by PROXY protocol. X-Forwarded-For is always sent."""
    on_marked_down: Literal["none", "shutdown_sessions"] = "none"
    """What happens to open sessions of a server that goes down: they go on, or are cut."""
    connect_timeout: Seconds = 5.0
    """How long connecting to a server may take."""
    server_timeout: Seconds = 300.0
    """How long a server may be silent."""
    tunnel_timeout: Seconds = 900.0
    """How long a WebSocket may be silent."""
    queue_timeout: Seconds = 5.0
    """How long a request waits for a server that has `max_connections` already."""
    max_connections: int | None = Field(default=None, ge=1)
    """Connections per server; no limit if left out."""
    max_retries: int = Field(default=3, ge=0, le=32)
    """Retries of a connection that failed."""
    redispatch: bool = True
    """Whether the last retry may go to another server."""


class Certificate(Section):
    """A Let's Encrypt certificate. Each of its names needs a record that leads to the load balancer."""

    domains: list[Hostname] = Field(min_length=1, max_length=100, examples=[["api.example.org"]])
    """Names; the first is the common name."""


class Frontend(Section):
    """A port on which the load balancer listens."""

    port: Port
    """Public port."""
    backend: Label | None = None
    """One of `backends`; the only one if left out."""
    certificates: list[Label] = Field(default=[])
    """Some of `certificates`: requests are HTTPS. Without any they are plain HTTP."""
    redirect_https: bool = False
    """Answers every request with a redirect to HTTPS."""
    client_timeout: Seconds = 300.0
    """How long a client may be silent."""
    access_logs: bool = False
    """Whether requests are logged in Cockpit."""


class LoadBalancer(Section):
    """The public load balancer, with a public IPv4 address of its own."""

    type: CommercialType = "LB-S"
    """Commercial type."""
    ipv6: bool = False
    """Whether it has a public IPv6 address too."""
    ssl_compatibility: Literal["modern", "intermediate", "old"] = "intermediate"
    """Which TLS versions and ciphers are offered."""
    backends: dict[Label, Backend] = Field(min_length=1, max_length=300)
    """Pools, by name."""
    certificates: dict[Label, Certificate] = Field(default={}, max_length=200)
    """Certificates, by name."""
    frontends: dict[Label, Frontend] = Field(default={}, max_length=300)
    """Listening ports, by name.

    If left out: `https` on 443 with all certificates and `http` on 80 redirecting to it; without certificates only
    `http` on 80.
    """

    @model_validator(mode="before")
    @classmethod
    def _frontends_follow(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "frontends" in data:
            return data
        certificates = data.get("certificates")
        if not isinstance(certificates, dict) or not certificates:
            return {**data, "frontends": {"http": {"port": 80}}}
        return {
            **data,
            "frontends": {
                "http": {"port": 80, "redirect_https": True},
                "https": {"port": 443, "certificates": list(certificates)},
            },
        }

    def backend_of(self, frontend: str) -> str:
        """Name of the backend that answers for a frontend."""
        return self.frontends[frontend].backend or next(iter(self.backends))
