"""Nodes behind a bastion: the bastion is the local Scaleway's, a node its machine or an SSH server of the test."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh

from activities.registry import Clouds
from activities.settings import ScalewaySettings
from activities.ssh.fingerprints import USER_DATA
from activities.ssh.nodes import Nodes
from activities.temporal_client import TemporalBridge
from tests.activities.conftest import NO_TEMPORAL, TARGET, Control
from tests.emulator.conftest import Api
from tests.emulator.real.local import eventually, private_network, real_emulator

GW, INSTANCE, VPC = "/vpc-gw/v2/zones/fr-par-1", "/instance/v1/zones/fr-par-1", "/vpc/v2/regions/fr-par"
SECRETS = "/secret-manager/v1beta1/regions/fr-par/secrets"
NODE = "lssm-prod-core-01"


class Machine:
    """An SSH server at a node's address that runs what it is told, and can be lost.

    Attributes:
        address: where it listens, at port 22.
        connections: those that stand.
        logins: how many there have been.
    """

    def __init__(self, address: str, client_key: asyncssh.SSHKey) -> None:
        self.address = address
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.logins = 0
        self._began: list[tuple[asyncio.subprocess.Process, asyncio.Task[None]]] = []
        self._client_key = client_key
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncssh.SSHAcceptor | None = None
        self.key = asyncssh.generate_private_key("ssh-ed25519")

    def start(self) -> None:
        """Listen with the host key that it has now."""
        self._call(self._listen())

    def stop(self) -> None:
        """Break every connection, and listen no more."""
        self._call(self._close())

    def drop(self) -> None:
        """Break every connection."""
        self._call(self._abort())

    def end(self) -> None:
        """Stop for good, with all that still runs."""
        self.stop()
        self._call(self._kill())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, call: Any) -> None:
        asyncio.run_coroutine_threadsafe(call, self._loop).result(10)

    async def _listen(self) -> None:
        machine = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                machine.connections.add(conn)
                machine.logins += 1
                self.connection = conn

            def connection_lost(self, exc: Exception | None) -> None:
                machine.connections.discard(self.connection)

        async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
            assert process.command is not None
            child = await asyncio.create_subprocess_shell(
                process.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                process_group=0,
            )
            running = asyncio.current_task()
            assert running
            machine._began.append((child, running))
            await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
            process.exit(await child.wait())
            await process.wait_closed()

        self._server = await asyncssh.listen(
            self.address,
            22,
            server_factory=Server,
            server_host_keys=[self.key],
            authorized_client_keys=asyncssh.import_authorized_keys(self._client_key.export_public_key().decode()),
            process_factory=run,
            encoding=None,
        )

    async def _close(self) -> None:
        await self._abort()
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _kill(self) -> None:
        for child, _ in self._began:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        # A process that nobody waits for outlives the loop, and says so when another test runs.
        await asyncio.gather(*(running for _, running in self._began), return_exceptions=True)

    async def _abort(self) -> None:
        for connection in list(self.connections):
            connection.abort()


class Behind:
    """`lssm-prod` with a bastion, and a key that it knows.

    Attributes:
        emulator: the local Scaleway.
        clouds: the environments as the engine sees them.
        cloud: `lssm-prod` among them.
    """

    def __init__(self, api: Api, folder: Path, temporal: TemporalBridge = NO_TEMPORAL) -> None:
        self.emulator = Control(api)
        self._api = api
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.key = key
        self.key_file = folder / "key"
        self.key_file.write_bytes(key.export_private_key("openssh"))
        self.network, self.prefix = private_network(api)
        self.call("PATCH", f"{VPC}/private-networks/{self.network}", {"name": "pn-lssm-prod-core"})
        public_key = key.export_public_key("openssh").decode()
        self.call("POST", "/iam/v1alpha1/ssh-keys", {"name": "lssm-prod-ci", "public_key": public_key})
        self.gateway = self._gateway()
        self.clouds = Clouds(self.settings(), temporal)
        self.cloud = self.clouds.cloud(TARGET)
        place = {"name": self.cloud.names.bastion_secret, "path": self.cloud.names.secret_path}
        self.call("POST", SECRETS, place | {"project_id": self.cloud.project_id})

    def settings(self, **changes: Any) -> ScalewaySettings:
        """The worker's settings, with a key."""
        known = {field.alias for field in ScalewaySettings.model_fields.values()}
        told = {name: value for name, value in self.emulator.endpoints["environment"].items() if name in known}
        own = {"SCALEWAY_INFRA_SSH_KEY_FILE": self.key_file, "SSH_AUTH_SOCK": None}
        return ScalewaySettings.model_validate(told | own | changes)

    def connect(self, **changes: Any) -> Nodes:
        """Another worker's way to nodes."""
        return Clouds(self.settings(**changes), NO_TEMPORAL).nodes

    def server(self, name: str) -> Any:
        """A server in the private network, switched off."""
        body = {"name": name, "commercial_type": "DEV1-S", "image": "debian_bookworm", "dynamic_ip_required": False}
        server = self.call("POST", f"{INSTANCE}/servers", body)["server"]
        path = f"{INSTANCE}/servers/{server['id']}/private_nics"
        self.call("POST", path, {"private_network_id": self.network})
        return server

    def bastion(self) -> Any:
        """What the local Scaleway tells of the bastion; None while it is closed."""
        told = self.call("GET", "/_emulator/real")["running"]["bastions"].get(self.gateway["id"])
        return told if told and "error" not in told else None

    def call(self, method: str, path: str, body: Any = None, query: Any = None) -> Any:
        """One call at the local Scaleway, that succeeds."""
        return self.emulator.call(method, path, body, query)

    def _gateway(self) -> Any:
        body = {"name": "gw-lssm-prod", "type": "VPC-GW-S", "enable_bastion": True, "enable_smtp": False}
        self.gateway = self.call("POST", f"{GW}/gateways", body)
        path = f"{GW}/gateways/{self.gateway['id']}"
        eventually(lambda: self.call("GET", path)["status"] == "running", "running")
        link = {"gateway_id": self.gateway["id"], "private_network_id": self.network}
        self.call("POST", f"{GW}/gateway-networks", link)
        eventually(self.bastion, "the bastion listens")
        return self.gateway


