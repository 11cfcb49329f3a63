"""Which servers there should be: one for each PostgreSQL instance of the API whose addresses are on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from emulator.products.rdb import catalogue
from emulator.products.rdb.access import certified
from emulator.products.rdb.databases import dropped, take_over
from emulator.products.rdb.endpoints import served
from emulator.products.rdb.model import INSTANCES, PORT, SERVERS, is_real
from emulator.real.postgresql.client import Client, programs
from emulator.real.postgresql.contents import Found, contents_of
from emulator.real.postgresql.door import Public
from emulator.real.postgresql.server import Database, PostgresqlServer
from emulator.real.servers import Post, ServerError, Servers
from emulator.world import Document, World

LOOK = 0.5
"""Seconds between two looks at what users made, renamed and dropped in SQL."""
NODES = ipaddress.IPv4Network("127.192.0.0/11")
"""Where servers listen that have a public endpoint only: between the private networks and the public addresses."""


def databases(world: World, snapshots: Path) -> dict[str, Database]:
    """The servers that there should be, by the id of their instance.

    Args:
        snapshots: where those that begin with a snapshot find it.
    """
    return {
        instance["id"]: _database(world, instance, snapshots)
        for instance in world.all(INSTANCES)
        if is_real(world, instance) and instance["status"] != "deleting"
    }


def _database(world: World, instance: Document, snapshots: Path) -> Database:
    endpoints = served(instance)
    private = next((endpoint["ip"] for endpoint in endpoints if "private_network" in endpoint), None)
    public = next((endpoint for endpoint in endpoints if "load_balancer" in endpoint), None)
    networks = tuple(rule["ip"] for rule in instance["_acl"])
    offered = catalogue.engine_version(instance["engine"])["available_settings"]
    origin = instance.get("_origin") or {}
    return Database(
        address=private or _node(instance["id"]),
        port=PORT,
        public=Public(public["ip"], public["port"], networks) if public else None,
        settings=tuple((setting["name"], setting["value"]) for setting in instance["settings"]),
        units=tuple((setting["name"], setting["unit"]) for setting in offered if setting["unit"]),
        certificate=certified(world, instance),
        contents=contents_of(instance),
        snapshot=snapshots / origin["snapshot"] if "snapshot" in origin else None,
        source=origin.get("instance"),
    )


def _node(instance_id: str) -> str:
    return str(NODES[int(instance_id.replace("-", ""), 16) % NODES.num_addresses])


class Databases(Servers[Database]):
    """Keeps them, and tells the API what they hold.

    Args:
        snapshots: where those that begin with a snapshot find it.
    """

    name: ClassVar[str] = "databases"
    needs: ClassVar[tuple[str, ...]] = ("postgresql",)
    table: ClassVar[str] = INSTANCES

    def __init__(self, world: World, folder: Path, snapshots: Path) -> None:
        super().__init__(world, folder)
        self.downloads = ""
        self._snapshots = snapshots
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._next_look = 0.0
        if self.obstacle() is None:
            SERVERS[world] = self

    def obstacle(self) -> str | None:
        """PostgreSQL has to be installed, and setpriv, since it refuses to run as root."""
        missing = [
            package
            for package, there in (("postgresql", programs()), ("util-linux", shutil.which("setpriv")))
            if not there
        ]
        return f"PostgreSQL cannot run: apt-get install {' '.join(missing)}" if missing else None

    def wanted(self, world: World) -> dict[str, Database]:
        """One for each instance."""
        return databases(world, self._snapshots)

    def server(self, folder: Path) -> PostgresqlServer:
        """A postgres."""
        return PostgresqlServer(folder)

    def describe(self, spec: Database) -> dict[str, Any]:
        """Addresses, port, databases and users."""
        public = {"public": f"{spec.public.address}:{spec.public.port}"} if spec.public else {}
        return {
            **public,
            "address": spec.address,
            "port": spec.port,
            "databases": [name for name, _ in spec.contents.databases],
            "users": [user.name for user in spec.contents.users],
        }

    async def follow(self, world: World) -> None:
        """Begin what is missing, and look at what the servers hold."""
        await super().follow(world)
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK
        for key, post in self._posts.items():
            if post.serves() and (key not in self._looks or self._looks[key].done()):
                self._looks[key] = asyncio.create_task(self._look(key, post))

    async def stop(self) -> None:
        """End all of them."""
        for task in self._looks.values():
            task.cancel()
        await asyncio.gather(*self._looks.values(), return_exceptions=True)
        self._looks.clear()
        await super().stop()

    def databases(self, instance_id: str) -> list[Document] | None:
        """As the server says now, whatever is being done about it."""
        post = self._posts.get(instance_id)
        server = _postgresql(post) if post else None
        if server is None or not server.runs or server.seen is None:
            return None
        try:
            return _documents(server.client.look_now())
        except (ServerError, OSError):
            return None

    def client(self, instance_id: str) -> Client | None:
        """The superuser of an instance's server; None while it is not all that the API says."""
        spec, post = self.wanted(self._world).get(instance_id), self._posts.get(instance_id)
        return _postgresql(post).client if spec and post and post.serves(spec) else None

    def has_data(self, instance_id: str) -> bool:
        """Whether the data of an instance is in its place."""
        return (self._folder / instance_id / "data").exists()

    async def regrant(self, instance_id: str) -> None:
        """Have the privileges of an instance set once more: a backup was loaded into it."""
        if post := self._posts.get(instance_id):
            if post.task:
                await asyncio.wait([post.task])
            _postgresql(post).regrant()
            post.reached = None

    async def _change(self, key: str, post: Post[Database], spec: Database) -> None:
        await super()._change(key, post, spec)
        seen, instance = _postgresql(post).seen, self._world.find(INSTANCES, key)
        if post.reached is spec and seen:
            # What was to be made and dropped is there and gone: what the API says from here on is all done.
            done = replace(spec.contents, databases=seen.identities, closed=seen.closed, drops=())
            post.reached = replace(spec, contents=done)
            if instance:
                dropped(self._world, instance, {drop for drop, _ in spec.contents.drops})
                take_over(self._world, instance, _documents(seen))

    async def _look(self, key: str, post: Post[Database]) -> None:
        reached = post.reached
        try:
            seen = await _postgresql(post).client.look()
        except (ServerError, OSError):
            return
        # What was seen before a change says nothing about what is there after it.
        instance = self._world.find(INSTANCES, key)
        if instance and post.reached is reached and not post.busy:
            take_over(self._world, instance, _documents(seen))


def _postgresql(post: Post[Database]) -> PostgresqlServer:
    assert isinstance(post.server, PostgresqlServer)
    return post.server


def _documents(seen: Found) -> list[Document]:
    return [place.document for place in seen.databases]
