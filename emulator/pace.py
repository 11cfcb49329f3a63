"""How long a call takes before it is answered."""

from __future__ import annotations

import random

from emulator.routing import Route

READ_MS = 82.0
CHANGE_MS = 283.0
"""Medians over all products (Scaleway latencies, section 3)."""


def seconds(route: Route, factor: float) -> float:
    """The call's median duration times the factor, spread by a tenth either way, in seconds.

    The spread keeps calls that start together from ending together, which the real API never does.
    """
    if factor <= 0:
        return 0.0
    median = route.call_ms or (READ_MS if route.method == "GET" else CHANGE_MS)
    return median / 1000 * factor * random.uniform(0.9, 1.1)
