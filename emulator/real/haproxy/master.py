"""One HAProxy: its master process, which takes over a new configuration without losing a connection."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from emulator.real.haproxy.configuration import CONFIGURATION, STATES
from emulator.real.process import Process
from emulator.real.servers import ServerError, run

SOCKET = "master.sock"
PROGRAM = "haproxy"

ANSWER = 2.0
"""Seconds for an answer on the socket."""
TAKEOVER = 15.0
"""Seconds for a worker to begin, on a busy computer."""
GLANCE = 0.01
"""Seconds between two looks at whether it has."""

NO_STATES = "1\n"
"""A table of servers without any: only its version."""


class RefusedError(Exception):
    """HAProxy does not take this configuration, and says why."""


class Master:
    """HAProxy in master-worker mode (management guide, 4 and 9.4).

    A reload starts another worker, which inherits the listening sockets; the former one accepts no more, and ends with
    its last connection. A worker that dies takes the master with it, so that whoever looks starts both anew.

    Args:
        folder: its working directory, for the configuration, the socket and the log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.applied: str | None = None
        """The configuration that new connections meet; None before the first."""
        # Relative names: the path of a Unix socket has at most 107 characters.
        self._command = [PROGRAM, "-W", "-S", f"unix@{SOCKET}", "-C", str(folder), "-f", CONFIGURATION]
        self._process = Process(self._command, folder / "haproxy.log")
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process.runs

    @property
    def pid(self) -> int | None:
        """Of the master; None before the first start."""
        return self._process.pid

    async def apply(self, configuration: str, hand_over: Callable[[str], str]) -> None:
        """Check a configuration, and start with it or go over to it. Returns once new connections meet it.

        Args:
            configuration: the whole file.
            hand_over: makes the table of servers that the next worker begins with from that of the current one.

        Raises:
            RefusedError: HAProxy does not take it; what ran before runs on.
            TimeoutError: no worker has begun in time.
            OSError: the program cannot be run.
        """
        candidate = self.folder / f"{CONFIGURATION}.new"
        candidate.write_text(configuration)
        await self._check(candidate)
        candidate.replace(self.folder / CONFIGURATION)
        if self.runs:
            (self.folder / STATES).write_text(hand_over(await self.servers()))
            await self._reload()
        else:
            (self.folder / STATES).write_text(NO_STATES)
            await self._process.start()
            await self._until(self._begun)
        self.applied = configuration

    async def servers(self) -> str:
        """The current worker's table of servers."""
        return await self._ask("@1 show servers state")

    async def stop(self) -> None:
        """End it, with all its connections."""
        await self._process.stop(patience=2.0)

    async def _check(self, candidate: Path) -> None:
        (self.folder / STATES).touch()
        try:
            await run([PROGRAM, "-c", "-C", str(self.folder), "-f", candidate.name])
        except ServerError as error:
            raise RefusedError("\n".join(re.findall(r"\[ALERT\].*", str(error)))) from None

    async def _reload(self) -> None:
        former, _ = await self._workers()
        # The master answers by becoming another one: the connection just ends.
        await self._ask("reload")

        async def taken_over() -> bool:
            current, failed = await self._workers()
            if failed:
                raise RefusedError(self._process.last_words())
            return current != former and await self._begun() and await self._retires(former)

        await self._until(taken_over)

    async def _workers(self) -> tuple[str, bool]:
        """The process id of the current worker, and whether the last reload failed."""
        table = await self._ask("show proc")
        failed = re.search(r"failed: ([0-9]+)", table)
        current = re.search(r"^# workers\n([0-9]+)", table, re.MULTILINE)
        if current is None:
            raise ConnectionError("HAProxy has no worker yet")
        return current[1], failed is not None and failed[1] != "0"

    async def _begun(self) -> bool:
        """Whether the current worker answers, and so accepts connections."""
        return "Pid:" in await self._ask("@1 show info")

    async def _retires(self, pid: str) -> bool:
        """Whether a former worker accepts no more, or has ended."""
        info = await self._ask(f"@!{pid} show info")
        return "Pid:" not in info or "Stopping: 1" in info

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(TAKEOVER):
            while True:
                try:
                    if await condition():
                        return
                except OSError as error:
                    # While the master becomes another one, its socket refuses for a moment.
                    if not self.runs:
                        raise RefusedError(self._process.last_words()) from error
                await asyncio.sleep(GLANCE)

    async def _ask(self, command: str) -> str:
        """One command of the master's CLI.

        Raises:
            OSError: it is not there, or does not answer in time (TimeoutError).
        """
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            async with asyncio.timeout(ANSWER):
                reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{SOCKET}")
                try:
                    writer.write(f"{command}\n".encode())
                    # Without it the master waits for more commands, and keeps the connection.
                    writer.write_eof()
                    return (await reader.read()).decode(errors="replace")
                finally:
                    writer.close()
        finally:
            os.close(folder)
