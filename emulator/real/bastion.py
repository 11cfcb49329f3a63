"""The SSH bastion of a public gateway: a jump host at the gateway's address, into its private networks and no further.

It runs on the emulator's own loop. Whom it lets in, and where to, is asked of the latest documents for each connection,
so a change needs no restart and cuts nobody off.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import asyncssh

from emulator.products.ipam import NETWORKS
from emulator.products.vpcgw.api import GATEWAY_NETWORKS, GATEWAYS, IPS
from emulator.real.follower import is_loopback
from emulator.world import Document, World

USER = "bastion"
"""The only user there is (as at Scaleway: `ssh -J bastion@<gateway>:61000 root@<node>`)."""
OPEN = {"running", "configuring"}
BACKLOG = 1024
"""Connections that may wait for their accept: a deploy opens one for each of its commands."""
SHORT_OF_FILES = 0.1
"""Seconds without accepting when the process has no file descriptor left for a connection."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """What one bastion is to do.

    Attributes:
        address: where it listens, with `port`.
        allowed: networks that may connect.
        keys: public keys that are let in, each "<kind> <base64>".
        subnets: networks that it forwards into.
    """

    address: str
    port: int
    allowed: tuple[str, ...]
    keys: tuple[str, ...]
    subnets: tuple[str, ...]

    def admits(self, source: str) -> bool:
        """Whether a client at this address may connect."""
        return _within(source, self.allowed)

    def knows(self, user: str, key: str) -> bool:
        """Whether this user with this public key is let in."""
        return user == USER and key in self.keys

    def reaches(self, host: str) -> bool:
        """Whether it forwards to this address; never to a name, which could stand for anything."""
        try:
            return _within(host, self.subnets)
        except ValueError:
            return False


def _within(address: str, networks: tuple[str, ...]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks)


def policies(world: World) -> dict[str, Policy]:
    """The bastions that there should be, by the id of their gateway."""
    return {gateway["id"]: policy for gateway in world.all(GATEWAYS) for policy in _policy(world, gateway)}


def _policy(world: World, gateway: Document) -> Iterator[Policy]:
    address = next((ip["address"] for ip in world.where(IPS, gateway_id=gateway["id"])), None)
    if not gateway["bastion_enabled"] or gateway["status"] not in OPEN or not address or not is_loopback(address):
        return
    attached = [n for n in world.where(GATEWAY_NETWORKS, gateway_id=gateway["id"]) if n["status"] != "detaching"]
    private = [world.find(NETWORKS, network["private_network_id"]) or {"subnets": []} for network in attached]
    yield Policy(
        address=address,
        port=gateway["bastion_port"],
        allowed=tuple(gateway["bastion_allowed_ips"]),
        keys=tuple(
            key["public_key"] for key in world.where("iam.ssh_keys", project_id=gateway["project_id"], disabled=False)
        ),
        subnets=tuple(subnet["subnet"] for network in private for subnet in network["subnets"]),
    )


class Bastion:
    """A jump host that listens.

    Args:
        policy: what it is to do; may be replaced by another one of the same address and port at any time.
        key: its host key.

    Raises:
        OSError: the address and port cannot be opened.
    """

    def __init__(self, policy: Policy, key: asyncssh.SSHKey) -> None:
        self.policy = policy
        self.key = key
        self.connections: set[asyncssh.SSHServerConnection] = set()
        """Those that exist, authenticated or not yet."""
        self._options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: _Session(self),
            server_host_keys=[key],
            compression_algs=["none"],
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
        )
        self._handshakes: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server((policy.address, policy.port), backlog=BACKLOG)
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Close the port and every connection."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)
        self._socket.close()
        for connection in list(self.connections):
            connection.abort()

    def show(self) -> dict[str, Any]:
        """Where it listens, its host key, and how many are connected."""
        return {
            "address": self.policy.address,
            "port": self.policy.port,
            "host_key": self.key.export_public_key("openssh").decode().strip(),
            "fingerprint": self.key.get_fingerprint(),
            "connections": len(self.connections),
        }

    async def _accept(self) -> None:
        while True:
            try:
                client, (source, _) = await asyncio.get_running_loop().sock_accept(self._socket)
            except OSError:
                await asyncio.sleep(SHORT_OF_FILES)
                continue
            if not self.policy.admits(source):
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._shake_hands(client))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, client: socket.socket) -> None:
        try:
            await asyncssh.run_server(client, options=self._options)
        except (OSError, asyncssh.Error) as error:
            log.debug("the bastion at %s turned a client away: %s", self.policy.address, error)


class _Session(asyncssh.SSHServer):
    """What one connection may do: be forwarded, and nothing else. All other requests asyncssh refuses by itself."""

    def __init__(self, bastion: Bastion) -> None:
        self._bastion = bastion
        self._connection: asyncssh.SSHServerConnection | None = None
        self._user = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._bastion.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._bastion.connections.discard(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._bastion.policy.knows(username, " ".join(key.export_public_key("openssh").decode().split()[:2]))

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        if not self._bastion.policy.reaches(dest_host):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"{dest_host} is in no private network of this gateway"
            )
        return True


class Bastions:
    """Keeps a bastion for each gateway that has it enabled.

    Args:
        folder: where host keys are kept, one file for each gateway.
    """

    name: ClassVar[str] = "bastions"
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Bastion] = {}
        self._refused: dict[str, str] = {}

    def obstacle(self) -> str | None:
        """Only Linux has every address of 127.0.0.0/8."""
        if sys.platform == "linux":
            return None
        return "bastions listen at addresses of 127.0.0.0/8 that only Linux has: run the local Scaleway on Linux"

    async def follow(self, world: World) -> None:
        """Open, change and close."""
        wanted = policies(world)
        for gateway_id, bastion in list(self._open.items()):
            policy = wanted.get(gateway_id)
            if policy is None or (policy.address, policy.port) != (bastion.policy.address, bastion.policy.port):
                del self._open[gateway_id]
                await bastion.close()
        for gateway_id, policy in wanted.items():
            if gateway_id in self._open:
                self._open[gateway_id].policy = policy
            else:
                self._listen(gateway_id, policy)
        for gateway_id in self._refused.keys() - wanted.keys():
            del self._refused[gateway_id]
        self._forget_keys(world)

    async def stop(self) -> None:
        """Close them all; the host keys stay."""
        for bastion in self._open.values():
            await bastion.close()
        self._open.clear()

    def show(self) -> Any:
        """By gateway: where it listens, or why it does not."""
        opened = {gateway_id: bastion.show() for gateway_id, bastion in self._open.items()}
        return opened | {gateway_id: {"error": error} for gateway_id, error in self._refused.items()}

    def _listen(self, gateway_id: str, policy: Policy) -> None:
        try:
            self._open[gateway_id] = Bastion(policy, self._host_key(gateway_id))
            self._refused.pop(gateway_id, None)
        except OSError as error:
            told = f"{policy.address}:{policy.port} cannot be opened: {error.strerror}"
            if self._refused.get(gateway_id) != told:
                log.warning("bastion: %s", told)
            self._refused[gateway_id] = told

    def _host_key(self, gateway_id: str) -> asyncssh.SSHKey:
        path = self._folder / gateway_id
        if path.exists():
            return asyncssh.read_private_key(path)
        self._folder.mkdir(parents=True, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519")
        path.touch(mode=0o600)
        path.write_bytes(key.export_private_key("openssh"))
        return key

    def _forget_keys(self, world: World) -> None:
        if self._folder.exists():
            for path in self._folder.iterdir():
                if world.find(GATEWAYS, path.name) is None:
                    path.unlink()
