"""An environment on the local Scaleway with real machines, releases from a repository of one's own, load from outside.

Every step is a command that works the same by hand.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import yaml

from blueprint.environment import parse
from probe.__main__ import READY
from probe.report import Report
from starters.child import HOST, Child, StartError, free_port
from starters.dev import WORKER, Dev
from starters.dev_state import DevEndpoints
from starters.kept import Kept
from starters.localized import localized

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "backend.git"
_LONGEST_CLONE = 300


@dataclass(frozen=True)
class Traffic:
    """Load from outside.

    Attributes:
        rate: requests per second.
        sockets: WebSockets held open.
        jobs: jobs per second put on the queue.
        seconds: at the longest.
    """

    rate: float = 500.0
    sockets: int = 200
    jobs: float = 0.0
    seconds: float = 3600.0


class Loading:
    """A probe under way.

    Args:
        process: the probe.
        report: file that it writes at its end.
    """

    def __init__(self, process: subprocess.Popen[str], report: Path) -> None:
        self._process = process
        self._report = report
        self.printed = ""
        """What the probe prints for people, once it has ended."""

    def end(self) -> Report:
        """Stop the load, and tell what the clients saw.

        Raises:
            StartError: the probe wrote no report.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self.printed = self._process.communicate(timeout=60)[0]
        try:
            return Report.model_validate_json(self._report.read_text())
        except OSError as error:
            raise StartError(f"wrote no report:\n{self.printed}", subject="the probe") from error


class Rehearsal:
    """One environment, on this computer, for as long as it is entered.

    Args:
        folder: where its files and its state live.
        data: the environment file as read.
        repository: where its releases come from: a folder or an address, copied once.
        latency: factor on Scaleway's real delays.
        say: called with one line for each thing that a person at the terminal should know.
        changes: what the file says otherwise, by section: merged into it.
        worker: the command that runs a worker, if not the usual one.
    """

    def __init__(
        self,
        folder: Path,
        data: dict[str, Any],
        repository: str,
        *,
        latency: float = 0.05,
        say: Callable[[str], None] = lambda _: None,
        changes: Mapping[str, Any] | None = None,
        worker: Sequence[str] = WORKER,
    ) -> None:
        self.folder = folder
        self.name: str = data["env"]
        self._data = data
        self._changes = changes or {}
        self._source = repository
        self._git: Child | None = None
        self._port = 0
        self.dev = Dev(
            folder / "state", port=0, temporal_port=0, ui_port=0, latency=latency, real=True, say=say, worker=worker
        )
        self._kept = Kept(self.dev)

    @property
    def endpoints(self) -> DevEndpoints:
        """Where it listens."""
        return self.dev.endpoints

    @property
    def repository(self) -> Path:
        """The bare repository that nodes fetch from: what is pushed there can be deployed."""
        return self.folder / "git" / REPOSITORY

    @property
    def file(self) -> Path:
        """The environment file."""
        return self.folder / "environments" / f"{self.name}.yaml"

    def __enter__(self) -> Rehearsal:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._copy_repository()
        self._serve_repository()
        try:
            self._kept.start()
        except BaseException:
            self._stop_serving()
            raise
        self.write(self._merged())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._kept.stop()
        finally:
            self._stop_serving()

    # -- the environment ---------------------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """The environment file as it is."""
        data: dict[str, Any] = yaml.safe_load(self.file.read_text())
        return data

    def write(self, data: dict[str, Any]) -> None:
        """Change the environment file."""
        self.file.write_text(yaml.safe_dump(data, sort_keys=False))

    def run(self, *arguments: str, check: bool = True, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """One command of `scaleway-infra`, as a user would type it.

        Raises:
            CalledProcessError: it failed, and that was not expected.
        """
        return subprocess.run(
            self.command(*arguments), **self.surroundings(), check=check, capture_output=capture, text=True
        )

    def command(self, *arguments: str) -> list[str]:
        """The command line of a command."""
        return [sys.executable, "-m", "starters", "--directory", str(self.file.parent), *arguments]

    def surroundings(self) -> dict[str, Any]:
        """Environment and folder of a command."""
        return {"env": os.environ | self.endpoints.environment(), "cwd": ROOT}

    def address(self) -> str:
        """Public address of the load balancer."""
        told = self.run("--output", "json", "status", self.name, capture=True).stdout
        objects = json.loads(told)["objects"]
        return next(
            str(item["outputs"]["address"])
            for item in objects
            if item["kind"] == "lb_ip" and ":" not in item["outputs"]["address"]
        )

    def parent_of(self, ref: str) -> str:
        """The first parent of a commit of the repository.

        Raises:
            StartError: there is no such commit, or it has no parent.
        """
        command = ["git", "-C", str(self.repository), "rev-parse", "--verify", "--quiet", f"{ref}~1^{{commit}}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StartError(
                f"{ref} is not there, or has no parent", subject=self._source, remedy="name one with --from"
            )
        return done.stdout.strip()

    # -- load --------------------------------------------------------------------------------------------------

    @contextmanager
    def load(self, traffic: Traffic) -> Iterator[Loading]:
        """With load on the load balancer; returns once it is under way."""
        report = self.folder / "probe.json"
        report.unlink(missing_ok=True)
        arguments = ["--url", self.url(), "--connect", self.address(), "--ca", self.endpoints.ca_file]
        arguments += ["--rate", f"{traffic.rate:g}", "--sockets", str(traffic.sockets), "--jobs", f"{traffic.jobs:g}"]
        arguments += ["--duration", f"{traffic.seconds:g}", "--report", str(report)]
        process = subprocess.Popen(
            [sys.executable, "-m", "probe", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        try:
            assert process.stdout
            first = process.stdout.readline()
            if not first.startswith(READY):
                raise StartError(f"does not begin: {first}{process.stdout.read()}", subject="the probe")
            yield Loading(process, report)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def url(self) -> str:
        """Where users find the application: scheme and host of `app.url`, or of the first certificate."""
        environment = parse(self.read())
        assert environment.app
        if environment.app.url:
            parts = urlsplit(environment.app.url)
            return f"{parts.scheme}://{parts.netloc}"
        assert environment.load_balancer
        certificate = next(iter(environment.load_balancer.certificates.values()))
        return f"https://{certificate.domains[0]}"

    # -- the repository ----------------------------------------------------------------------------------------

    def _copy_repository(self) -> None:
        if not self.repository.exists():
            self.repository.parent.mkdir(parents=True, exist_ok=True)
            command = ["git", "clone", "--quiet", "--mirror", self._source, str(self.repository)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_CLONE, check=False)
            if done.returncode:
                raise StartError(f"cannot be copied: {done.stderr.strip()}", subject=self._source)

    def _serve_repository(self) -> None:
        self._port = free_port()
        command = ["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={self.repository.parent}"]
        command += [f"--listen={HOST}", f"--port={self._port}", str(self.repository.parent)]
        self._git = Child("the git server", command, self.folder / "state" / "logs" / "git.log")
        self._git.start()

    def _stop_serving(self) -> None:
        if self._git:
            self._git.stop()

    def _merged(self) -> dict[str, Any]:
        public_key = Path(f"{self.endpoints.ssh_key_file}.pub").read_text()
        data = localized(
            self._data,
            folder=self.folder,
            public_key=public_key,
            repository=f"git://{HOST}:{self._port}/{REPOSITORY}",
            sqs_endpoint=self.endpoints.sqs_url,
        )
        for section, changes in self._changes.items():
            data[section] = {**data[section], **changes}
        return data
