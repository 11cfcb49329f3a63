"""How all assets are, said so that somebody notices: as metrics, in the worker's log, and to a dead man's switch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import requests
from temporalio import activity
from temporalio.common import MetricMeter

from activities.backup.reading import Reader
from activities.backup.store import BackupStore
from activities.registry import Clouds
from blueprint.backup import contract
from blueprint.backup.contract import ReportOutput, SiteInput
from blueprint.backup.health import AssetHealth, health_of

ANSWER_SECONDS = 10.0
"""For the dead man's switch to answer."""
ATTEMPTS = 3
"""At telling it: nobody shall be called up for one lost packet."""
PAUSE = 2.0
"""Seconds between two of them."""

log = logging.getLogger(__name__)

Value = Callable[[AssetHealth], float | None]
_GAUGES: tuple[tuple[str, str, str, Value], ...] = (
    ("age", "s", "Age of the newest backup.", lambda asset: asset.newest_age),
    ("size", "By", "What a restore of the newest backup reads.", lambda asset: asset.newest_size or None),
    ("duration", "s", "What the newest backup took.", lambda asset: asset.newest_seconds if asset.newest else None),
    (
        "rpo",
        "s",
        "Age of the newest backup that passed a drill: what would be lost for sure.",
        lambda asset: asset.good_age,
    ),
    ("rto", "s", "What the last restore took that was found to be right.", lambda asset: asset.restore_seconds),
    ("drill.passed", "1", "Whether the last drill passed.", lambda asset: asset.drill_passed),
    ("findings", "{finding}", "What is not as it should be.", lambda asset: len(asset.findings)),
)
"""Name after `scaleway_infra.backup.`, unit, meaning and value; without a value there is no point of time."""


class Reports:
    """Tells how backups are.

    Args:
        clouds: gives an environment's way to Scaleway.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._reader = Reader()

    @activity.defn(name=contract.REPORT.name, no_thread_cancel_exception=True)
    def report(self, input: SiteInput) -> ReportOutput:
        """See how every asset is, and tell."""
        site, store = input.site, BackupStore(self._clouds, input.site)
        now, _ = store.clocks()
        assets = health_of(site, self._reader.read(store), now)
        environment = site.target.environment
        measure(activity.metric_meter(), environment, assets)
        well = tell(environment, assets)
        if well and site.dead_man:
            reassure(site.dead_man, PAUSE * self._clouds.pace)
        return ReportOutput(assets=assets)


def measure(meter: MetricMeter, environment: str, assets: tuple[AssetHealth, ...]) -> None:
    """Set the gauges of each asset."""
    for name, unit, description, value in _GAUGES:
        gauge = meter.create_gauge_float(f"scaleway_infra.backup.{name}", description, unit)
        for asset in assets:
            if (measured := value(asset)) is not None:
                gauge.set(float(measured), {"environment": environment, "asset": asset.asset})


def tell(environment: str, assets: tuple[AssetHealth, ...]) -> bool:
    """Write a line for each finding, with a code that alarms may rely on. Returns whether there is none."""
    for asset in assets:
        for finding in asset.findings:
            code = f"backup_{finding.trouble}"
            known = {"code": code, "environment": environment, "asset": asset.asset}
            log.warning("%s: %s of %s: %s", code, asset.asset, environment, finding.text, extra=known)
    return not any(asset.findings for asset in assets)


def reassure(url: str, pause: float) -> bool:
    """Ask a dead man's switch, which calls somebody when it is not asked. Returns whether it answered.

    That it cannot be reached changes nothing about the backups.

    Args:
        url: its address, which may be a secret.
        pause: seconds between attempts.
    """
    trouble = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause)
        try:
            answer = requests.get(url, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            trouble = type(error).__name__
            continue
        if answer.ok:
            return True
        trouble = f"it answers {answer.status_code}"
    known = {"code": "dead_man_unreached"}
    log.warning(
        "dead_man_unreached: %s does not take that all is well: %s", urlsplit(url).hostname, trouble, extra=known
    )
    return False
