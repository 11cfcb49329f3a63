"""How much of the recorded traffic of the real API the local Scaleway answers as the real one did.

The recordings and the tool that replays them are no part of this repository. They are looked for beside the checkout;
without them there is nothing to measure.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.environments import ROOT
from bench.report import Report
from starters.child import Child, free_port, listens

NAME = "faithful"
SUMMARY = "recorded traffic of the real API, replayed against the local Scaleway"

RECORDINGS = ROOT.parent / "shared" / "recordings"
REPLAY = ROOT.parent / "shared" / "tools" / "replay_recordings.py"
MUST_MATCH = 95.0
"""Percent of the recorded interactions of core operations."""
TIMEOUT = 900.0
SETS = {"core, newest": ("--core", "--set", "newest"), "core, all": ("--core",), "everything": ()}
"""What is replayed: the operations that the engine and its users need, and all of them."""
_ALL = "(all)"
_SHOWN = 5


async def measure(*, full: bool) -> Report:
    """Replay.

    Args:
        full: every set of recordings instead of the newest of the core operations.
    """
    report = Report(("set", "product", "matched", "of", "percent"))
    if not (REPLAY.exists() and RECORDINGS.exists()):
        report.notes.append("skipped: there are no recordings beside this checkout")
        return report
    with tempfile.TemporaryDirectory(prefix="faithful-") as folder:
        for name, options in SETS.items():
            if full or name == "core, newest":
                answer = await asyncio.to_thread(_replay, Path(folder), options)
                _tell(report, name, answer)
    return report


def _replay(folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """The tool's own findings, against an emulator that nobody else uses."""
    port, result = free_port(), folder / "result.json"
    command = [sys.executable, "-m", "emulator", "--port", str(port), "--latency", "0"]
    emulator = Child("the local Scaleway", command, folder / "emulator.log", cwd=ROOT)
    emulator.start()
    try:
        while not listens(port):
            if emulator.returncode is not None:
                raise AssertionError(emulator.last_words())
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port}"
        replay = [sys.executable, str(REPLAY), str(RECORDINGS), "--api-url", url, "--json", str(result)]
        subprocess.run(
            [*replay, "--reset-url", f"{url}/_emulator/reset", *options],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
    finally:
        emulator.stop()
    answer: dict[str, Any] = json.loads(result.read_text())
    return answer


def _tell(report: Report, name: str, answer: dict[str, Any]) -> None:
    for product, counts in sorted(answer["totals"].items(), key=lambda item: (item[0] == _ALL, item[0])):
        percent = 100 * counts["ok"] / counts["total"] if counts["total"] else 100.0
        title = "all" if product == _ALL else product
        report.rows.append((name, title, counts["ok"], counts["total"], percent))
        if product == _ALL:
            report.require(
                not answer["core"] or percent >= MUST_MATCH,
                f"{name}: {percent:.2f} %, at least {MUST_MATCH:.0f} % must",
            )
    for miss in answer["mismatches"][:_SHOWN]:
        report.notes.append(f"{name}: {miss['count']} x {miss['op']}: {miss['kind']} {miss['where']}")
