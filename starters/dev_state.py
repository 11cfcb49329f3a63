"""The folder in which `scaleway-infra dev` keeps what outlives a process, and tells other programs where it listens.

STATE/dev.pid          whose it is: the process id, and the lock on the file while that process lives
STATE/endpoints.json   addresses and credentials, for programs; locked while the process lives that published them
STATE/env              the same as `export` lines, for a shell
STATE/temporal.db      what Temporal keeps
STATE/emulator.db      what the local Scaleway keeps
STATE/logs/            what each process prints
"""

from __future__ import annotations

import fcntl
import os
import shlex
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from starters.child import StartError
from workflows.codec import SETTING as CODEC_KEYS_FILE


class AlreadyRunningError(StartError):
    """Another `dev` runs on the state folder."""

    code = "dev_already_running"
    exit_code = 11


class DevEndpoints(BaseModel):
    """Where a running `dev` listens and what it accepts. The credentials open nothing but this local Scaleway."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    pid: int
    """Process id of the `dev`."""
    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str
    api_url: str
    """The Scaleway API."""
    s3_url: str
    sqs_url: str
    generative_url: str
    """The generative APIs, in the OpenAI form."""
    dns_address: str
    """host:port of the authoritative DNS server, UDP and TCP."""
    scaleway: dict[str, str]
    """What the local Scaleway wants in the environment of its clients: SCW_* and AWS_ENDPOINT_URL_*."""
    pace: float
    """Factor on the engine's own pauses, to suit the speed of the local Scaleway."""
    ssh_key_file: str = ""
    """Private key with which the worker logs in to nodes; `<file>.pub` is for `ssh_keys` of an environment."""
    ca_file: str = ""
    """Certificate of the authority in the place of Let's Encrypt; empty without real load balancers."""
    codec_keys_file: str = ""
    """Keys of what Temporal keeps; empty if it keeps clear text."""

    def environment(self) -> dict[str, str]:
        """The environment variables by which the SDKs and the engine reach all of it."""
        return {
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": self.temporal_namespace,
            "TEMPORAL_UI_URL": self.temporal_ui_url,
            **self.scaleway,
            # S3 and SQS take the Scaleway key; the aws command reads it under these names.
            "AWS_ACCESS_KEY_ID": self.scaleway["SCW_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": self.scaleway["SCW_SECRET_KEY"],
            "AWS_DEFAULT_REGION": self.scaleway["SCW_DEFAULT_REGION"],
            "SCALEWAY_INFRA_PACE": f"{self.pace:g}",
            "SCALEWAY_INFRA_RESOLVER": self.dns_address,
            **({"SCALEWAY_INFRA_SSH_KEY_FILE": self.ssh_key_file} if self.ssh_key_file else {}),
            **({CODEC_KEYS_FILE: self.codec_keys_file} if self.codec_keys_file else {}),
        }


class StateFolder:
    """The folder, held by one process at a time.

    The lock and not the process id decides who holds it: the kernel frees the lock of a process that was killed, and a
    stale id may by now belong to a stranger.

    Args:
        path: the folder; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: IO[str] | None = None
        self._published: IO[str] | None = None

    def claim(self) -> int | None:
        """Take the folder for this process.

        Returns:
            The id of an earlier holder that died without releasing it; None if there was none.

        Raises:
            AlreadyRunningError: a living process holds it.
            StartError: the folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _pid_file(self.path).open("a+")
        except OSError as error:
            raise StartError(
                f"cannot be used as state folder: {error.strerror}", subject=str(self.path), remedy="choose --state-dir"
            ) from error
        if not _try_lock(lock, fcntl.LOCK_EX):
            pid = _read_pid(lock)
            lock.close()
            raise AlreadyRunningError(
                f"another dev, process {pid}, runs there",
                subject=str(self.path),
                remedy=f"use it, end it with `kill {pid}`, or choose another --state-dir",
            )
        self._lock = lock
        stale = _read_pid(lock)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._withdraw()
        return stale

    def publish(self, endpoints: DevEndpoints) -> None:
        """Write `endpoints.json` and `env`, readable by this user only."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in endpoints.environment().items()]
        _write_private(self.path / "env", "".join(lines)).close()
        # Last: whoever sees these takes all for ready.
        self._published = _write_private(self.path / "endpoints.json", endpoints.model_dump_json(indent=2) + "\n")

    def release(self) -> None:
        """Take back what was published and let others have the folder. Harmless if it is not held."""
        if self._lock:
            self._withdraw()
            if self._published:
                self._published.close()
                self._published = None
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def _withdraw(self) -> None:
        for name in ("endpoints.json", "env"):
            (self.path / name).unlink(missing_ok=True)


def read_endpoints(state_dir: Path) -> DevEndpoints | None:
    """What the `dev` on a state folder published; None unless one is alive and ready.

    Args:
        state_dir: the folder, `.dev` by default in the command line.
    """
    try:
        with (state_dir / "endpoints.json").open() as published:
            # The lock on this very file, and not the folder's: a dev that has just taken the folder over holds that one
            # while there is still what its dead predecessor published.
            if _try_lock(published, fcntl.LOCK_SH):
                return None
            return DevEndpoints.model_validate_json(published.read())
    except (OSError, ValidationError):
        return None


def _pid_file(folder: Path) -> Path:
    return folder / "dev.pid"


def _try_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(lock: IO[str]) -> int | None:
    lock.seek(0)
    text = lock.read().strip()
    return int(text) if text.isdigit() else None


def _write_private(path: Path, text: str) -> IO[str]:
    """Replace a file in one step, so that a reader never sees half of it. Returns it, open and locked."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(0o600)
    file = fresh.open("w")
    file.write(text)
    file.flush()
    fcntl.flock(file, fcntl.LOCK_EX)
    fresh.replace(path)
    return file
