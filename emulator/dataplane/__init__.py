"""The planes beside the API: S3, SQS, DNS and generative models, each on ports of its own."""

from __future__ import annotations

from typing import Any, Protocol

from emulator.faults import Faults
from emulator.requests import RequestLog
from emulator.world import Document, World


class Endpoint(Protocol):
    """One plane that listens.

    Attributes:
        name: "s3", "sqs", "generative", "dns".
        url: where it listens, as a client is given it.
    """

    name: str
    url: str

    def resources(self) -> dict[str, list[Document]]:
        """What exists, by kind ("s3.buckets"): each with id, name and tags."""

    async def snapshot(self) -> Any:
        """Its state as JSON; None if the world holds all of it."""

    async def restore(self, state: Any) -> None:
        """Become what `snapshot` said; None empties it."""

    async def reset(self) -> None:
        """Forget everything."""

    async def stop(self) -> None:
        """Close its ports."""


async def start_all(world: World, log: RequestLog, faults: Faults) -> dict[str, Endpoint]:
    """Start every plane; by name."""
    return {}
