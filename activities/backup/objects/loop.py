"""One event loop in a thread of its own, which carries all requests to Object Storage that this process makes.

Activities are ordinary functions in threads. A thread for each request costs more than the request: the interpreter's
one lock changes hands several times for each. One thread with many requests on their way does twice as many a second.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any, TypeVar

import aiohttp

from activities.transport import CONNECT_SECONDS, READ_SECONDS

T = TypeVar("T")
_Work = Coroutine[Any, Any, T]
_OURS_TO_SAY = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that nobody shall add: an object's type would be made up, its content be unpacked."""
_END_SECONDS = 5.0
_starting = threading.Lock()


class Loop:
    """The loop, and the connections that all share."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="object-storage", daemon=True)
        self._thread.start()
        self.session = self.result(self._open())

    def start(self, work: _Work[T]) -> Future[T]:
        """Begin something; what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def result(self, work: _Work[T]) -> T:
        """What comes of something, once it has. Not for those who are on the loop themselves."""
        return self.start(work).result()

    def close(self) -> None:
        """Let the connections go, and end."""
        with suppress(TimeoutError):
            self.start(self.session.close()).result(_END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)

    async def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # Every wire counts its own requests.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
            # Of one project, the next one would bring them along.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_OURS_TO_SAY,
        )


def loop() -> Loop:
    """The one of this process; it ends with it."""
    # A cache alone lets every thread make one that asks before the first one is there.
    with _starting:
        return _made()


@cache
def _made() -> Loop:
    made = Loop()
    atexit.register(made.close)
    return made


class Lanes:
    """Work side by side on the loop, so much at a time. What is still under way at its end is called off.

    That is over when the last request that changes something has its answer.

    Args:
        width: how many pieces of work at a time.
    """

    def __init__(self, width: int) -> None:
        self._slots = asyncio.Semaphore(width)
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop().result(self._call_off())

    def start(self, work: _Work[T]) -> Future[T]:
        """Have something done as soon as there is a lane for it."""
        return loop().start(self._carry(work))

    async def _carry(self, work: _Work[T]) -> T:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            async with self._slots:
                return await work
        finally:
            work.close()
            self._tasks.discard(task)

    async def _call_off(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
