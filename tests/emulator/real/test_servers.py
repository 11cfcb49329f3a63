"""Commands that the emulator runs on behalf of its servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from emulator.real.servers import ServerError, run


def test_a_command_that_fails_says_why() -> None:
    """Which program, and what it wrote on standard error."""
    with pytest.raises(ServerError, match="sh: no space left"):
        asyncio.run(run(["sh", "-c", "echo no space left >&2; exit 3"]))


def test_one_that_is_cancelled_ends_before_its_loop(tmp_path: Path) -> None:
    """An emulator that stops leaves no process behind."""
    told = tmp_path / "pid"

    async def cut() -> None:
        running = asyncio.create_task(run(["sh", "-c", f"echo $$ >{told}.new; mv {told}.new {told}; exec sleep 60"]))
        async with asyncio.timeout(10):
            while not told.exists():
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cut())

    assert not psutil.pid_exists(int(told.read_text()))
