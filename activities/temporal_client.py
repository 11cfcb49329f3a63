"""Temporal as activities see it: a client that threads may use."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio.client import Client

from telemetry import calls

T = TypeVar("T")
CALL_SECONDS = 30.0


@dataclass(frozen=True)
class TemporalBridge:
    """Carries calls from activity threads to the client's event loop.

    Attributes:
        client: connected.
        loop: the loop on which it was.
    """

    client: Client
    loop: asyncio.AbstractEventLoop

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine on the client's loop and wait for it.

        Raises:
            TimeoutError: no answer within 30 s.
        """
        with calls.grpc(getattr(call, "__qualname__", type(call).__name__)):
            return asyncio.run_coroutine_threadsafe(call, self.loop).result(CALL_SECONDS)
