"""A measurement that is a test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from rich.console import Console

from bench.report import Report


def violations(measurement: Coroutine[Any, Any, Report]) -> list[str]:
    """Carry it out. Returns what is not as it must be; pytest shows the rest if the test fails, or with `-rP`."""
    report = asyncio.run(measurement)
    report.show(Console(highlight=False, soft_wrap=True))
    return report.violations
