"""`scaleway-infra dev`: Temporal with its UI, the local Scaleway and a worker, started and stopped as one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import asyncssh
import requests
from rich.console import Console
from rich.table import Table

from starters.child import HOST, Child, PortTakenError, StartError, free_port, require_free
from starters.dev_state import DevEndpoints, StateFolder
from starters.temporal_server import NAMESPACE, TemporalServer
from workflows.codec import SETTING as CODEC_KEYS_FILE

TEMPORAL_PORT = 7233
UI_PORT = 8233
EMULATOR_PORT = 8090
LATENCY = 0.05
"""Factor on Scaleway's real delays: a load balancer in two seconds instead of 40."""

WORKER = (sys.executable, "-m", "worker")
"""The command that runs a worker."""

_ROOT = Path(__file__).resolve().parents[1]
_LONGEST_BACKOFF = 30.0
_FOREIGN_SETTINGS = ("SCW_", "AWS_", "TEMPORAL_")


class Dev:
    """The processes of a local environment.

    Args:
        state_dir: folder for databases, logs and addresses; made if it is not there, kept when it ends.
        port: port of the local Scaleway's API; 0 takes a free one, as for the other ports.
        temporal_port: gRPC port of Temporal.
        ui_port: port of the Temporal UI.
        latency: factor on Scaleway's real delays: 0 none, 1 as they are.
        real: back the local Scaleway with real machines, load balancers and databases, as far as this computer can.
        say: called with one line for each thing that a person at the terminal should know.
        worker: the command that runs a worker.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int = EMULATOR_PORT,
        temporal_port: int = TEMPORAL_PORT,
        ui_port: int = UI_PORT,
        latency: float = LATENCY,
        real: bool = False,
        say: Callable[[str], None] = lambda _: None,
        worker: Sequence[str] = WORKER,
    ) -> None:
        self._folder = StateFolder(state_dir)
        self._ports = (port, temporal_port, ui_port)
        self._latency = latency
        self._real = real
        self._say = say
        self._worker_command = worker
        self._temporal: TemporalServer | None = None
        self._emulator: Child | None = None
        self._codec_server: Child | None = None
        self._worker: Child | None = None
        self._started = 0.0
        self._backoff = 0.0
        self._restart_at: float | None = None
        self._endpoints: DevEndpoints | None = None

    @property
    def state_dir(self) -> Path:
        """The state folder, absolute."""
        return self._folder.path

    @property
    def endpoints(self) -> DevEndpoints:
        """Where it listens; only after `start`."""
        assert self._endpoints is not None, "dev is not started"
        return self._endpoints

    @property
    def worker(self) -> Child:
        """The worker's process; only after `start`."""
        assert self._worker is not None, "dev is not started"
        return self._worker

    def start(self) -> DevEndpoints:
        """Start everything and publish the addresses.

        Raises:
            AlreadyRunningError: another `dev` runs on the state folder.
            PortTakenError: another program has one of the ports.
            StartError: a process ended or did not serve in time.
        """
        stale = self._folder.claim()
        try:
            if stale:
                self._say(f"The dev before this one, process {stale}, did not end in order; its state is taken over.")
            self._endpoints = self._start_processes(patience=5.0 if stale else 0.0)
            self._folder.publish(self._endpoints)
        except BaseException:
            # Ctrl-C too: nobody else would end what was started, nor release the folder.
            self.stop()
            raise
        return self._endpoints

    def check(self) -> None:
        """Start a worker that died again, later each time. Call it now and then.

        Raises:
            StartError: Temporal or the local Scaleway died; nothing works without them.
        """
        for child in (self._temporal.child if self._temporal else None, self._emulator, self._codec_server):
            if child and child.returncode is not None:
                raise StartError(
                    f"ended with code {child.returncode}; its log says:\n{child.last_words()}",
                    subject=child.name,
                    remedy=f"read {child.log} and start dev again: the state is kept",
                )
        if self.worker.returncode is None:
            return
        now = time.monotonic()
        if self._restart_at is None:
            lived = now - self._started
            self._backoff = 1.0 if lived > _LONGEST_BACKOFF else min(max(self._backoff * 2, 1.0), _LONGEST_BACKOFF)
            self._restart_at = now + self._backoff
            self._say(
                f"The worker ended with code {self.worker.returncode} ({self.worker.log}); "
                f"starting it again in {self._backoff:g} s."
            )
        elif now >= self._restart_at:
            self._start_worker()
            self._say(f"The worker runs again, process {self.worker.pid}.")

    def stop(self) -> None:
        """Stop everything within ten seconds, the worker first: it can still report. Harmless if nothing runs."""
        if self._worker:
            self._worker.stop(5.0)
        # Both at once: they do not depend on each other, and each takes a second to put its state away.
        temporal = self._temporal.child if self._temporal else None
        if temporal:
            temporal.terminate()
        for child in (self._emulator, self._codec_server):
            if child:
                child.stop(2.0)
        if self._temporal:
            self._temporal.stop(2.0)
        self._folder.release()

    def __enter__(self) -> Dev:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_processes(self, patience: float) -> DevEndpoints:
        port, temporal_port, ui_port = self._ports
        port = port or free_port()
        if _codec_keys_file():
            # Its codec server has to know where the UI will be.
            ui_port = ui_port or free_port()
        for number, user, setting in (
            (port, "the local Scaleway", "--port"),
            (temporal_port, "Temporal", "--temporal-port"),
            (ui_port, "the Temporal UI", "--ui-port"),
        ):
            _await_free(number, user, setting, patience)
        state = self._folder.path
        logs = state / "logs"
        emulator = [sys.executable, "-m", "emulator", "--port", str(port), "--latency", f"{self._latency:g}"]
        emulator += ["--state", str(state / "emulator.db")]
        if self._real:
            emulator += ["--real", str(state / "real")]
        self._emulator = Child("the local Scaleway", emulator, logs / "emulator.log", _environment({}), _ROOT)
        self._emulator.start()
        codec_url = self._start_codec_server(ui_port, logs / "codec-server.log")
        self._temporal = TemporalServer(state, temporal_port, ui_port, log=logs / "temporal.log", codec_url=codec_url)
        self._temporal.start()
        planes = _await_emulator(self._emulator, f"http://{HOST}:{port}")
        real = self._ask_what_is_real(planes["api"])
        endpoints = DevEndpoints(
            pid=os.getpid(),
            temporal_address=self._temporal.address,
            temporal_namespace=NAMESPACE,
            temporal_ui_url=self._temporal.ui_url or "",
            api_url=planes["api"],
            s3_url=planes["s3"],
            sqs_url=planes["sqs"],
            generative_url=planes["generative"],
            dns_address=planes["dns"],
            scaleway=planes["environment"],
            pace=max(self._latency, 0.01),
            ssh_key_file=str(_ssh_key(state / "ssh")),
            ca_file=real.get("load balancers", {}).get("authority", ""),
            codec_keys_file=_codec_keys_file(),
        )
        environment = _environment(endpoints.environment() | _trust(endpoints.ca_file) | _bytecode(state))
        self._worker = Child("the worker", self._worker_command, logs / "worker.log", environment, _ROOT)
        self._start_worker()
        return endpoints

    def _start_codec_server(self, ui_port: int, log: Path) -> str | None:
        """Let the UI show what the keys of this shell can open; its address, None if nothing is encrypted."""
        keys_file = _codec_keys_file()
        if not keys_file:
            return None
        port = free_port()
        command = [sys.executable, "-m", "starters", "codec-server", "--port", str(port)]
        for host in (HOST, "localhost"):
            command += ["--origin", f"http://{host}:{ui_port}"]
        self._codec_server = Child("the codec server", command, log, _environment({CODEC_KEYS_FILE: keys_file}), _ROOT)
        self._codec_server.start()
        return f"http://{HOST}:{port}"

    def _ask_what_is_real(self, url: str) -> dict[str, Any]:
        """What the local Scaleway has behind its API. What cannot be is said, with what to do about it."""
        told: dict[str, Any] = requests.get(f"{url}/_emulator/real", timeout=5).json()
        for name, obstacle in told["obstacles"].items():
            self._say(f"No real {name} here: {obstacle}")
        running: dict[str, Any] = told["running"]
        return running

    def _start_worker(self) -> None:
        self.worker.start()
        self._started = time.monotonic()
        self._restart_at = None


