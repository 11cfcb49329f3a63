"""Making what runs match what the world says, again and again."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from emulator.world import World

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
BEAT = 0.1
"""Seconds between two looks while nothing calls: transitions come due, processes die."""

log = logging.getLogger(__name__)


class Follower(Protocol):
    """What keeps one sort of real thing.

    Attributes:
        name: how people call it: "machines", "load balancers", ...
        needs: Debian packages without which it cannot work.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]

    def obstacle(self) -> str | None:
        """Why it cannot work on this computer and what to do about it; None if it can."""

    async def follow(self, world: World) -> None:
        """Compare, and act on the first differences. Quick: what takes long runs in a task of its own."""

    async def stop(self) -> None:
        """End every process; the data stays."""

    def show(self) -> Any:
        """What runs, for people and tests: JSON."""


class Followers:
    """All of them, woken by changes and by the clock.

    Args:
        world: what they follow.
        followers: who follows.
    """

    def __init__(self, world: World, followers: Sequence[Follower]) -> None:
        self._world = world
        self._all = followers
        self.obstacles = {follower.name: told for follower in followers if (told := follower.obstacle())}
        """Those that cannot work here, and why."""
        self._able = [follower for follower in followers if follower.name not in self.obstacles]
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow, on the running loop."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Something has changed."""
        self._changed.set()

    async def stop(self) -> None:
        """End everything that runs."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(follower.stop() for follower in self._able))

    def show(self) -> dict[str, Any]:
        """What runs, by follower, and what cannot."""
        shown: dict[str, Any] = {follower.name: follower.show() for follower in self._able}
        return {"running": shown, "obstacles": self.obstacles}

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._world.settle()
            for follower in self._able:
                try:
                    await follower.follow(self._world)
                except Exception:
                    # One that stumbles must not stop the others, and tries again at the next beat.
                    log.exception("the local Scaleway's %s cannot follow", follower.name)
            try:
                await asyncio.wait_for(self._changed.wait(), BEAT)
            except TimeoutError:
                continue


def is_loopback(address: str) -> bool:
    """Whether an object with this address can be real."""
    return ipaddress.ip_address(address) in LOOPBACK
