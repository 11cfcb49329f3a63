"""The probe of a release: asks as a user would, through the load balancer, for as long as nodes change."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import urllib3
from scaleway.lb.v1 import LbV1ZonedAPI
from temporalio import activity

from activities.boundary import carry
from activities.cloud import Cloud, pages
from activities.registry import Clouds
from blueprint.errors import Gone, NotReady
from blueprint.release import contract
from blueprint.release.contract import ProbeInput
from blueprint.release.record import ProbeRecord
from telemetry import calls

PAUSE = 0.1
"""Seconds between two requests: often enough to meet a gap that a user would notice, too seldom to be a load."""
PATIENCE = 10.0
"""Seconds after which a request counts as failed."""


class Probe:
    """The probing activity.

    Args:
        clouds: gives an environment's way to Scaleway.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.PROBE.name, no_thread_cancel_exception=True)
    def probe(self, input: ProbeInput) -> ProbeRecord:
        """Ask until cancelled.

        Raises:
            Gone: there is no load balancer.
            NotReady: the worker stops: another one goes on.
        """
        assert input.site.app.url
        record = counted_so_far()
        ask = asking(input.site.app.url, self._address(self._clouds.cloud(input.site.target)))
        return counting(ask, record)

    def _address(self, cloud: Cloud) -> str:
        """Where the load balancer listens: resolvers, with their memory, are not what a release is judged by."""
        name = cloud.names.load_balancer
        for balancer in pages(cloud.api(LbV1ZonedAPI).list_lbs, "lbs", project_id=cloud.project_id, name=name):
            for ip in balancer.ip:
                if balancer.name == name and ":" not in ip.ip_address:
                    return str(ip.ip_address)
        raise Gone("there is no such load balancer", subject=name)


def counted_so_far() -> ProbeRecord:
    """What earlier attempts of the probe have counted."""
    told = activity.info().heartbeat_details
    record = ProbeRecord.model_validate(told[0]) if told else ProbeRecord()
    carry(record.model_dump())
    return record


def counting(ask: Callable[[], bool], record: ProbeRecord) -> ProbeRecord:
    """Ask until the activity is cancelled.

    Args:
        ask: see `asking`.
        record: what was counted before.

    Raises:
        NotReady: the worker stops.
    """
    while not activity.is_cancelled():
        if activity.is_worker_shutdown():
            raise NotReady("the worker stops: the probe goes on with another one")
        began = time.monotonic()
        good = ask()
        record = ProbeRecord(
            requests=record.requests + 1,
            failed=record.failed + (not good),
            longest_pause=max(record.longest_pause, round(time.monotonic() - began, 3)),
        )
        carry(record.model_dump())
        time.sleep(PAUSE)
    return record


def asking(url: str, address: str) -> Callable[[], bool]:
    """A function that asks `url` at that address, and says whether the answer was good.

    Each time over a new connection: one that is kept may be closed just as it is used, which says nothing about the
    release, and to ask again would hide an answer that was lost. So each has a pool of its own: a server may close
    without having said so, and a pool keeps what was not said to be closed.
    """
    parts = urlsplit(url)
    assert parts.hostname
    hostname = parts.hostname
    # The context reads SSL_CERT_FILE: the local Scaleway's balancer has a certificate of a local authority.
    context = ssl.create_default_context() if parts.scheme == "https" else None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def pool() -> urllib3.HTTPConnectionPool:
        if context is None:
            return urllib3.HTTPConnectionPool(address, parts.port or 80)
        return urllib3.HTTPSConnectionPool(
            address,
            parts.port or 443,
            ssl_context=context,
            server_hostname=hostname,
            assert_hostname=hostname,
        )

    def ask() -> bool:
        headers = {"Host": parts.netloc, "Connection": "close"}
        try:
            with calls.http("", "GET", url) as call, pool() as fresh:
                answer = fresh.request("GET", path, headers=headers, timeout=PATIENCE, retries=False)
                call.answered(answer.status)
        except urllib3.exceptions.HTTPError:
            return False
        return 200 <= answer.status < 400

    return ask
