"""How long a server of the local Scaleway takes from `poweron` to a login over SSH: alone, and twelve at once.

The root file system is made before, if it is not in the cache yet; that is told, and not counted.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import asyncssh
import requests

from bench.report import Report
from emulator.app import SECRET_KEY
from emulator.real.machines.follower import Machines
from emulator.real.machines.rootfs import Rootfs

NAME = "machines"
SUMMARY = "a real machine is there for SSH in under 2 s, twelve at once in under 15 s"

LIMIT = 2.0
"""Seconds for one."""
MANY = 12
LIMIT_OF_MANY = 15.0
"""Seconds for the last of them."""
TRIALS = 5
PATIENCE = 60.0
"""Seconds until a machine that does not answer ends the measurement."""
ATTEMPT = 0.02
"""Seconds between two attempts to log in."""
SUBNET = "127.97.{}.0/24"
SERVERS = "/instance/v1/zones/fr-par-1/servers"


async def measure(*, full: bool) -> Report:
    """Boot for the first time, boot again, and boot many.

    Args:
        full: no difference here.
    """
    report = Report(("boot", "machines", "median s", "longest s"))
    with tempfile.TemporaryDirectory(prefix="machines-") as folder:
        if obstacle := Machines(Path(folder) / "machines").obstacle():
            report.notes.append(f"not measured: {obstacle}")
            return report
        started = time.monotonic()
        await Rootfs(Path(folder) / "rootfs.log").ready()
        report.notes.append(f"root file system: {time.monotonic() - started:.1f} s, not counted")
        with _site(Path(folder)) as site:
            servers = await asyncio.to_thread(lambda: [site.server() for _ in range(TRIALS + MANY)])
            singles = [await site.boot(server) for server in servers[:TRIALS]]
            for server in servers[:TRIALS]:
                await site.off(server)
            again = [await site.boot(server) for server in servers[:TRIALS]]
            many = await asyncio.gather(*(site.boot(server) for server in servers[TRIALS:]))
    for name, times in (("first", singles), ("another", again), ("first, at once", many)):
        report.rows.append((name, len(times), statistics.median(times), max(times)))
    for times, limit in ((singles, LIMIT), (again, LIMIT), (many, LIMIT_OF_MANY)):
        report.require(max(times) < limit, f"{max(times):.2f} s until the login, more than {limit:.0f} s")
    return report


class _Site:
    """A local Scaleway with a network and a key.

    Args:
        url: of its API.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Auth-Token"] = SECRET_KEY
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        public = self._key.export_public_key().decode()
        self._ask("POST", "/iam/v1alpha1/ssh-keys", {"name": NAME, "public_key": public})
        # Another program may have machines in one of them.
        network = {"name": NAME, "subnets": [SUBNET.format(int(time.time()) % 256)]}
        self._network = self._ask("POST", "/vpc/v2/regions/fr-par/private-networks", network)["id"]

    def server(self) -> str:
        """A server that is off; its id."""
        body = {"name": NAME, "commercial_type": "DEV1-M", "image": "debian_bookworm"}
        server_id: str = self._ask("POST", SERVERS, body)["server"]["id"]
        self._ask("POST", f"{SERVERS}/{server_id}/private_nics", {"private_network_id": self._network})
        return server_id

    async def boot(self, server_id: str) -> float:
        """Switch a server on; seconds until somebody could log in and run a command."""
        started = time.monotonic()
        await asyncio.to_thread(self._act, server_id, "poweron")
        address = (await self._machine(server_id, ("booting", "up")))["address"]
        while True:
            try:
                async with asyncssh.connect(address, username="root", client_keys=[self._key], known_hosts=None) as way:
                    await way.run("true", check=True)
                return time.monotonic() - started
            except (OSError, asyncssh.Error):
                if time.monotonic() - started > PATIENCE:
                    raise
                await asyncio.sleep(ATTEMPT)

    async def off(self, server_id: str) -> None:
        """Switch a server off."""
        await asyncio.to_thread(self._act, server_id, "poweroff")
        await self._machine(server_id, ("off",))

    async def _machine(self, server_id: str, states: Sequence[str]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while True:
            shown = await asyncio.to_thread(self._ask, "GET", "/_emulator/real")
            machine = shown["running"]["machines"].get(server_id)
            if machine and machine["state"] in states:
                return machine
            if time.monotonic() > deadline:
                raise TimeoutError(f"the machine is not {' or '.join(states)}: {machine}")
            await asyncio.sleep(ATTEMPT)

    def _act(self, server_id: str, action: str) -> None:
        self._ask("POST", f"{SERVERS}/{server_id}/action", {"action": action})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self._session.request(method, self._url + path, json=body, timeout=PATIENCE)
        response.raise_for_status()
        return response.json()


@contextmanager
def _site(folder: Path) -> Iterator[_Site]:
    command = [sys.executable, "-m", "emulator", "--port", "0", "--real", str(folder / "real")]
    with Popen(command, stdout=PIPE, text=True) as process:
        assert process.stdout
        try:
            yield _Site(process.stdout.readline().split()[-1])
        finally:
            process.terminate()
