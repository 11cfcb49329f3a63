"""Servers of the API that are real: a machine for each that is on."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

from emulator.products.instance import user_data
from emulator.products.instance.power import TABLE
from emulator.real.machines.documents import Move, Wanted, move, wanted
from emulator.real.machines.machine import Machine
from emulator.real.machines.rootfs import Rootfs, RootfsError
from emulator.world import Document, World

PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "npm": "npm",
    "ssh-keygen": "openssh-client",
}
"""Debian's packages, by the program that is needed of each."""
QUICKLY = 3.0
"""Seconds that machines have when the emulator itself ends."""
RETRY = 5.0
"""Seconds until a boot that could not begin is tried again."""

log = logging.getLogger(__name__)


class Machines:
    """The machines of a world.

    Args:
        folder: where their disks are.
    """

    name: ClassVar[str] = "machines"
    needs: ClassVar[tuple[str, ...]] = tuple(PACKAGES.values())

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._rootfs = Rootfs(self._folder.with_name("rootfs.log"))
        self._posts: dict[str, _Post] = {}

    def obstacle(self) -> str | None:
        """No Linux, no root, a program that is missing, or a kernel that does not let us."""
        if sys.platform != "linux":
            return "machines are systemd-nspawn containers, which only Linux has: run the local Scaleway on Linux"
        if os.geteuid() != 0:
            return "machines need root: run the local Scaleway with sudo"
        if missing := [package for program, package in PACKAGES.items() if shutil.which(program) is None]:
            return f"machines need more programs: apt-get install {' '.join(missing)}"
        if refusal := _overlay_refused(self._folder.parent):
            return (
                f"machines need overlay mounts, and cannot have them ({refusal}): keep them on a disk of a host's own"
            )
        return None

    async def follow(self, world: World) -> None:
        """Each server with an address of its own is on or off as its document says; one that is gone leaves nothing."""
        for server_id in self._known() - {server["id"] for server in world.all(TABLE)}:
            post = self._post(server_id)
            if not post.busy:
                post.work(self._remove(server_id, post))
        for server in world.all(TABLE):
            plan = wanted(world, server)
            if server["id"] in self._posts or (plan and plan.boot is not None):
                await self._post(server["id"]).follow(world, server, plan)

    async def stop(self) -> None:
        """Switch all off; their disks stay."""
        await asyncio.gather(*(post.stop() for post in self._posts.values()))
        self._posts.clear()

    def show(self) -> Any:
        """Each machine by the server's id."""
        return {server_id: post.show() for server_id, post in self._posts.items()}

    def _known(self) -> set[str]:
        """Those that there are, among them disks of an earlier emulator."""
        folders = {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()
        return folders | self._posts.keys()

    def _post(self, server_id: str) -> _Post:
        return self._posts.setdefault(server_id, _Post(Machine(self._folder / server_id), self._rootfs))

    async def _remove(self, server_id: str, post: _Post) -> None:
        await post.machine.remove()
        self._posts.pop(server_id, None)


class _Post:
    """A machine, how far it is, and what is being done about it."""

    def __init__(self, machine: Machine, rootfs: Rootfs) -> None:
        self.machine = machine
        self._rootfs = rootfs
        self._plan: Wanted | None = None
        self._booted: int | None = None
        self._up = False
        self._error = ""
        self._retry_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def work(self, doing: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(doing)

    async def follow(self, world: World, server: Document, plan: Wanted | None) -> None:
        if self.busy:
            return
        self._plan = plan or self._plan
        boot = plan.boot if plan else None
        running = self.machine.runs
        match move(boot, self._booted, runs=running, rebooted=self.machine.rebooted):
            case Move.SHUT_DOWN:
                self._up = False
                self.work(self._attempt(self.machine.shut_down()))
            case Move.BOOT if plan and time.monotonic() >= self._retry_at:
                self._up = False
                self.work(self._attempt(self._boot(plan)))
            case Move.NOTHING if plan and running:
                self.machine.know(plan.hosts)
                self._publish(world, server)
                self._up = self._up or await self.machine.answers(plan.spec.address)

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._attempt(self.machine.shut_down(QUICKLY))

    def show(self) -> Document:
        plan = self._plan
        return {
            "name": plan.spec.name if plan else "",
            "address": plan.spec.address if plan else "",
            "state": self._state(),
            "pid": self.machine.pid,
            "boots": self._booted,
            "console": str(self.machine.console),
            **({"waits_for": self._rootfs.doing} if self.busy and self._rootfs.doing else {}),
            **({"error": self._error} if self._error else {}),
        }

    def _state(self) -> str:
        if self.machine.runs:
            return "up" if self._up else "booting"
        if self._plan is None or self._plan.boot is None:
            return "off"
        return "dead" if self._plan.boot == self._booted and not self.busy else "booting"

    async def _boot(self, plan: Wanted) -> None:
        # What is left of the boot before, and of an emulator that was killed.
        await self.machine.shut_down(0.0)
        rootfs = await self._rootfs.ready()
        self.machine.folder.mkdir(parents=True, exist_ok=True)
        self.machine.know(plan.hosts)
        await self.machine.boot(rootfs, plan.spec)
        self._booted = plan.boot

    async def _attempt(self, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
            self._error = ""
        except (OSError, RootfsError, subprocess.CalledProcessError) as error:
            if str(error) != self._error:
                log.warning("machine %s: %s", self.machine.folder.name, error)
            self._error, self._retry_at = str(error), time.monotonic() + RETRY

    def _publish(self, world: World, server: Document) -> None:
        """Once for each boot, so that a client may delete it."""
        if self._up:
            return
        told = self.machine.fingerprints.encode()
        if user_data.content(server, user_data.HOST_KEYS) != told:
            user_data.store(world, server, user_data.HOST_KEYS, told)


def _overlay_refused(folder: Path) -> str:
    """Why an overlay cannot be mounted on this folder's file system; empty if it can."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        script = (
            "mkdir lower upper work root; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root"
        )
        tried = subprocess.run(
            ["unshare", "--mount", "sh", "-euc", script], cwd=scratch, capture_output=True, text=True, check=False
        )
    return tried.stderr.strip() if tried.returncode else ""