def run(dev: Dev, console: Console) -> int:
    """Start, show the addresses, and stay until SIGINT, SIGTERM or SIGHUP; the exit code.

    Raises:
        StartError: see `Dev.start` and `Dev.check`.
    """
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with dev:
            console.print(addresses(dev.endpoints))
            console.print(f"Another terminal:  . {dev.state_dir / 'env'}", highlight=False)
            console.print("Ctrl-C stops all of it and keeps the state.", highlight=False)
            while not asked:
                dev.check()
                time.sleep(0.2)
            console.print("Stopping: worker, local Scaleway, Temporal.", highlight=False)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    return 0


def addresses(endpoints: DevEndpoints) -> Table:
    """What listens where, for a person."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, address in (
        ("Temporal UI", endpoints.temporal_ui_url),
        ("Temporal", endpoints.temporal_address),
        ("Scaleway API", endpoints.api_url),
        ("S3", endpoints.s3_url),
        ("SQS", endpoints.sqs_url),
        ("Generative APIs", endpoints.generative_url),
        ("DNS", endpoints.dns_address),
    ):
        table.add_row(name, address)
    return table


def _environment(additions: dict[str, str]) -> dict[str, str]:
    """The environment of a child: nothing of this user's real Scaleway, AWS or Temporal may reach it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_SETTINGS)}
    return {**inherited, "PYTHONUNBUFFERED": "1", **additions}


