"""The seals, kept as tags of the VPC (see `blueprint.kinds.seal`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from scaleway.vpc.v2 import VPC, VpcV2API

from activities.cloud import Cloud, pages
from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.errors import Gone
from blueprint.names import SEAL
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

_one_at_a_time = threading.Lock()
"""Tags are written as a whole: two writers of one worker must not lose each other's."""


class SealLifecycle(Lifecycle):
    """Seals of a VPC: "seal-buckets=<digest>"."""

    kind = "seal"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        vpc = self.cloud.api(VpcV2API).get_vpc(vpc_id=parent.id)
        found = []
        for tag in vpc.tags:
            if is_seal(tag):
                what, digest = tag.removeprefix(f"{SEAL}-").split("=", 1)
                found.append(
                    Observed(
                        kind=self.kind,
                        name=f"{parent.name}/{what}",
                        id=f"{parent.id}/{what}",
                        parent_id=parent.id,
                        fields={"digest": digest},
                    )
                )
        return found

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        what, digest = resource.name.rsplit("/", 1)[1], resource.fields["digest"]
        vpc_id: str = resource.inputs["parent_id"]
        rewrite_tags(self.cloud, vpc_id, lambda tags: [*_without(tags, what), f"{SEAL}-{what}={digest}"])
        return f"{vpc_id}/{what}"

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        rewrite_tags(self.cloud, item.parent_id, lambda tags: _without(tags, item.name.rsplit("/", 1)[1]))


def is_seal(tag: str) -> bool:
    """Whether a tag is a seal."""
    return tag.startswith(f"{SEAL}-") and "=" in tag


def break_seal(cloud: Cloud, what: str) -> None:
    """Before a bucket or a queue is written: what the seal says may no longer be true in a moment.

    Args:
        cloud: the environment's way to Scaleway.
        what: "buckets" or "queues".
    """
    for vpc in pages(cloud.api(VpcV2API).list_vp_cs, "vpcs", project_id=cloud.project_id, name=cloud.names.vpc):
        if set(cloud.names.tags) <= set(vpc.tags) and any(tag.startswith(f"{SEAL}-{what}=") for tag in vpc.tags):
            # A VPC that goes at this moment takes its seals along.
            with suppress(Gone):
                rewrite_tags(cloud, vpc.id, lambda tags: _without(tags, what))


def _without(tags: Sequence[str], what: str) -> list[str]:
    return [tag for tag in tags if not tag.startswith(f"{SEAL}-{what}=")]


def rewrite_tags(cloud: Cloud, vpc_id: str, change: Callable[[Sequence[str]], list[str]]) -> None:
    """Give a VPC other tags, while no other thread does.

    Args:
        cloud: the environment's way to Scaleway.
        vpc_id: the VPC.
        change: its tags in, those that it is to have out.
    """
    with _one_at_a_time:
        vpc: VPC = cloud.api(VpcV2API).get_vpc(vpc_id=vpc_id)
        cloud.api(VpcV2API).update_vpc(vpc_id=vpc_id, tags=change(vpc.tags))


LIFECYCLES = (SealLifecycle,)
