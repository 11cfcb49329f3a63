"""VPC, private network, public gateway, network ACL and security groups."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import CommercialType, Network, Port, Ports, wrong

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
"""Where a rehearsal has its private network: what has an address in it is real on the local Scaleway."""
PRIVATE_RANGES = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def _private_ipv4(value: str) -> str:
    network = ipaddress.ip_network(value)
    if not isinstance(network, ipaddress.IPv4Network) or not any(
        network.subnet_of(wide) for wide in (*PRIVATE_RANGES, LOOPBACK)
    ):
        raise wrong(f"{value!r} is not private; one inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 fits")
    if not 20 <= network.prefixlen <= 29:
        raise wrong(f"{value!r} has the wrong size; between /20 and /29 fits a private network")
    return value


def _ipv4(value: str) -> str:
    if ":" in value:
        raise wrong(f"{value!r} is IPv6; the rules of the file are about IPv4")
    return value


Ipv4Network = Annotated[Network, AfterValidator(_ipv4)]
"""An IPv4 network or address."""


class Bastion(Section):
    """The SSH bastion on the public gateway: the only way in to nodes that have no public address."""

    port: Port = 61000
    """Public port of the bastion."""
    allowed: list[Ipv4Network] = Field(min_length=1, examples=[["203.0.113.0/24"]])
    """Networks that may connect. Scaleway's own default is everybody, so this one has none."""
    allow_everyone: bool = False
    """Says that 0.0.0.0/0 in `allowed` is meant."""


class Gateway(Section):
    """The public gateway: the private network's way out, advertised as its default route."""

    type: CommercialType = "VPC-GW-S"
    """Commercial type."""
    smtp: bool = False
    """Whether outgoing mail (ports 25, 465, 587) may pass."""
    bastion: Bastion | None = None
    """SSH bastion; none if left out."""


class AclRule(Section):
    """One rule of the VPC's network ACL, stateless, first match wins."""

    action: Literal["accept", "drop"]
    """What happens to traffic that matches."""
    protocol: Literal["any", "tcp", "udp", "icmp"] = "tcp"
    """Protocol that matches."""
    source: Ipv4Network = "0.0.0.0/0"
    """Where traffic comes from."""
    destination: Ipv4Network = "0.0.0.0/0"
    """Where traffic goes to."""
    ports: Ports | None = Field(default=None, examples=[22, "8000-8100"])
    """Destination ports; all of them if left out. Only for tcp and udp."""
    description: str = Field(default="", max_length=100)
    """Why the rule is there."""


class Acl(Section):
    """The VPC's network ACL.

    Security groups do not filter private-network traffic and managed databases take none, so the rules that keep
    PostgreSQL and Redis for the backend follow from `postgresql.clients` and `redis.clients` and come first; `rules`
    come after them.
    """

    default: Literal["accept", "drop"] = "accept"
    """What happens to traffic that no rule matches."""
    rules: list[AclRule] = Field(default=[])
    """More rules, in order."""


class PrivateNetwork(Section):
    """VPC and private network, where everything lives."""

    cidr: Annotated[Network, AfterValidator(_private_ipv4)] = Field(examples=["10.0.0.0/24"])
    """IPv4 subnet of the private network, /20 to /29. Changing it replaces the network and all that is in it."""
    gateway: Gateway = Gateway()
    """Public gateway."""
    acl: Acl = Acl()
    """Network ACL of the VPC."""


class SecurityGroupRule(Section):
    """One rule of a security group. Security groups see public traffic only; the network ACL sees private traffic."""

    direction: Literal["inbound", "outbound"] = "inbound"
    """Which way."""
    action: Literal["accept", "drop"] = "accept"
    """What happens to traffic that matches."""
    protocol: Literal["any", "tcp", "udp", "icmp"] = "tcp"
    """Protocol that matches."""
    ports: Ports | None = Field(default=None, examples=[22, "8000-8100"])
    """Ports that match; all of them if left out. Only for tcp and udp."""
    network: Network = "0.0.0.0/0"
    """Where traffic comes from (inbound) or goes to (outbound)."""


class SecurityGroup(Section):
    """A security group, `sg-<org>-<env>-<name>`."""

    description: str = ""
    """For people."""
    inbound: Literal["accept", "drop"] = "drop"
    """What happens to incoming traffic that no rule matches."""
    outbound: Literal["accept", "drop"] = "accept"
    """What happens to outgoing traffic that no rule matches."""
    stateful: bool = True
    """Whether answers to accepted traffic pass by themselves."""
    block_smtp: bool = True
    """Keeps Scaleway's own block of outgoing mail (its `enable_default_security`)."""
    rules: list[SecurityGroupRule] = Field(default=[])
    """Rules, in order."""
