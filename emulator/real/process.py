"""A process of the local Scaleway's own: it cannot outlive the emulator."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path


class Process:
    """One process in a group of its own, so that Ctrl-C in a terminal reaches the emulator alone.

    Should the emulator be killed, Linux ends the process (prctl(2), PR_SET_PDEATHSIG).

    Args:
        command: program and arguments.
        log: file that standard output and error are appended to.
        env: its whole environment; None means that of the emulator.
        death: signal that the kernel sends it when the emulator dies: TERM, KILL, ...
    """

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, death: str = "TERM"
    ) -> None:
        self.log = log
        # setpriv sets the signal and then becomes the command: same process id, and no Python between fork and exec.
        leash = ["setpriv", "--pdeathsig", death, "--"] if shutil.which("setpriv") else []
        self._command = [*leash, *command]
        self._env = env
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it.

        Raises:
            OSError: the program cannot be run.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=None if self._env is None else dict(self._env),
                process_group=0,
            )

    @property
    def pid(self) -> int | None:
        """Its process id; None before `start`."""
        return self._process.pid if self._process else None

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, a signal as its negative number; None if it has not."""
        return self._process.returncode if self._process else None

    def send(self, number: signal.Signals | int) -> None:
        """Send a signal to its group; harmless if it does not run."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, number)

    async def stop(self, patience: float = 5.0, ask: signal.Signals | int = signal.SIGTERM) -> None:
        """Ask it to stop, kill it after `patience` seconds. Harmless if it does not run."""
        if self._process is None:
            return
        self.send(ask)
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._process.wait()

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""
