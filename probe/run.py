"""One load from its first arrival to its report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count, repeat

from probe import jobs
from probe.connections import Connections
from probe.ledger import Ledger
from probe.load import Kind, Load, interleave
from probe.measures import Lag
from probe.report import Jobs, Own, Report
from probe.requests import Requests
from probe.sockets import WebSockets

LOST_JOB = "lost job"
SETTLE = 5.0
"""Seconds that the WebSockets have at most for their opening before requests arrive."""


async def run_load(load: Load, stop: asyncio.Event | None = None, ready: Callable[[], None] = lambda: None) -> Report:
    """Put the service under load, and report.

    Args:
        load: how much of what.
        stop: ends it early when set; what is under way is still waited for.
        ready: called once when every WebSocket is open and requests arrive.

    Returns:
        What the clients saw.
    """
    stop = stop or asyncio.Event()
    connections = Connections(load.visitors, load.connect, load.ca, load.timeout)
    lag = Lag()
    began = time.monotonic()
    ledger = Ledger(began, load.slow)
    requests = Requests(load, connections, ledger)
    sockets = WebSockets(load, connections, ledger)
    watch = [asyncio.create_task(lag.watch()), asyncio.create_task(_call(sockets.all_open.wait, ready))]
    try:
        sockets.start()
        # Two hundred openings at once would be most of what the first second measures.
        await _until(sockets.all_open, min(load.timeout, SETTLE))
        opened = time.monotonic()
        end = asyncio.create_task(_until(stop, load.duration))
        await asyncio.gather(
            arrive(load.rate, interleave(load.mix), requests.send, end),
            arrive(load.jobs, repeat(Kind.JOB), requests.send, end),
            end,
        )
        seconds = time.monotonic() - opened
        await asyncio.gather(requests.finish(), sockets.stop())
        own = lag.own()
        settled = await jobs.settle(connections, load.urls[0], requests.job_ids, ledger.started, load.jobs_patience)
        return _report(ledger, seconds, sockets, settled, own)
    finally:
        for task in watch:
            task.cancel()
        await connections.close()


async def arrive(
    rate: float, kinds: Iterator[Kind], send: Callable[[Kind, float], None], end: asyncio.Future[None]
) -> None:
    """Send at a constant rate, whatever becomes of what was sent; what is late keeps the moment at which it was due.

    Args:
        rate: per second; 0 sends nothing.
        kinds: what to send, in this order.
        send: sends one, of this kind and due at this moment, without waiting.
        end: no more once this is done.
    """
    if not rate:
        return
    began = time.monotonic()
    for number, kind in zip(count(), kinds, strict=False):
        due = began + number / rate
        await asyncio.wait((end,), timeout=max(due - time.monotonic(), 0))
        if end.done():
            return
        send(kind, due)


def _report(ledger: Ledger, seconds: float, sockets: WebSockets, settled: Jobs, own: Own) -> Report:
    for id_ in settled.lost:
        ledger.failed(Kind.JOB, LOST_JOB, time.monotonic(), id_)
    return ledger.report(seconds, sockets.seen(), settled, own)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _call(after: Callable[[], Awaitable[object]], ready: Callable[[], None]) -> None:
    await after()
    ready()
