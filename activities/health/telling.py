"""How everything is, said in the worker's log so that somebody notices.

As metrics too, but by whoever sees that the run has ended: see `workflows.last_looks`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from blueprint.health.contract import Check

log = logging.getLogger(__name__)


def tell(environment: str, checks: Sequence[Check]) -> None:
    """Write a line for each check that fails.

    Args:
        environment: such as "lssm-prod".
        checks: what was found.
    """
    for check in checks:
        if not check.up:
            extra = {"code": "health_down", "environment": environment, "check": check.name}
            log.warning("health_down: %s of %s: %s", check.name, environment, check.trouble, extra=extra)
