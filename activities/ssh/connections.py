"""SSH connections that are kept for a while, so that a release does not shake hands for each of its steps."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import asyncssh

from activities.ssh.keys import Keys
from activities.ssh.script import COMMAND, Script
from blueprint.errors import EngineError, HostKeyChanged, SshUnreachable
from telemetry import calls

CONNECT_SECONDS = 10.0
"""Until a connection stands, host key and login included."""
KEEPALIVE_SECONDS, KEEPALIVES = 3.0, 3
"""A machine that does not answer three of them is dead: noticed within 12 seconds."""
IDLE_SECONDS = 60.0
"""A connection that nobody has used for this long is closed."""
TAIL_LINES = 20
"""Lines of a command's output that are kept for its result or its error."""
LONGEST_LINE = 500
"""Characters of a line on standard error that are kept; results are kept whole."""

log = logging.getLogger(__name__)
asyncssh.set_log_level(logging.WARNING)  # At its own level it tells every packet of every handshake.


@dataclass(frozen=True)
class Hop:
    """A machine that is logged in to."""

    name: str
    """For people."""
    host: str
    """Address."""
    port: int
    user: str
    fingerprints: frozenset[str]
    """Host keys that it may have; empty if it is met for the first time and believed."""
    through: Hop | None = None
    """The bastion on the way; None without one."""
    if_changed: str = ""
    """What to do if it shows another host key."""


@dataclass(frozen=True)
class Outcome:
    """How a script ended."""

    status: int
    """Exit code."""
    output: tuple[str, ...]
    """Lines of its standard output: its result."""
    tail: str
    """The end of what it said on standard error."""
    asked: float
    """When the node began with it, by the worker's clock, seconds since the epoch."""


@dataclass
class _Open:
    connection: asyncssh.SSHClientConnection
    holds: AsyncExitStack
    users: int = 0
    closing: asyncio.TimerHandle | None = None
    watch: asyncio.Task[None] | None = None