class SshSite(Behind):
    """With one node, which is an SSH server of the test's own: it can lose connections and change its key.

    Attributes:
        nodes: the way to the node.
        node: its server.
        machine: the node.
    """

    def __init__(self, api: Api, folder: Path) -> None:
        super().__init__(api, folder)
        self.node = self.server(NODE)
        self.machine = Machine(eventually(self._address, "an address"), self.key)
        self.machine.start()
        self.publish()
        self.nodes = self.cloud.nodes

    def publish(self) -> None:
        """The machine tells its host key, as it does at its first boot."""
        line = f"256 {self.machine.key.get_fingerprint()} root@{NODE} (ED25519)\n"
        url = f"{self._api.url}{INSTANCE}/servers/{self.node['id']}/user_data/{USER_DATA}"
        answer = self._api.session.patch(url, data=line, headers={"Content-Type": "text/plain"}, timeout=10)
        assert answer.status_code < 300, answer.text

    def _address(self) -> str:
        found = self.call("GET", "/ipam/v1/regions/fr-par/ips", query={"is_ipv6": "false"})["ips"]
        kinds = {ip["resource"]["type"]: ip["address"] for ip in found if ip["resource"]}
        return str(kinds.get("instance_private_nic", "")).partition("/")[0]


@contextmanager
def ssh_site(folder: Path) -> Iterator[SshSite]:
    """A node behind a bastion, for as long as the context lasts."""
    with real_emulator(folder) as api:
        site = SshSite(api, folder)
        try:
            yield site
        finally:
            site.nodes.close()
            site.machine.end()
