"""An emulator with real things behind it, and what its tests ask of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.emulator.conftest import Api, running

Found = TypeVar("Found")
PATIENCE = 30.0
"""Seconds that anything may take before a test gives up on it."""


@contextmanager
def real_emulator(folder: Path, **options: Any) -> Iterator[Api]:
    """An emulator whose things are real, and kept in this folder with its state."""
    with running(real=folder / "real", state=folder / "state.db", **options) as api:
        yield api


def eventually(look: Callable[[], Found], what: str) -> Found:
    """The first true answer of `look`.

    Raises:
        AssertionError: there is none in time.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: {found!r}"
        time.sleep(0.02)
    return found


def ok(answer: tuple[int, Any]) -> Any:
    """The body of a successful call."""
    assert answer[0] in {200, 201, 204}, answer
    return answer[1]


def shown(api: Api, follower: str) -> Any:
    """What a follower tells of itself."""
    return ok(api.request("GET", "/_emulator/real"))["running"].get(follower)


def private_network(api: Api) -> tuple[str, str]:
    """A private network in 127.0.0.0/8 that no other test has: its id, and the first three bytes of its addresses."""
    prefix = f"127.{random.randrange(64, 192)}.{random.randrange(256)}"
    body = {"name": "app", "subnets": [f"{prefix}.0/24"]}
    return ok(api.request("POST", "/vpc/v2/regions/fr-par/private-networks", body))["id"], prefix


def listens(pid: int) -> set[tuple[str, int]]:
    """The addresses and ports of TCP at which a process listens."""
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return {(item.laddr.ip, item.laddr.port) for item in connections if item.status == psutil.CONN_LISTEN}
