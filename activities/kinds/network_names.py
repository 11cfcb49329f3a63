"""Names of private networks, for attachments that only know ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scaleway.vpc.v2 import VpcV2API

from activities.cloud import Cloud, pages


def network_names(cloud: Cloud, ids: Iterable[str]) -> Mapping[str, str]:
    """The name of each of these private networks; the id itself where the network is not ours to see."""
    wanted = sorted(set(ids))
    names = dict(zip(wanted, wanted, strict=True))
    if wanted:
        fetch = cloud.api(VpcV2API).list_private_networks
        found = pages(fetch, "private_networks", private_network_ids=wanted)
        names |= {network.id: network.name for network in found}
    return names
