"""A child process that is stopped in order and cannot outlive its parent."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from blueprint.errors import EngineError

HOST = "127.0.0.1"


class StartError(EngineError):
    """A process could not be started, or ended by itself; the message says why."""

    code = "start_failed"
    exit_code: ClassVar[int] = 1
    """What a command that gives up with this error exits with."""


class PortTakenError(StartError):
    """Another program listens on the port that was asked for."""

    code = "port_taken"


class Child:
    """One process in a group of its own, so that Ctrl-C in a terminal reaches the parent alone.

    The parent then stops its children in the order it wants. Should the parent be killed, Linux ends the child. Linux
    means the thread that called `start`, so that thread has to live as long as the child (prctl(2), PR_SET_PDEATHSIG).

    Args:
        name: what messages call it.
        command: program and arguments.
        log: file that standard output and error are appended to.
        env: its whole environment; None means that of this process.
        cwd: its working directory; None means that of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        # setpriv sets the signal and then becomes the command: same process id, and no Python between fork and exec.
        leash = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        self._command = [*leash, *command]
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. A second call starts it anew.

        Raises:
            StartError: the program cannot be run.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if self._env is None else dict(self._env),
                    cwd=self._cwd,
                    process_group=0,
                )
            except OSError as error:
                raise StartError(f"cannot be started: {error}", subject=self.name) from error

    @property
    def pid(self) -> int | None:
        """Its process id; None before `start`."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs and before `start`."""
        return self._process.poll() if self._process else None

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM) and return at once."""
        self._signal(signal.SIGTERM)

    def stop(self, patience: float = 5.0) -> None:
        """Ask it to stop, then kill it after `patience` seconds. Harmless if it does not run."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def last_words(self, lines: int = 8) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        # Asking for the return code first: a process that was reaped has given its id back, perhaps to a stranger.
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, user: str, setting: str) -> None:
    """Check that nothing listens on a port.

    Args:
        port: TCP port on 127.0.0.1.
        user: who wants it.
        setting: the option that would choose another.

    Raises:
        PortTakenError: something does.
    """
    with socket.socket() as probe:
        # A port whose last connections are in TIME_WAIT is free: servers bind with this option too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTakenError(
                f"port {port} on {HOST} belongs to another program",
                subject=user,
                remedy=f"stop that program or choose another port with {setting}",
            ) from error


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
