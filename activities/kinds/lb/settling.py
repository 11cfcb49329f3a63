"""When a load balancer does what it was told.

A load balancer stays "ready" while its configuration is on its way: what shows it are the statuses of the instances
behind it (0.3 s as a rule, 3.5 s at worst; Scaleway latencies, headline). There is one as a rule, two at times, and
none while it is being made.
"""

from __future__ import annotations

from typing import NamedTuple

from scaleway.lb.v1 import Lb, LbV1ZonedAPI

from activities.lifecycle import Lifecycle
from blueprint.resource import Health, Observed, Ownership

READY = "ready"
FAILED = {"error", "locked"}


class State(NamedTuple):
    """A status in the API's word, and what it means."""

    status: str
    health: Health


def state_of(status: str) -> State:
    """What a status of a load balancer, instance, attachment or certificate means."""
    return State(status, "ok" if status == READY else "failed" if status in FAILED else "pending")


def state_of_lb(lb: Lb) -> State:
    """Whether a load balancer and every instance behind it is ready."""
    states = [state_of(str(lb.status)), *(state_of(str(instance.status)) for instance in lb.instances)]
    unready = next((state for state in states if state.health != "ok"), states[0])
    return unready if lb.instances or unready.health != "ok" else State("without instances", "pending")


class LbChild(Lifecycle):
    """What lives under a load balancer and has no tags: ours if the load balancer is."""

    @property
    def api(self) -> LbV1ZonedAPI:
        """The API of the zone's load balancers."""
        return self.cloud.api(LbV1ZonedAPI)

    def under(self, lb: Lb | None) -> Ownership:
        """Whose it is, by the load balancer that it shows."""
        return "ours" if lb is not None and self.is_ours(lb.tags) else "foreign"

    def settled(self, item: Observed, lb_id: str) -> Observed:
        """The object, pending as long as an instance has not taken over the configuration."""
        if item.health != "ok":
            return item
        status, health = state_of_lb(self.api.get_lb(lb_id=lb_id))
        return item if health == "ok" else item.model_copy(update={"status": status, "health": health})
