"""What the API says about machines, and what follows from it. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from emulator.products import ipam
from emulator.products.instance import private_nics, user_data
from emulator.real.follower import is_loopback
from emulator.real.machines.machine import Spec
from emulator.world import Document, World

ON = ("starting", "running")


@dataclass(frozen=True)
class Wanted:
    """What the machine of a server should be.

    Attributes:
        spec: what it is.
        boot: which boot of the server it should be in; None if it should be off.
        hosts: its /etc/hosts.
    """

    spec: Spec
    boot: int | None
    hosts: str


class Move(enum.Enum):
    """What to do about a machine next."""

    NOTHING = enum.auto()
    BOOT = enum.auto()
    SHUT_DOWN = enum.auto()


def move(wanted: int | None, booted: int | None, *, runs: bool, rebooted: bool) -> Move:
    """The next move. One that has died stays dead, as at Scaleway, until its server is booted once more.

    Args:
        wanted: which boot the API says; None if the server is off.
        booted: which boot it was switched on for; None if this emulator never did.
        runs: whether it is on.
        rebooted: it has ended to be booted again.
    """
    if runs:
        return Move.NOTHING if wanted == booted else Move.SHUT_DOWN
    if wanted is None or (wanted == booted and not rebooted):
        return Move.NOTHING
    return Move.BOOT


def wanted(world: World, server: Document) -> Wanted | None:
    """The machine of a server; None if it has no address of its own here."""
    address = next(_addresses(world, server), None)
    if address is None:
        return None
    keys = world.where("iam.ssh_keys", project_id=server["project"], disabled=False)
    spec = Spec(
        name=server["hostname"],
        address=address,
        keys=tuple(key["public_key"] for key in keys),
        user_data=user_data.content(server, "cloud-init") or b"",
    )
    return Wanted(spec, server["_boots"] if server["state"] in ON else None, "\n".join(_hosts(world, server, spec)))


def _addresses(world: World, server: Document) -> Iterator[str]:
    for nic in private_nics.of_server(world, server["id"]):
        for ip in ipam.held(world, nic["id"]):
            if not ip["is_ipv6"] and is_loopback(ipam.host(ip)):
                yield ipam.host(ip)


def _hosts(world: World, server: Document, spec: Spec) -> Iterator[str]:
    """Its own name, and those that Scaleway's DNS knows in a private network: <resource>.<network>.internal."""
    yield "127.0.0.1 localhost"
    yield f"{spec.address} {spec.name}"
    for nic in private_nics.of_server(world, server["id"]):
        network = world.find(ipam.NETWORKS, nic["private_network_id"])
        for ip in ipam.in_network(world, nic["private_network_id"]):
            name = (ip["resource"] or {}).get("name")
            if network and name and not ip["is_ipv6"]:
                yield f"{ipam.host(ip)} {_label(name)}.{_label(network['name'])}.internal"
    yield ""


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
