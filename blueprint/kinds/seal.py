"""The seals: one tag of the VPC says that all buckets were found to be as declared, another one all queues.

Buckets and queues can only be read one by one, several calls each. While the seal carries the digest of what the file
declares, a plan needs no more than their list. Whatever writes to one of them breaks the seal first, so a seal that
is there is true of everything that the engine did; what others did by hand, `drift` and `--refresh` see.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable

from blueprint.environment import Environment
from blueprint.kinds.buckets import bucket_policies, buckets
from blueprint.kinds.kind import Kind
from blueprint.kinds.sqs import queues
from blueprint.kinds.vpc import VPC
from blueprint.resource import Resource

SEALED: dict[str, tuple[Callable[[Environment], Iterable[Resource]], ...]] = {
    "buckets": (buckets, bucket_policies),
    "queues": (queues,),
}
"""What each seal vouches for."""


def _seals(environment: Environment) -> Iterable[Resource]:
    for what, sources in SEALED.items():
        resources = sorted((found for source in sources for found in source(environment)), key=lambda item: item.key)
        if resources:
            declared = [[resource.key, resource.fields] for resource in resources]
            digest = hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]
            yield Resource(
                key=f"seal.{what}",
                kind="seal",
                name=f"{environment.names.vpc}/{what}",
                parent=VPC,
                fields={"digest": digest},
                depends_on=tuple(resource.key for resource in resources),
            )


KINDS = (
    Kind(
        name="seal",
        title="seal",
        product="vpc",
        resources=_seals,
        permission_sets=("VPCFullAccess",),
        parent="vpc",
        dies_with_parent=True,
        settles=False,
        lingers=False,
        serial="seal",
        vouches=True,
    ),
)
