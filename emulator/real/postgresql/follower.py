"""Which servers there should be: one for each PostgreSQL instance of the API that has a private address."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from emulator.products.rdb import catalogue
from emulator.products.rdb.access import certified
from emulator.products.rdb.model import INSTANCES
from emulator.real.follower import is_loopback
from emulator.real.postgresql.contents import contents_of
from emulator.real.postgresql.server import Database, PostgresqlServer, programs
from emulator.real.servers import Servers
from emulator.world import Document, World


def databases(world: World) -> dict[str, Database]:
    """The servers that there should be, by the id of their instance."""
    return {
        instance["id"]: database
        for instance in world.all(INSTANCES)
        if instance["engine"].startswith("PostgreSQL-") and instance["status"] != "deleting"
        for database in _database(world, instance)
    }


def _database(world: World, instance: Document) -> Iterator[Database]:
    endpoint = next((each for each in instance["endpoints"] if "private_network" in each), None)
    if endpoint is None or not is_loopback(endpoint["ip"]):
        return
    offered = catalogue.engine_version(instance["engine"])["available_settings"]
    yield Database(
        address=endpoint["ip"],
        port=endpoint["port"],
        settings=tuple((setting["name"], setting["value"]) for setting in instance["settings"]),
        units=tuple((setting["name"], setting["unit"]) for setting in offered if setting["unit"]),
        certificate=certified(world, instance),
        contents=contents_of(instance),
    )


class Databases(Servers[Database]):
    """Keeps them."""

    name: ClassVar[str] = "databases"
    needs: ClassVar[tuple[str, ...]] = ("postgresql",)
    table: ClassVar[str] = INSTANCES

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
        return databases(world)

    def server(self, folder: Path) -> PostgresqlServer:
        """A postgres."""
        return PostgresqlServer(folder)

    def describe(self, spec: Database) -> dict[str, Any]:
        """Address, port, databases and users."""
        return {
            "address": spec.address,
            "port": spec.port,
            "databases": list(spec.contents.databases),
            "users": [user.name for user in spec.contents.users],
        }
