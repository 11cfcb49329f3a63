"""The backend's programs, run by Bun from a release folder, and the services that they use."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from emulator.real.machines.rootfs import Rootfs
from tests.emulator.conftest import Api, running

BACKEND = Path(__file__).parents[2] / "sample" / "backend"
HOST = "127.45.0.1"
RELEASE = "0123456789abcdef0123456789abcdef01234567"


def wait(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)


def free_port(host: str = HOST) -> int:
    """A port that nobody listens on."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


class Program:
    """One of the backend's programs.

    Args:
        command: what runs it.
        folder: of the release.
        env: its variables, on top of the path.
        log: file for what it prints.
    """

    def __init__(self, command: list[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
        self.port = int(env.get("PORT", "0"))
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env={"PATH": os.environ["PATH"], **env}, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        """What it printed until now."""
        return self._log.read_text()

    def ask_to_stop(self) -> None:
        """Send SIGTERM, as systemd does."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(15)

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The root file system of the local Scaleway's machines, if one was made: it has Bun and what the sample needs."""
    path = Rootfs(tmp_path_factory.mktemp("rootfs") / "log").path
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def bun(rootfs: Path | None) -> str:
    """The program: on the path, in the folder that BUN names, or in the machines' root file system."""
    places = [os.environ.get("BUN"), None, str(rootfs / "usr/local/bin") if rootfs else ""]
    found = next((path for place in places if (path := shutil.which("bun", path=place))), None)
    if not found:
        pytest.skip(
            "Bun is neither on the path, nor in the folder that BUN names, nor was a machine started here before"
        )
    return found


@pytest.fixture(scope="session")
def release(bun: str, rootfs: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release as a node has it: the files, what they need, and REVISION."""
    folder = tmp_path_factory.mktemp("releases") / RELEASE
    shutil.copytree(BACKEND, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "REVISION").write_text(f"{RELEASE}\n")
    cache = tmp_path_factory.mktemp("cache") / "bun"
    if rootfs:
        # A copy: machines may be running on the original.
        shutil.copytree(rootfs / "var/cache/bun", cache, symlinks=True)
    install = [bun, "install", "--production", "--frozen-lockfile"]
    env = os.environ | {"BUN_INSTALL_CACHE_DIR": str(cache)}
    done = subprocess.run(install, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"bun install: {done.stderr[-300:]}")
    return folder


@pytest.fixture
def start(bun: str, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Program]]:
    """Starts programs: `start("src/api.ts", NAME="value")`."""
    logs = tmp_path_factory.mktemp("logs")
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, folder: Path = release, **env: str) -> Program:
            program = Program([bun, *arguments], folder, env, logs / f"{len(list(logs.iterdir()))}.log")
            stack.callback(program.kill)
            return program

        yield start


@pytest.fixture
def start_api(start: Callable[..., Program]) -> Callable[..., Program]:
    """Starts an API server, and waits until it listens."""

    def start_api(program: str = "src/api.ts", **env: str) -> Program:
        settings = {"HOST": HOST, "PORT": str(free_port()), "LINGER_MS": "400", "WS_CLOSE_WINDOW_MS": "300"}
        api = start(program, **settings | env)
        wait(lambda: "listens" in api.said or api.process.poll() is not None)
        assert "listens" in api.said, api.said
        return api

    return start_api


class Database:
    """A database of a PostgreSQL server."""

    def __init__(self, port: int, name: str = "postgres") -> None:
        self.port = port
        self.url = f"postgres://postgres@{HOST}:{port}/{name}"

    def query(self, sql: str) -> list[str]:
        """Rows, as psql prints them."""
        command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql]
        return subprocess.run([*command, self.url], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Database]:
    """A PostgreSQL server's first database."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL's server is not installed")
    # PostgreSQL refuses to run as root, and the user postgres may not enter root's temporary folders.
    drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if drop:
            shutil.chown(folder, "postgres", "postgres")
        data, bin_ = f"{folder}/data", programs[-1]
        initdb = [f"{bin_}/initdb", "--no-sync", "--auth=trust", "--username=postgres", "--pgdata", data]
        subprocess.run([*drop, *initdb], check=True, stdout=subprocess.DEVNULL, cwd="/")
        port = free_port()
        options = f"-D {data} -p {port} -k {folder} -c listen_addresses={HOST} -c fsync=off"
        serve = [*drop, f"{bin_}/postgres", *options.split()]
        server = subprocess.Popen(serve, stderr=subprocess.DEVNULL, cwd="/")
        try:
            wait(lambda: not subprocess.run(["pg_isready", "-q", "-h", HOST, "-p", str(port)], check=False).returncode)
            yield Database(port)
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(10)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(postgresql: Database) -> Database:
    """An empty database."""
    name = f"test_{len(postgresql.query('SELECT datname FROM pg_database'))}"
    postgresql.query(f"CREATE DATABASE {name}")
    return Database(postgresql.port, name)


@pytest.fixture
def scaleway() -> Iterator[Api]:
    """A local Scaleway."""
    with running() as api:
        yield api
