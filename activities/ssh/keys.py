"""The keys with which bastions and nodes let the worker in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from blueprint.errors import SshKeyMissing

REMEDY = (
    "set SCALEWAY_INFRA_SSH_KEY_FILE to a private key of one of `ssh_keys` where the worker runs, or SSH_AUTH_SOCK to "
    "an agent that has it; then restart the worker"
)


class Keys:
    """A key file, an agent, or both. Nothing of a key leaves this process, nor does an agent's key leave the agent.

    Args:
        file: private key, or None.
        agent: socket of an agent, or None.
    """

    def __init__(self, file: Path | None, agent: Path | None) -> None:
        self._file = file
        self._agent = agent

    @asynccontextmanager
    async def offered(self) -> AsyncIterator[list[asyncssh.SSHKey | asyncssh.SSHKeyPair]]:
        """Every key there is, the agent's for as long as the context lasts.

        Raises:
            SshKeyMissing: there is none, or the file cannot be used.
        """
        keys: list[asyncssh.SSHKey | asyncssh.SSHKeyPair] = []
        if self._file:
            try:
                keys.append(asyncssh.read_private_key(self._file))
            except (OSError, asyncssh.KeyImportError) as error:
                what = error.strerror if isinstance(error, OSError) else str(error)
                raise SshKeyMissing(f"{self._file} is no usable private key: {what}", remedy=REMEDY) from None
        if not self._agent or not self._agent.is_socket():
            yield self._some(keys)
            return
        try:
            agent = await asyncssh.connect_agent(str(self._agent))
        except OSError:
            yield self._some(keys)
            return
        async with agent:
            yield self._some([*keys, *await agent.get_keys()])

    def _some(self, keys: list[asyncssh.SSHKey | asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKey | asyncssh.SSHKeyPair]:
        if not keys:
            raise SshKeyMissing("the worker has no SSH key", remedy=REMEDY)
        return keys
