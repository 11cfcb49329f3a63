"""How all assets are, said so that somebody notices: in the worker's log, and to a dead man's switch.

As metrics too, but by whoever sees that the run has ended: see `workflows.last_looks`.
"""

from __future__ import annotations

import logging
import time
from urllib.parse import urlsplit

import requests
from temporalio import activity

from activities.backup.reading import Reader
from activities.backup.store import BackupStore
from activities.registry import Clouds
from blueprint.backup import contract
from blueprint.backup.contract import ReportOutput, SiteInput
from blueprint.backup.health import AssetHealth, health_of
from telemetry import calls

ANSWER_SECONDS = 10.0
"""For the dead man's switch to answer."""
ATTEMPTS = 3
"""At telling it: nobody shall be called up for one lost packet."""
PAUSE = 2.0
"""Seconds between two of them."""

log = logging.getLogger(__name__)


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
        well = tell(environment, assets)
        if well and site.dead_man:
            reassure(site.dead_man, PAUSE * self._clouds.pace)
        return ReportOutput(assets=assets)


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
            with calls.http("", "GET", url, signed=True) as call:
                answer = requests.get(url, timeout=ANSWER_SECONDS)
                call.answered(answer.status_code)
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
