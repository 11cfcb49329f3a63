"""An emulator of its own for each test, on a free port, without latency."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from emulator.app import Emulator
from emulator.world import World

KEY = "22222222-2222-4222-8222-222222222222"


class Api:
    """A client of one emulator that runs in a thread of this process."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.url = emulator.url
        self.session = requests.Session()
        self.session.headers["X-Auth-Token"] = KEY

    @property
    def world(self) -> World:
        """What exists behind the server."""
        return self.emulator.world

    def request(self, method: str, path: str, json: Any = None, query: Any = None) -> tuple[int, Any]:
        """Send one call; status and parsed body (None if empty)."""
        response = self.session.request(method, self.url + path, json=json, params=query, timeout=10)
        return response.status_code, response.json() if response.content else None


@contextmanager
def running(**options: Any) -> Iterator[Api]:
    """An emulator made with these options, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> Emulator:
        # Made where it runs: a state file belongs to the thread that opened it.
        emulator = Emulator(**options)
        await emulator.start()
        return emulator

    emulator = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield Api(emulator)
    finally:
        asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def api() -> Iterator[Api]:
    """A fresh emulator with latency 0."""
    with running() as fresh:
        yield fresh
