"""The window in which a read of something new is sometimes answered as if it were not there."""

from __future__ import annotations

from emulator.world import World

FLAPPING_CREDENTIALS = 14.0
"""Seconds after their creation in which credentials are found now and then only (Scaleway latencies, 2)."""


def flaps(world: World, since: float, seconds: float) -> bool:
    """Whether this read misses: every other one, by chance, until `seconds` (times the latency factor) are over."""
    return world.now() - since < seconds * world.latency and world.random.random() < 0.5


def namespace_id(world: World) -> str:
    """An account key as the service's own broker writes it: A and 55 letters or digits."""
    return "A" + "".join(world.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=55))
