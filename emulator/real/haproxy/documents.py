"""One load balancer as the API has it: the facts that its configuration follows from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emulator.products.lb.resources import (
    ACLS,
    BACKENDS,
    CERTIFICATES,
    FRONTENDS,
    IPS,
    LBS,
    ROUTES,
    is_real,
)
from emulator.real.follower import is_loopback
from emulator.world import Document, World


@dataclass(frozen=True)
class Documents:
    """A load balancer and everything in it, in order of creation."""

    lb: Document
    configuration: int
    """How often it had been written to: tells these documents from later ones."""
    addresses: tuple[str, ...]
    """Its public addresses, on loopback."""
    frontends: tuple[Document, ...] = ()
    backends: tuple[Document, ...] = ()
    acls: tuple[Document, ...] = ()
    routes: tuple[Document, ...] = ()
    certificates: tuple[Document, ...] = ()

    @property
    def id(self) -> str:
        """Of the load balancer."""
        return str(self.lb["id"])

    def backend(self, backend_id: str) -> Document:
        """The backend of that id."""
        return next(backend for backend in self.backends if backend["id"] == backend_id)

    def servers(self) -> Iterator[tuple[Document, str]]:
        """Each backend with each of its servers that can be reached here."""
        for backend in self.backends:
            for address in backend["pool"]:
                if is_loopback(address):
                    yield backend, address


def all_documents(world: World) -> list[Documents]:
    """Every load balancer that is real and that has its first instance."""
    return [_documents(world, lb) for lb in world.all(LBS) if lb["instances"] and is_real(world, lb)]


def _documents(world: World, lb: Document) -> Documents:
    addresses = [str(ip["ip_address"]) for ip in world.where(IPS, lb_id=lb["id"])]
    loopback = tuple(address for address in addresses if is_loopback(address))
    tables = (FRONTENDS, BACKENDS, ACLS, ROUTES, CERTIFICATES)
    children = [tuple(world.where(table, _lb_id=lb["id"])) for table in tables]
    return Documents(lb, lb.get("_configuration", 0), loopback, *children)