def _codec_keys_file() -> str:
    """The keys of what Temporal keeps, by a path that holds in every folder; "" if there are none."""
    path = os.environ.get(CODEC_KEYS_FILE, "")
    return str(Path(path).resolve()) if path else ""


def _ssh_key(folder: Path) -> Path:
    """The private key for nodes of the local Scaleway, made at the first use, with its public half beside it."""
    path = folder / "id_ed25519"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = asyncssh.generate_private_key("ssh-ed25519", comment="scaleway-infra-dev")
        key.write_public_key(f"{path}.pub")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key())
    return path


def _trust(ca_file: str) -> dict[str, str]:
    """What makes a process trust the local authority: only the worker, since it is nothing for a user's shell."""
    return {"SSL_CERT_FILE": ca_file} if ca_file else {}


def _bytecode(state: Path) -> dict[str, str]:
    """Where a worker keeps bytecode if not beside the source: the sandbox would compile workflows anew for each run."""
    if not sys.dont_write_bytecode:
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(state / "bytecode")}


def _await_free(port: int, user: str, setting: str, patience: float) -> None:
    """Wait for the children of a killed `dev` to let go of a port."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if port:
                require_free(port, user, setting)
        except PortTakenError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _await_emulator(emulator: Child, url: str, patience: float = 20.0) -> dict[str, Any]:
    """Addresses of the emulator's planes, as soon as it tells them."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if emulator.returncode is not None:
            raise StartError(
                f"ended with code {emulator.returncode}; its log says:\n{emulator.last_words()}", subject=emulator.name
            )
        # The API answers a moment before the other ports are open.
        with contextlib.suppress(requests.RequestException):
            told: dict[str, Any] = requests.get(f"{url}/_emulator/endpoints", timeout=5).json()
            if told.keys() >= {"api", "s3", "sqs", "generative", "dns", "environment"}:
                return told
        time.sleep(0.05)
    raise StartError(f"did not serve in time; its log says:\n{emulator.last_words()}", subject=emulator.name)
