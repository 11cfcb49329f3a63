"""Everything real, put together: one line for each follower."""

from __future__ import annotations

from pathlib import Path

from emulator.real.bastion import Bastions
from emulator.real.follower import Follower, Followers
from emulator.real.haproxy.follower import LoadBalancers
from emulator.real.machines.follower import Machines
from emulator.real.postgresql.copies import SNAPSHOTS, DatabaseCopies
from emulator.real.postgresql.follower import Databases
from emulator.real.redis_server import Caches
from emulator.world import World


def followers_of(world: World, folder: Path) -> Followers:
    """Every follower of a world.

    Args:
        world: what they follow.
        folder: where their data, configuration and logs are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    databases = Databases(world, folder / "databases", folder / "database-copies" / SNAPSHOTS)
    followers: list[Follower] = [
        Bastions(folder / "bastions"),
        Caches(world, folder / "caches"),
        databases,
        DatabaseCopies(world, databases, folder / "database-copies"),
        LoadBalancers(world, folder / "load-balancers"),
        Machines(folder / "machines"),
    ]
    return Followers(world, followers)
