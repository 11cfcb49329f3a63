"""The pure half of a resource kind: what it should look like, and which difference means what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from blueprint.environment import Environment
from blueprint.resource import Resource


@dataclass(frozen=True)
class Kind:
    """One kind of resource.

    Its effectful half is the `Lifecycle` of the same name in `activities`.
    """

    name: str
    """"lb_frontend": prefix of the keys, and the name under which both halves are registered."""
    title: str
    """"load balancer frontend": for people."""
    product: str
    """Of which it is a part: "lb", "dns", "s3", ...; the graph draws a box for each."""
    resources: Callable[[Environment], Iterable[Resource]]
    """The resources of this kind that an environment asks for."""
    permission_sets: tuple[str, ...] = ()
    """Scaleway's permission sets that listing, making, changing and deleting it takes; none if it is not Scaleway's."""
    parent: str = ""
    """The kind that holds this one: its objects are listed parent by parent, addressed by `Resource.parent`."""
    dies_with_parent: bool = False
    """Whether deleting the parent deletes it, so that no step of its own is needed."""
    outlives: tuple[str, ...] = ()
    """Kinds whose objects cannot be deleted without this one: it goes after them."""
    immutable: Mapping[str, str] = field(default_factory=dict)
    """Fields, or parts of them ("endpoint.private_network_id"), that the API cannot change, each with the reason, which
    the plan shows: a difference means replace."""
    protected: bool = False
    """Whether objects of this kind hold data: deleted or replaced only if the file says so (`allow_destroy`)."""
    settles: bool = True
    """Whether a write is followed by a wait until the object is ready; False where the API is synchronous."""
    builds: bool = False
    """Whether a write installs or builds software on a machine, which may take many minutes."""
    tells_more: bool = False
    """Whether others refer to more than the id of an object that needs no settling: it is read after the write."""
    lingers: bool = True
    """Whether a delete is followed by a wait until the object is gone; False where the API is synchronous."""
    serial: str = ""
    """Writes to objects of equal `serial` under one parent run one after the other: a load balancer, a gateway, a
    database instance and all that belongs to them. The parent's name is the first part of every name in the group."""
    updates_in_turn: bool = False
    """Whether changes of its objects run one after the other, wherever they are: nodes, which leave the pool meanwhile.
    Making one waits for none."""
    makes_way: bool = False
    """Whether its objects have something that only one of the same `serial` can have (a port, a name): none is changed
    before those that go have gone, and none is made before the others have changed."""
    seal: str = ""
    """The seal that vouches for objects of this kind, "buckets" or "queues"; none if empty."""
    vouches: bool = False
    """Whether it says something about what it depends on: not made if one of these steps was skipped."""
    batch: int = 1
    """How many changes of one serial value the API takes in one call (DNS records)."""
    replace_failed: bool = False
    """Whether an object of this kind that ended in error is deleted and made again (certificates)."""

    @property
    def listed_after(self) -> tuple[str, ...]:
        """Kinds that have to be listed before this one."""
        return tuple(kind for kind in (self.parent, "seal" if self.seal else "") if kind)
