"""Whether DNS answers as the file declares."""

from __future__ import annotations

import time
from collections.abc import Sequence

from scaleway.lb.v1 import LbV1ZonedAPI

from activities.cloud import Cloud, pages
from activities.health.resolver import Resolver, Unanswered
from blueprint.health.contract import Check, HealthSite, Records, Zone
from blueprint.health.verdicts import Looked, zone_check
from telemetry.threads import Threads

ASKED_AT_ONCE = 8
"""Record sets: a resolver takes more, but has others to serve."""


def look_at_names(site: HealthSite, resolver: Resolver, cloud: Cloud) -> list[Check]:
    """A check for each zone.

    Raises:
        Unavailable: Scaleway does not tell the load balancer's address, without which nobody knows what is right.
    """
    wanted = any(not records.values for zone in site.zones for records in zone.records)
    balancer = balancer_addresses(cloud) if wanted else ()
    with Threads(ASKED_AT_ONCE, thread_name_prefix="dns") as threads:
        return [_look(zone, resolver, balancer, threads) for zone in site.zones]


def balancer_addresses(cloud: Cloud) -> tuple[str, ...]:
    """The load balancer's public addresses; none if there is no load balancer."""
    name = cloud.names.load_balancer
    found = pages(cloud.api(LbV1ZonedAPI).list_lbs, "lbs", project_id=cloud.project_id, name=name)
    return tuple(str(ip.ip_address) for balancer in found if balancer.name == name for ip in balancer.ip)


def _look(zone: Zone, resolver: Resolver, balancer: Sequence[str], threads: Threads) -> Check:
    began = time.monotonic()
    looked = list(threads.map(lambda records: _ask(resolver, records), zone.records))
    return zone_check(zone, looked, balancer, time.monotonic() - began)


def _ask(resolver: Resolver, records: Records) -> Looked:
    # Whatever name there is below a wildcard, the wildcard answers.
    name = records.name.replace("*", "health", 1) if records.name.startswith("*.") else records.name
    try:
        return Looked(values=resolver.ask(name, "A" if records.type == "ALIAS" else records.type))
    except Unanswered as error:
        return Looked(trouble=str(error))
