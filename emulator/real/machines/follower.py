"""Servers of the API that are real: a machine for each that is on."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar

from emulator.products import ipam
from emulator.products.instance import private_nics, user_data
from emulator.products.instance.power import TABLE
from emulator.real.follower import is_loopback
from emulator.real.machines import rootfs
from emulator.real.machines.cloud_config import FirstBoot, first_boot
from emulator.real.machines.machine import Machine, Spec
from emulator.world import Document, World

FINGERPRINTS = "ssh-host-fingerprints"
"""Key of the user data under which Scaleway's images publish their host keys (scaleway-cli issue 512)."""
ON = ("starting", "running")
QUICKLY = 3.0
"""Seconds that machines have when the emulator itself ends."""


class Machines:
    """The machines of a world.

    Args:
        folder: where their disks are.
    """

    name: ClassVar[str] = "machines"
    needs: ClassVar[tuple[str, ...]] = ("systemd-container", "debootstrap", "npm")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._posts: dict[str, _Post] = {}

    def obstacle(self) -> str | None:
        """No Linux, no root, or a program that is missing."""
        if sys.platform != "linux":
            return "machines are systemd-nspawn containers, which only Linux has: use a Linux computer"
        if os.geteuid() != 0:
            return "machines need root: run it as root"
        programs = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "npm": "npm"}
        if missing := [package for program, package in programs.items() if shutil.which(program) is None]:
            return f"machines need more programs: apt-get install {' '.join(missing)}"
        return None

    async def follow(self, world: World) -> None:
        """Each server with an address of its own is on or off as its document says; one that is gone leaves nothing."""
        for server in world.all(TABLE):
            address = _address(world, server)
            if server["id"] not in self._posts and address and server["state"] in ON:
                self._posts[server["id"]] = _Post(Machine(self._folder / server["id"], server["id"]))
        for server_id, post in list(self._posts.items()):
            found = world.find(TABLE, server_id)
            if post.busy:
                continue
            if found is None:
                post.work(post.machine.remove())
                if not post.machine.folder.exists():
                    del self._posts[server_id]
            else:
                post.follow(world, found)

    async def stop(self) -> None:
        """Switch all off; their disks stay."""
        for post in self._posts.values():
            post.cancel()
        await asyncio.gather(*(post.machine.shut_down(QUICKLY) for post in self._posts.values()))

    def show(self) -> Any:
        """Each machine by the server's id."""
        return {server_id: post.show() for server_id, post in self._posts.items()}


class _Post:
    """A machine, how far it is, and what is being done about it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._name = ""
        self._address = ""
        self._boot: int | None = None
        """Which boot of the server it is in, or was in when it died; None if it is off."""
        self._up = False
        self._error = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def work(self, doing: Any) -> None:
        self._task = asyncio.create_task(doing)

    def cancel(self) -> None:
        if self._task:
            self._task.cancel()

    def follow(self, world: World, server: Document) -> None:
        rebooting = server["state"] == "stopping" and server["state_detail"] == "rebooting"
        wanted = server["_boots"] if server["state"] in ON or rebooting else None
        self._name, self._address = server["name"], _address(world, server)
        if wanted == self._boot:
            if self.machine.runs and not self._up:
                self.work(self._come_up(world, server["id"]))
            return
        before, self._boot = self._boot, wanted
        if wanted is None:
            self._up = False
            self.work(self.machine.shut_down())
        else:
            self.work(self._boot_up(_spec(world, server), in_order=before is not None))

    async def _boot_up(self, spec: Spec, *, in_order: bool) -> None:
        self._up, self._error = False, ""
        try:
            if in_order:
                await self.machine.shut_down()
            self.machine.folder.mkdir(parents=True, exist_ok=True)
            await self.machine.boot(await rootfs.ready(self.machine.folder / "rootfs.log"), spec)
        except (OSError, rootfs.RootfsError, ValueError) as error:
            self._error = str(error)

    async def _come_up(self, world: World, server_id: str) -> None:
        if not await self.machine.answers(self._address):
            await asyncio.sleep(0.05)
            return
        self._up = True
        server = world.find(TABLE, server_id)
        told = base64.b64encode(self.machine.fingerprints().encode()).decode()
        if server and server["_user_data"].get(FINGERPRINTS) != told:
            server["_user_data"][FINGERPRINTS] = told
            world.put(TABLE, server)

    def show(self) -> Document:
        state = "off" if self._boot is None else "dead" if not self.machine.runs else "up" if self._up else "booting"
        return {
            "name": self._name,
            "address": self._address,
            "state": "making" if self.busy and not self.machine.runs and self._boot is not None else state,
            "pid": self.machine.pid,
            "boots": self._boot,
            "console": str(self.machine.console),
            "error": self._error,
        }


def _address(world: World, server: Document) -> str:
    """Its private address, if it can be real; empty otherwise."""
    for nic in private_nics.of_server(world, server["id"]):
        for ip in ipam.held(world, nic["id"]):
            if not ip["is_ipv6"] and is_loopback(ipam.host(ip)):
                return str(ipam.host(ip))
    return ""


def _spec(world: World, server: Document) -> Spec:
    keys = world.where("iam.ssh_keys", project_id=server["project"], disabled=False)
    document = user_data.content(server, "cloud-init")
    return Spec(
        id=server["id"],
        name=server["hostname"],
        address=_address(world, server),
        root_keys=tuple(key["public_key"] for key in keys),
        first=first_boot(document) if document else FirstBoot(),
    )
