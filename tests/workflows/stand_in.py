"""Activities in place of the real ones: they note what they were asked for, and go wrong on demand."""

from __future__ import annotations

import asyncio
import threading

from temporalio import activity
from temporalio.exceptions import ApplicationError


class StandIn:
    """What such activities have in common."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """What was done, in order, a line each: a verb, and what it was done to."""
        self.wrong: dict[str, str] = {}
        """Codes with which calls fail, by how their line begins; as long as they stand here."""
        self.slow: set[str] = set()
        """Calls that take until somebody cancels them, by how their line begins."""
        self.gates: dict[str, threading.Event] = {}
        """Calls that take until their event is set, by how their line begins."""

    async def _do(self, call: str) -> None:
        self.calls.append(call)
        if any(call.startswith(start) for start in self.slow):
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        for start, gate in self.gates.items():
            while call.startswith(start) and not gate.is_set():
                activity.heartbeat()
                await asyncio.sleep(0.02)
        for start, code in self.wrong.items():
            if call.startswith(start):
                raise ApplicationError(f"{call}: made to fail", type=code, non_retryable=True)
