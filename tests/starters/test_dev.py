"""`scaleway-infra dev`: one process to start, one Ctrl-C to stop, nothing lost and nothing left behind."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from starters.child import HOST, free_port, listens
from starters.dev import Dev
from starters.dev_state import AlreadyRunningError, DevEndpoints, StateFolder, read_endpoints
from tests.starters import ended, eventually

PROGRAM = """
import sys
from pathlib import Path
from rich.console import Console
from starters.child import StartError
from starters.dev import Dev, run

console = Console(width=200)
state, port, *worker = sys.argv[1:]
options = {"worker": worker} if worker else {}
try:
    dev = Dev(Path(state), port=int(port), temporal_port=0, ui_port=0, latency=0, say=console.print, **options)
    sys.exit(run(dev, console))
except StartError as error:
    sys.stderr.write(str(error))
    sys.exit(error.exit_code)
"""
IDLE = ("sleep", "1000")
"""A worker that does nothing, for tests of its keeper."""


class Running:
    """A `dev` in a process of its own, without terminal and standard input.

    Args:
        state: its state folder.
        worker: what it runs as worker; the real one if empty.
    """

    def __init__(self, state: Path, *worker: str, port: int = 0) -> None:
        self.state = state
        self.output = state.with_suffix(".out")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(state), str(port), *worker],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SCW_SECRET_KEY": "a real one", "AWS_PROFILE": "a real one"},
            )

    def ready(self) -> DevEndpoints:
        """Wait until it has published its addresses."""
        eventually(lambda: read_endpoints(self.state) is not None or self.process.poll() is not None)
        endpoints = read_endpoints(self.state)
        assert endpoints, self.said()
        return endpoints

    def children(self) -> dict[str, psutil.Process]:
        """Its processes: temporal, emulator, worker."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            line = " ".join(child.cmdline())
            name = "temporal" if "start-dev" in line else "emulator" if "-m emulator" in line else "worker"
            found[name] = child
        return found

    def said(self) -> str:
        """What it has printed."""
        return self.output.read_text()

    def finish(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(10)


def gone(processes: dict[str, psutil.Process]) -> bool:
    """Whether none of them runs any more."""
    return all(map(ended, processes.values()))


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts one; what a failed test leaves behind is ended."""
    started: list[Running] = []

    def start(*worker: str, port: int = 0, state: str = "state") -> Running:
        started.append(Running(tmp_path / state, *worker, port=port))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.finish(signal.SIGTERM)


def test_ctrl_c_stops_everything_within_ten_seconds(dev: Callable[..., Running]) -> None:
    """A real worker runs against it; SIGINT ends it in order, with code 0, no process and no address left."""
    running = dev()
    endpoints = running.ready()
    children = running.children()
    assert children.keys() == {"temporal", "emulator", "worker"}
    assert requests.get(endpoints.temporal_ui_url, timeout=5).ok
    eventually(lambda: "Ctrl-C stops all of it" in running.said())
    for address in (endpoints.temporal_ui_url, endpoints.api_url, endpoints.s3_url, endpoints.dns_address):
        assert address in running.said()
    worker_log = running.state / "logs/worker.log"
    eventually(lambda: "working on scaleway-infra" in worker_log.read_text())

    assert running.finish() == 0
    assert gone(children)
    assert read_endpoints(running.state) is None
    assert not (running.state / "env").exists()


def test_state_is_kept_for_the_next_start(dev: Callable[..., Running]) -> None:
    """What the local Scaleway held is there again."""
    first = dev(*IDLE)
    endpoints = first.ready()
    key = {"X-Auth-Token": endpoints.environment()["SCW_SECRET_KEY"]}
    vpcs = "/vpc/v2/regions/fr-par/vpcs"
    made = requests.post(endpoints.api_url + vpcs, headers=key, json={"name": "kept"}, timeout=5)
    assert made.ok, made.text
    assert first.finish(signal.SIGTERM) == 0

    second = dev(*IDLE)
    url = second.ready().api_url
    kept = requests.get(f"{url}{vpcs}/{made.json()['id']}", headers=key, timeout=5)
    assert kept.json()["name"] == "kept"
    assert second.finish() == 0


def test_the_env_file_serves_a_second_terminal(dev: Callable[..., Running]) -> None:
    """A shell that sources it has every setting; only its owner can read it."""
    running = dev(*IDLE)
    endpoints = running.ready()
    path = running.state / "env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((running.state / "endpoints.json").stat().st_mode) == 0o600
    shell = subprocess.run(
        ["sh", "-c", f". {shlex.quote(str(path))} && env"], capture_output=True, text=True, check=True
    )
    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert {name: seen.get(name) for name in endpoints.environment()} == endpoints.environment()
    assert seen["TEMPORAL_ADDRESS"] == endpoints.temporal_address


def test_a_worker_sees_nothing_of_the_users_cloud(dev: Callable[..., Running]) -> None:
    """SCW_* and AWS_* of the terminal are replaced by those of the local Scaleway."""
    running = dev("sh", "-c", "env; exec sleep 1000")
    expected = running.ready().environment()
    log = running.state / "logs/worker.log"
    eventually(lambda: "SCW_API_URL" in log.read_text())
    seen = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)
    clouds = {name: value for name, value in seen.items() if name.startswith(("SCW_", "AWS_", "TEMPORAL_"))}
    assert clouds == {name: value for name, value in expected.items() if not name.startswith("SCALEWAY_")}


def test_a_second_dev_is_told_of_the_first(dev: Callable[..., Running]) -> None:
    """It ends with code 11, names the process that runs, and disturbs nothing."""
    first = dev(*IDLE)
    endpoints = first.ready()
    second = Running(first.state, *IDLE)
    assert second.process.wait(10) == 11
    assert f"process {first.process.pid}, runs there" in second.said()
    assert read_endpoints(first.state) == endpoints


def test_a_dead_worker_is_started_again(dev: Callable[..., Running]) -> None:
    """It says so, and the new one is another process."""
    running = dev(*IDLE)
    running.ready()
    first = running.children()["worker"]
    first.kill()
    eventually(lambda: "The worker runs again" in running.said())
    second = running.children()["worker"]
    assert second.pid != first.pid
    assert "The worker ended with code -9" in running.said()
    assert "starting it again in 1 s" in running.said()


def test_a_worker_that_always_dies_is_started_ever_later(tmp_path: Path) -> None:
    """The pauses double."""
    said: list[str] = []
    with Dev(
        tmp_path, port=0, temporal_port=0, ui_port=0, latency=0, say=said.append, worker=("sh", "-c", "exit 3")
    ) as dev:

        def pauses() -> list[str]:
            dev.check()
            return [line.rsplit(" in ")[1] for line in said if "ended with code 3" in line]

        eventually(lambda: len(pauses()) == 3)
        assert pauses() == ["1 s.", "2 s.", "4 s."]


def test_nothing_goes_on_without_the_local_scaleway(dev: Callable[..., Running]) -> None:
    """Should it die, dev stops the rest and ends with code 1 and the reason."""
    running = dev(*IDLE)
    running.ready()
    children = running.children()
    children["emulator"].kill()
    assert running.process.wait(10) == 1
    assert "the local Scaleway: ended with code -9" in running.said()
    assert gone(children)


def test_a_killed_dev_leaves_nothing_in_the_way(dev: Callable[..., Running]) -> None:
    """SIGKILL on dev ends its children; the next one sees that the process id is stale and starts at once."""
    port = free_port()
    first = dev(*IDLE, port=port)
    first.ready()
    children = first.children()
    assert first.finish(signal.SIGKILL) == -signal.SIGKILL
    assert read_endpoints(first.state) is None
    with (first.state / "dev.pid").open() as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        assert read_endpoints(first.state) is None, "whoever takes the folder over has not published yet"

    second = dev(*IDLE, port=port)
    second.ready()
    assert f"process {first.process.pid}, did not end in order" in second.said()
    eventually(lambda: gone(children))


def test_a_taken_port_is_named(dev: Callable[..., Running], tmp_path: Path) -> None:
    """Before anything is started, with the option that chooses another."""
    first = dev(*IDLE)
    taken = int(first.ready().api_url.rsplit(":", 1)[1])
    second = dev(*IDLE, port=taken, state="other")
    assert second.process.wait(10) == 1
    assert f"the local Scaleway: port {taken} on {HOST} belongs to another program" in second.said()
    assert "--port" in second.said()
    assert listens(taken)
    assert not (tmp_path / "other/temporal.db").exists()


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """The lock and not the number decides: an id of a living stranger in a stale file is no obstacle."""
    (tmp_path / "dev.pid").write_text("1\n")
    folder = StateFolder(tmp_path)
    assert folder.claim() == 1
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
        StateFolder(tmp_path).claim()
    folder.release()
    assert StateFolder(tmp_path).claim() is None


def test_no_endpoints_where_no_dev_runs(tmp_path: Path) -> None:
    """Neither in a folder that does not exist nor in one with the files of a dead dev."""
    assert read_endpoints(tmp_path / "never") is None
    (tmp_path / "dev.pid").write_text("1\n")
    (tmp_path / "endpoints.json").write_text("{}")
    assert read_endpoints(tmp_path) is None
