"""How everything is, said so that somebody notices: as metrics, and in the worker's log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from temporalio.common import MetricMeter

from blueprint.health.contract import Check
from telemetry.catalogue import HEALTH_CERTIFICATE, HEALTH_DURATION, HEALTH_UP
from telemetry.metrics import Instruments

log = logging.getLogger(__name__)


def tell(meter: MetricMeter, environment: str, checks: Sequence[Check]) -> None:
    """Set the gauges of each check, and write a line for each one that fails.

    Args:
        meter: the running activity's.
        environment: such as "lssm-prod".
        checks: what was found.
    """
    instruments = Instruments(meter)
    for check in checks:
        known = {"environment": environment, "check": check.name}
        instruments.record(HEALTH_UP, float(check.up), known)
        instruments.record(HEALTH_DURATION, check.seconds, known)
        if check.certificate_seconds is not None:
            instruments.record(HEALTH_CERTIFICATE, check.certificate_seconds, known)
        if not check.up:
            extra = {"code": "health_down", **known}
            log.warning("health_down: %s of %s: %s", check.name, environment, check.trouble, extra=extra)
