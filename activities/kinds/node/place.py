"""A node's place in the application's pool, while the node changes: away if the others can stand in for it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress

from activities.cloud import Cloud
from activities.kinds.instance.private_nics import PrivateNicLifecycle
from activities.polling import poll
from activities.release.balancer import Balancer
from activities.release.pool import members_after
from activities.ssh.nodes import is_to_end
from activities.ssh.routes import addresses_of
from blueprint.errors import Gone, NotReady, Unhealthy
from blueprint.release.contract import Site

BETWEEN_LOOKS = 0.5
"""Seconds between two looks whether the load balancer finds the node healthy."""


class Place:
    """The place of one node. An environment without that pool, or before its first load balancer, has none to keep.

    Nobody else may write to the pool meanwhile: an apply changes one node at a time, and the pool itself after them.

    Args:
        cloud: the environment's way to Scaleway.
        site: the application.
        node: the node's name.
    """

    def __init__(self, cloud: Cloud, site: Site, node: str) -> None:
        self._site = site
        self._node = node
        self._balancer = Balancer(cloud, site.backend)
        self._nics = {"private_nic": PrivateNicLifecycle(cloud)}

    def leave(self) -> bool:
        """Leave the pool if it can spare the node, and wait until the load balancer sends nothing new there.

        Returns:
            Whether the node is outside.

        Raises:
            NotReady: the load balancer has not applied the pool yet.
        """
        if not self._site.backend:
            return False
        with suppress(Gone):
            addresses, pool = self._addresses(), self._balancer.look()
            if addresses[self._node] in pool.members:
                healthy = self._balancer.healthy(pool)
                if not can_spare(self._site, self._node, [name for name in addresses if addresses[name] in healthy]):
                    return False
                self._change(leave=(self._node,))
            poll(lambda: self._applied(addresses[self._node], inside=False))
            return True
        return False

    def join(self) -> None:
        """Be in the pool, and wait until the load balancer finds the node healthy.

        Raises:
            NotReady: the load balancer has not applied the pool yet, or the activity is to end.
            Unhealthy: it does not find it healthy in time.
        """
        if not self._site.backend:
            return
        with suppress(Gone):
            self._change(join=(self._node,))
            address = self._addresses()[self._node]
            poll(lambda: self._applied(address, inside=True))
            self._be_balanced(address)

    def _addresses(self) -> dict[str, str]:
        addresses = addresses_of(self._nics, self._site.nodes)
        if self._node not in addresses:
            raise Gone("has no private address", subject=self._node)
        return addresses

    def _change(self, leave: Collection[str] = (), join: Collection[str] = ()) -> None:
        pool = self._balancer.look()
        wanted = members_after(pool.members, self._addresses(), leave, join, self._site.app.min_healthy)
        if set(wanted) != set(pool.members):
            self._balancer.set(pool, wanted)

    def _applied(self, address: str, *, inside: bool) -> None:
        pool = self._balancer.look()
        if not pool.applied or (address in pool.members) != inside:
            raise NotReady("the load balancer has not applied the pool yet", subject=self._site.backend)

    def _be_balanced(self, address: str) -> None:
        # From now on, and not from the step's beginning: a build may have gone before.
        deadline = time.monotonic() + self._site.app.healthy_within
        while address not in self._balancer.healthy(self._balancer.look()):
            text = f"the load balancer does not find {self._node} healthy"
            if time.monotonic() > deadline:
                raise Unhealthy(f"{text} within {self._site.app.healthy_within:g} s", subject=self._site.backend)
            if is_to_end():
                raise NotReady(f"{text} yet", subject=self._site.backend)
            time.sleep(BETWEEN_LOOKS)


def can_spare(site: Site, node: str, healthy: Sequence[str]) -> bool:
    """Whether enough other nodes of the application are found healthy by the load balancer."""
    return len(set(healthy).intersection(site.nodes) - {node}) >= site.app.min_healthy
