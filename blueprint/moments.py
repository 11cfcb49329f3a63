"""Moments as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: float) -> str:
    """A moment to the minute.

    Args:
        at: seconds since the epoch.
    """
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
