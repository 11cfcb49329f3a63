"""Every activity of the health workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from activities.health.looking import Looking
from activities.registry import Clouds
from activities.settings import ScalewaySettings


def health_activities(clouds: Clouds, settings: ScalewaySettings) -> list[Callable[..., Any]]:
    """What a worker offers to the health workflow.

    Args:
        clouds: gives an environment's way to Scaleway.
        settings: who resolves names.
    """
    looking = Looking(clouds, settings)
    return [looking.names, looking.traffic, looking.queues, looking.inside]
