"""Servers of databases and caches: a process with a data folder for each document of the API."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from emulator.real.process import Process
from emulator.world import Document, World

Spec = TypeVar("Spec")
RETRY = 0.5
"""Seconds between two attempts to make a server what it should be."""
START = 20.0
"""Seconds that a server may take to answer once its process runs."""
ATTEMPT = 0.02
"""Seconds between two looks whether it answers."""

log = logging.getLogger(__name__)


class ServerError(Exception):
    """A server cannot become what it should be; the text says why."""


class Server(ABC, Generic[Spec]):
    """One server.

    Args:
        folder: its data, configuration and log; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def runs(self) -> bool:
        """Whether its process is there."""

    @abstractmethod
    async def become(self, spec: Spec) -> None:
        """Make it what `spec` says, whatever it is now; it accepts connections in the end.

        Raises:
            ServerError: it does not get there.
            OSError: a program or file cannot be used.
        """

    @abstractmethod
    async def stop(self) -> None:
        """End its process; the data stays."""


class Post(Generic[Spec]):
    """A server, how far it is, and what is being done about it.

    Attributes:
        reached: what it was last made to be; None makes it be looked at anew.
        error: what stands in the way of more.
        retry_at: when that is tried again, by the monotonic clock.
        task: the change that was last begun.
    """

    def __init__(self, server: Server[Spec]) -> None:
        self.server = server
        self.reached: Spec | None = None
        self.error = ""
        self.retry_at = 0.0
        self.task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is being changed."""
        return self.task is not None and not self.task.done()

    def serves(self, spec: Spec | None = None) -> bool:
        """Whether it accepts connections and, if `spec` is given, is just that."""
        return self.server.runs and not self.busy and self.reached is not None and spec in (None, self.reached)


class Servers(ABC, Generic[Spec]):
    """Follows documents with servers, each of which changes in a task of its own.

    The API does not call an object ready before its server is what the object says.

    Args:
        world: whose documents.
        folder: where each server has a folder of its own, named by the id of its document.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    table: ClassVar[str]
    """Of the documents."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._posts: dict[str, Post[Spec]] = {}
        world.holds.append(self._holds)

    @abstractmethod
    def obstacle(self) -> str | None:
        """Why servers cannot run here and what to do about it; None if they can."""

    @abstractmethod
    def wanted(self, world: World) -> dict[str, Spec]:
        """What each server should be, by the id of its document."""

    @abstractmethod
    def server(self, folder: Path) -> Server[Spec]:
        """A server that lives in this folder."""

    @abstractmethod
    def describe(self, spec: Spec) -> dict[str, Any]:
        """How a server can be reached, for people and tests."""

    async def follow(self, world: World) -> None:
        """Begin what is missing; a server that is being changed is looked at again when that is done."""
        wanted = self.wanted(world)
        for key in sorted(self._left_over() - wanted.keys()):
            post = self._posts.setdefault(key, Post(self.server(self._folder / key)))
            if not post.busy:
                post.task = asyncio.create_task(self._remove(key, post))
        for key, spec in wanted.items():
            post = self._posts.setdefault(key, Post(self.server(self._folder / key)))
            if not post.busy and not post.serves(spec) and time.monotonic() >= post.retry_at:
                post.task = asyncio.create_task(self._change(key, post, spec))

    async def stop(self) -> None:
        """End all of them."""
        tasks = [post.task for post in self._posts.values() if post.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(post.server.stop() for post in self._posts.values()))
        self._posts.clear()

    def show(self) -> Any:
        """By id of the document: address, whether it accepts connections, and what stands in the way."""
        return {
            key: {
                **(self.describe(post.reached) if post.reached else {}),
                "serves": post.serves(),
                **({"error": post.error} if post.error else {}),
            }
            for key, post in self._posts.items()
        }

    def _holds(self, due: Document) -> bool:
        """Whether a transition makes an object ready whose server is not."""
        if due["table"] != self.table or (due["change"] or {}).get("status") != "ready" or self.obstacle():
            return False
        spec, post = self.wanted(self._world).get(due["key"]), self._posts.get(due["key"])
        return spec is not None and (post is None or not post.serves(spec))

    def _left_over(self) -> set[str]:
        """Servers that there are, among them those of an earlier emulator, of which only the data is left."""
        folders = {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()
        return folders | self._posts.keys()

    async def _change(self, key: str, post: Post[Spec], spec: Spec) -> None:
        try:
            await post.server.become(spec)
            post.reached, post.error = spec, ""
        except (ServerError, OSError) as error:
            if str(error) != post.error:
                log.warning("%s: %s: %s", self.name, key, error)
            post.error, post.retry_at = str(error), time.monotonic() + RETRY

    async def _remove(self, key: str, post: Post[Spec]) -> None:
        await post.server.stop()
        await asyncio.to_thread(shutil.rmtree, self._folder / key, ignore_errors=True)
        self._posts.pop(key, None)


def as_user(user: str, death: str) -> list[str]:
    """What to put before a command so that it runs as a system user, if the emulator runs as root.

    The folders above its own may be closed to it; the one capability that it keeps lets it pass.

    Args:
        user: the system user that Debian's package made.
        death: signal that it gets when the emulator dies: a change of user forgets an earlier setting.
    """
    if os.geteuid() != 0:
        return []
    passing = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *passing, "--pdeathsig", death, "--"]


def give(path: Path, user: str) -> None:
    """Make a folder that belongs to the user of `as_user`."""
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(path, user, user)


def keep(path: Path, content: str) -> None:
    """Write a file that nobody else may read: configuration holds passwords and keys."""
    path.touch(mode=0o600)
    path.write_text(content)


async def start(process: Process, answers: Callable[[], Awaitable[bool]]) -> None:
    """Start a server's process and wait until it answers.

    Raises:
        ServerError: it ends or stays silent, with the last line of its log.
        OSError: it cannot be run.
    """
    await process.start()
    deadline = time.monotonic() + START
    while not await answers():
        if not process.runs or time.monotonic() > deadline:
            last = (process.log.read_text(errors="replace").strip().splitlines() or [""])[-1]
            raise ServerError(f"{'does not answer' if process.runs else 'has ended'}: {last}")
        await asyncio.sleep(ATTEMPT)


async def run(
    command: Sequence[str], *, text: str = "", env: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """Run a short command to its end.

    Args:
        command: program and arguments; nothing secret, since everybody can read those.
        text: its standard input.
        env: added to the locale and path, which is all it gets from the emulator's own environment.
        folder: where it runs.

    Returns:
        Its standard output.

    Raises:
        ServerError: it failed, with what it wrote on standard error.
        OSError: it cannot be run.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **(env or {})},
        cwd=folder,
    )
    try:
        output, errors = await process.communicate(text.encode())
    finally:
        # Whoever is cancelled here must not leave it behind: it may be the loop's end.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ServerError(f"{Path(command[0]).name}: {errors.decode(errors='replace').strip()}")
    return output.decode()