class Connections:
    """Connections by hop. Everything here runs on one event loop.

    Args:
        keys: what to log in with.
        idle: seconds after which an unused connection is closed.
    """

    def __init__(self, keys: Keys, idle: float = IDLE_SECONDS) -> None:
        self._keys = keys
        self._idle = idle
        self._open: dict[Hop, _Open] = {}
        self._locks: dict[Hop, asyncio.Lock] = {}

    def stands(self, hop: Hop) -> bool:
        """Whether there is a connection to that hop."""
        return hop in self._open and not self._open[hop].connection.is_closed()

    async def fingerprint(self, hop: Hop) -> str:
        """The host key that a hop shows."""
        async with self._use(hop) as connection:
            key = connection.get_server_host_key()
            assert key is not None, "only Kerberos goes without a host key"
            return key.get_fingerprint()

    async def run(self, hop: Hop, script: Script, on_line: Callable[[str], None]) -> Outcome:
        """Run a script to its end.

        Args:
            hop: where.
            script: what.
            on_line: told each line of its standard output as it comes.

        Raises:
            SshUnreachable: no way there, or it broke off.
            HostKeyChanged: it is another machine.
            SshKeyMissing: there is no key to log in with.
        """
        async with self._use(hop) as connection:
            try:
                with calls.ssh(script.name, hop.name, hop.host, hop.port) as call:
                    async with connection.create_process(COMMAND, encoding=None) as process:
                        outcome = await _outcome(hop, process, script, on_line)
                    call.exited(outcome.status)
                    return outcome
            except (OSError, asyncssh.Error) as error:
                raise SshUnreachable(f"lost on the way: {_reason(error)}", subject=hop.name) from None

    async def close(self) -> None:
        """Close them all."""
        for opened in list(self._open.values()):
            opened.connection.abort()
        await asyncio.gather(*(opened.watch for opened in list(self._open.values()) if opened.watch))

    # -- the pool ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _use(self, hop: Hop) -> AsyncIterator[asyncssh.SSHClientConnection]:
        async with self._locks.setdefault(hop, asyncio.Lock()):
            if not self.stands(hop):
                self._open[hop] = await self._connect(hop)
            opened = self._open[hop]
            opened.users += 1
            if opened.closing:
                opened.closing.cancel()
        try:
            yield opened.connection
        finally:
            opened.users -= 1
            if not opened.users:
                opened.closing = asyncio.get_running_loop().call_later(self._idle, opened.connection.close)

    async def _connect(self, hop: Hop) -> _Open:
        holds = AsyncExitStack()
        try:
            tunnel = await holds.enter_async_context(self._use(hop.through)) if hop.through else None
            connection = await self._shake_hands(hop, tunnel)
        except BaseException:
            # A cancelled wait too: the tunnel would otherwise count as used for ever, and never be closed.
            await holds.aclose()
            raise
        opened = _Open(connection, holds)
        opened.watch = asyncio.create_task(self._forget(hop, opened))
        return opened

    async def _shake_hands(self, hop: Hop, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        guard = _Guard(hop)
        try:
            async with asyncio.timeout(CONNECT_SECONDS), self._keys.offered() as keys:
                with calls.ssh("connect", hop.name, hop.host, hop.port):
                    return await asyncssh.connect(
                        hop.host,
                        hop.port,
                        tunnel=tunnel,
                        username=hop.user,
                        client_keys=keys,
                        client_factory=lambda: guard,
                        # Nothing of ~/.ssh: neither settings, nor keys, nor hosts that somebody else trusts.
                        config=None,
                        agent_path=None,
                        known_hosts=([], [], []),
                        preferred_auth="publickey",
                        keepalive_interval=KEEPALIVE_SECONDS,
                        keepalive_count_max=KEEPALIVES,
                    )
        except EngineError:
            raise
        except asyncssh.HostKeyNotVerifiable:
            raise HostKeyChanged(
                f"shows the host key {guard.seen}, not {' or '.join(sorted(hop.fingerprints))}",
                subject=hop.name,
                remedy=hop.if_changed,
            ) from None
        except asyncssh.PermissionDenied:
            raise SshUnreachable(
                f"lets none of our keys in as {hop.user}",
                subject=hop.name,
                remedy="see that the worker's key is one of `ssh_keys` in the environment file, and applied",
            ) from None
        except TimeoutError:
            raise SshUnreachable(f"no answer within {CONNECT_SECONDS:g} s", subject=hop.name) from None
        except (OSError, asyncssh.Error) as error:
            raise SshUnreachable(f"does not answer over SSH: {_reason(error)}", subject=hop.name) from None

    async def _forget(self, hop: Hop, opened: _Open) -> None:
        await opened.connection.wait_closed()
        if opened.closing:
            opened.closing.cancel()
        if self._open.get(hop) is opened:
            del self._open[hop]
        await opened.holds.aclose()


@dataclass
class _Guard(asyncssh.SSHClient):
    """Compares host keys."""

    hop: Hop
    seen: str = field(default="", init=False)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.seen = key.get_fingerprint()
        return not self.hop.fingerprints or self.seen in self.hop.fingerprints


async def _outcome(
    hop: Hop, process: asyncssh.SSHClientProcess[bytes], script: Script, on_line: Callable[[str], None]
) -> Outcome:
    asked, output, tail = time.time(), list[str](), deque[str](maxlen=TAIL_LINES)

    async def results() -> None:
        while line := await process.stdout.readline():
            output.append(line.decode(errors="replace").rstrip("\n"))
            on_line(output[-1])

    async def words() -> None:
        while line := await process.stderr.readline():
            tail.append(line.decode(errors="replace").rstrip()[:LONGEST_LINE])
            log.info("%s %s: %s", hop.name, script.name, tail[-1])

    process.stdin.write(script.rendered())
    process.stdin.write_eof()
    await asyncio.gather(results(), words())
    await process.wait_closed()
    # Without an exit status the connection broke off.
    if process.exit_status is None:
        raise SshUnreachable("the connection broke off", subject=hop.name)
    # No script ends itself with a signal: the node is going down, or short of memory.
    if process.exit_status < 0:
        raise SshUnreachable(f"{script.name} was ended by a signal, as in a reboot", subject=hop.name)
    return Outcome(process.exit_status, tuple(output), "\n".join(tail), asked)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return f"{reason or 'no answer'} ({type(error).__name__})"
