"""The data planes: S3, SQS, the generative APIs, DNS and Cockpit, each on a loopback port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from emulator.dataplane.cockpit import Cockpit
from emulator.dataplane.dns import NameServer
from emulator.dataplane.generative import Generative
from emulator.dataplane.moto_backend import Moto
from emulator.dataplane.s3 import S3
from emulator.dataplane.s3.database import Database
from emulator.dataplane.sqs import Sqs
from emulator.faults import Faults
from emulator.requests import RequestLog
from emulator.world import World

OFFSETS = {"s3": 1, "sqs": 2, "generative": 3, "dns": 4, "cockpit": 5}
"""Where each plane listens, counted from the port of the API, if that port is free."""


class Endpoint(Protocol):
    """A plane that is being served.

    Attributes:
        url: where: "http://127.0.0.1:4567", for DNS "127.0.0.1:4568" (UDP and TCP).
    """

    url: str

    async def start(self, port: int) -> None:
        """Listen; port 0 takes a free one. Raises OSError if the port is taken."""

    async def stop(self) -> None:
        """Close the port."""


async def start_all(
    world: World,
    log: RequestLog,
    faults: Faults,
    objects: Database,
    *,
    near: int = 0,
    ports: Mapping[str, int] | None = None,
    changed: Callable[[], None] = lambda: None,
) -> dict[str, Endpoint]:
    """Start every plane.

    Args:
        objects: where Object Storage keeps its objects.
        near: the port of the API; planes take the ports behind it, or any free one. 0 takes free ones.
        ports: ports that must be taken, by plane.
        changed: called after each request that may have changed the world, to save it.

    Raises:
        OSError: a port of `ports` is taken; nothing is left listening.
    """
    moto = Moto(world)
    planes: dict[str, Endpoint] = {
        "s3": S3(world, log, faults, changed, moto, objects),
        "sqs": Sqs(world, log, faults, changed, moto),
        "generative": Generative(world, log, faults, changed),
        "dns": NameServer(world),
        "cockpit": Cockpit(world, log, faults, changed),
    }
    started: list[Endpoint] = []
    try:
        for name, plane in planes.items():
            wanted = (ports or {}).get(name, 0)
            await _listen(plane, wanted, near + OFFSETS[name] if near else 0)
            started.append(plane)
    except OSError:
        await asyncio.gather(*(plane.stop() for plane in started))
        raise
    moto.warm_up()
    return planes


async def _listen(plane: Endpoint, wanted: int, hoped: int) -> None:
    if wanted or not hoped or hoped > 65535:
        await plane.start(wanted)
        return
    try:
        await plane.start(hoped)
    except OSError:
        await plane.start(0)
