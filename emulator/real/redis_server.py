"""Managed Redis: a Redis server for each cluster, at its private addresses.

A cluster of several nodes is one server that listens at the address of each: the data is the same wherever one asks.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from emulator.products.redis.catalogue import NODE_TYPES
from emulator.products.redis.clusters import certified
from emulator.products.redis.states import CLUSTERS
from emulator.real.follower import is_loopback
from emulator.real.process import Process
from emulator.real.servers import Server, ServerError, Servers, as_user, give, keep, run, start
from emulator.world import Document, World

USER = "redis"
"""Of the system: Debian's package makes it."""
OWN = "_emulator"
"""The user of Redis through which the emulator itself changes settings."""
SOCKET = "redis.sock"
AT_START = {"bind", "port", "tls-port", "databases"}
"""Directives that a running server cannot take, or not without cutting connections."""


@dataclass(frozen=True)
class Cache:
    """What one server is to be.

    Attributes:
        addresses: where it listens, each on `port`.
        user: who may log in, with `password`.
        memory: bytes that it may hold.
        settings: pairs of name and value, as the API has them.
        certificate: PEM of certificate and key; None speaks without TLS.
    """

    addresses: tuple[str, ...]
    port: int
    user: str
    password: str
    memory: int
    settings: tuple[tuple[str, str], ...] = ()
    certificate: tuple[str, str] | None = None


def caches(world: World) -> dict[str, Cache]:
    """The servers that there should be, by the id of their cluster."""
    return {
        cluster["id"]: cache
        for cluster in world.all(CLUSTERS)
        if cluster["status"] != "deleting"
        for cache in _cache(world, cluster)
    }


def _cache(world: World, cluster: Document) -> Iterator[Cache]:
    private = [endpoint for endpoint in cluster["endpoints"] if "private_network" in endpoint]
    addresses = tuple(address for endpoint in private for address in endpoint["ips"] if is_loopback(address))
    if not addresses:
        return
    certificate, key = certified(world, cluster) if cluster["tls_enabled"] else ("", "")
    yield Cache(
        addresses=addresses,
        port=private[0]["port"],
        user=cluster["user_name"],
        password=cluster["_password"],
        memory=NODE_TYPES[cluster["node_type"].lower()][2],
        settings=tuple((setting["name"], setting["value"]) for setting in cluster["cluster_settings"]),
        certificate=(base64.b64decode(certificate).decode(), key) if certificate else None,
    )


def directives(cache: Cache) -> dict[str, str]:
    """The configuration file of a server, by directive. Files are named relative to its folder."""
    settings = dict(cache.settings)
    kept = "no" if settings.pop("disable-save", "false") == "true" else "yes"
    ports = {"port": "0", "tls-port": str(cache.port)} if cache.certificate else {"port": str(cache.port)}
    tls = {"tls-cert-file": "server.crt", "tls-key-file": "server.key", "tls-auth-clients": "no"}
    return {
        "bind": " ".join(cache.addresses),
        **ports,
        **(tls if cache.certificate else {}),
        "maxmemory": str(cache.memory),
        "appendonly": kept,
        **settings,
    }


def access(cache: Cache, own: str) -> str:
    """The ACL file: the cluster's user, who may do all but administer, and our own.

    Args:
        cache: whose user is let in.
        own: password of the emulator's own user.
    """
    lines = [
        f"user {OWN} on {_digest(own)} ~* &* +@all",
        f"user {cache.user} on {_digest(cache.password)} ~* &* +@all -@admin",
    ]
    return "\n".join([*lines, *(["user default off"] if cache.user != "default" else []), ""])


def _digest(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


class RedisServer(Server[Cache]):
    """A redis-server."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._process: Process | None = None
        self._directives: dict[str, str] = {}
        self._own = secrets.token_urlsafe()

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.runs

    async def become(self, spec: Cache) -> None:
        """Start it, or change it under its clients; only what it cannot take so restarts it."""
        wanted = directives(spec)
        self._write(spec, wanted)
        changed = {
            name for name in wanted.keys() | self._directives.keys() if wanted.get(name) != self._directives.get(name)
        }
        # A directive that is gone returns to a default which only Redis itself knows.
        if self.runs and not changed & AT_START and changed <= wanted.keys():
            await self._tell(wanted, changed)
        else:
            await self.stop()
            await self._start()
        self._directives = wanted

    async def stop(self) -> None:
        """End it; it writes what is not written yet."""
        if self._process:
            await self._process.stop()

    def _write(self, cache: Cache, wanted: dict[str, str]) -> None:
        give(self.folder, USER)
        fixed = {
            "dir": str(self.folder),
            "aclfile": "users.acl",
            "unixsocket": SOCKET,
            "save": '""',
            "protected-mode": "no",
        }
        lines = [f"{name} {_quoted(value) if name == 'dir' else value}" for name, value in (fixed | wanted).items()]
        keep(self.folder / "redis.conf", "\n".join([*lines, ""]))
        keep(self.folder / "users.acl", access(cache, self._own))
        for name, content in zip(("server.crt", "server.key"), cache.certificate or (), strict=False):
            keep(self.folder / name, content)

    async def _start(self) -> None:
        command = [*as_user(USER, "TERM"), "redis-server", str(self.folder / "redis.conf")]
        self._process = Process(command, self.folder / "log")
        await start(self._process, self._answers)

    async def _answers(self) -> bool:
        try:
            return await self._ask("PING") == "PONG"
        except ServerError:
            return False

    async def _tell(self, wanted: dict[str, str], changed: set[str]) -> None:
        await self._ask("ACL LOAD")
        # Certificate and key are taken together, and anew even if their files have kept their names.
        pairs = [f"{name} {wanted[name]}" for name in sorted(changed)]
        if "tls-port" in wanted:
            pairs.append("tls-cert-file server.crt tls-key-file server.key")
        for pair in pairs:
            await self._ask(f"CONFIG SET {pair}")

    async def _ask(self, command: str) -> str:
        """One command; the password goes by the environment, which other users cannot read."""
        secret = {"REDISCLI_AUTH": self._own}
        told = await run(["redis-cli", "-s", SOCKET, "--user", OWN], text=command, env=secret, folder=self.folder)
        answer = told.strip()
        if answer not in {"OK", "PONG"}:
            raise ServerError(f"redis-cli: {answer}")
        return answer


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Caches(Servers[Cache]):
    """Keeps a Redis server for each cluster of the API that has a private address."""

    name: ClassVar[str] = "caches"
    needs: ClassVar[tuple[str, ...]] = ("redis-server",)
    table: ClassVar[str] = CLUSTERS

    def obstacle(self) -> str | None:
        """Redis has to be installed."""
        if shutil.which("redis-server") and shutil.which("redis-cli"):
            return None
        return "redis-server is not installed: apt-get install redis-server"

    def wanted(self, world: World) -> dict[str, Cache]:
        """One for each cluster."""
        return caches(world)

    def server(self, folder: Path) -> RedisServer:
        """A redis-server."""
        return RedisServer(folder)

    def describe(self, spec: Cache) -> dict[str, Any]:
        """Addresses, port, user, and whether it speaks TLS."""
        return {
            "addresses": list(spec.addresses),
            "port": spec.port,
            "user": spec.user,
            "tls": spec.certificate is not None,
        }
