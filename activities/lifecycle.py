"""The effectful half of a resource kind: list, create, change, delete, and whether it is ready."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from activities.cloud import Cloud
from blueprint.errors import FailedState, Gone, NotReady
from blueprint.names import PROTECTED
from blueprint.plan import Difference
from blueprint.resource import Health, Observed, Resource


@dataclass(frozen=True)
class Parent:
    """The object under which others are listed."""

    id: str
    name: str


NO_PARENT = Parent("", "")


@dataclass(frozen=True)
class Scope:
    """What a listing is interested in, so that it can spare requests for the rest.

    Attributes:
        names: names of this kind in the environment file.
        refresh: read every detail, instead of trusting the seal.
        sealed: whether the seal vouches for the fields of objects named in the file.
    """

    names: frozenset[str] = frozenset()
    refresh: bool = True
    sealed: bool = False


class Lifecycle(ABC):
    """One kind of object at Scaleway.

    Every call may raise the errors of `blueprint.errors`; none waits for the object to settle, and none sleeps.

    Args:
        cloud: the environment's way to Scaleway.
    """

    kind: ClassVar[str]
    """Name of the pure half in `blueprint.kinds`."""
    repeatable: ClassVar[bool] = False
    """Whether creating it twice makes it once (upserts by natural key), so that no look-up is needed before."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    @abstractmethod
    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """The objects of this kind in the project, or under the parent.

        Foreign objects whose name is not in the scope may be left out, and so may their details.
        """

    def read(self, item: Observed) -> Observed:
        """The object as it is now; only id, name, parent_id and inputs of `item` are looked at.

        Raises:
            Gone: it does not exist.
        """
        parent = Parent(item.parent_id, item.name.rsplit("/", 1)[0])
        for found in self.list(parent, Scope(names=frozenset({item.name}))):
            if found.id == item.id:
                return found
        raise Gone("is not there", subject=f"{self.kind}.{item.name}")

    def find(self, resource: Resource) -> Sequence[Observed]:
        """The objects that answer to the resource's name: what creating it again would double.

        A kind whose secret is told once returns an object only if that secret is safe, and removes it otherwise.
        """
        parent = Parent(resource.inputs.get("parent_id", ""), resource.name.rsplit("/", 1)[0])
        found = self.list(parent, Scope(names=frozenset({resource.name})))
        return [item for item in found if item.name == resource.name]

    @abstractmethod
    def create(self, resource: Resource) -> str:
        """Make it and return its id. `inputs["parent_id"]` is the parent's id. Called once it was not found."""

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:  # noqa: B027
        """Make the object match the resource. Repeating it does no harm. Objects with tags get ours.

        For a kind of which nothing can be changed there is nothing to do: such an object is ours by its parent.
        """

    @abstractmethod
    def delete(self, item: Observed) -> None:
        """Remove it.

        Raises:
            Gone: it is not there, which the caller takes for success.
        """

    def create_all(self, resources: Sequence[Resource]) -> Sequence[str]:
        """Make several, for kinds whose `batch` is above one."""
        return [self.create(resource) for resource in resources]

    def update_all(
        self, resources: Sequence[Resource], items: Sequence[Observed], differences: Sequence[Sequence[Difference]]
    ) -> None:
        """Make several match, for kinds whose `batch` is above one."""
        for resource, item, different in zip(resources, items, differences, strict=True):
            self.update(resource, item, different)

    def read_all(self, items: Sequence[Observed]) -> Sequence[Observed]:
        """Several as they are now, for kinds whose `batch` is above one.

        Raises:
            Gone: one does not exist.
        """
        return [self.read(item) for item in items]

    def delete_all(self, items: Sequence[Observed]) -> None:
        """Remove several, for kinds whose `batch` is above one."""
        for item in items:
            self.delete(item)

    # -- ownership ---------------------------------------------------------------------------------------------

    def tags(self, resource: Resource) -> builtins.list[str]:
        """The tags that an object of ours carries."""
        return [*self.cloud.names.tags, *([PROTECTED] if resource.protected else [])]

    def is_ours(self, tags: Collection[str] | None) -> bool:
        """Whether these tags say that the object belongs to this environment."""
        return set(self.cloud.names.tags) <= set(tags or ())


def is_protected(tags: Collection[str] | None) -> bool:
    """Whether these tags say that the object is protected."""
    return PROTECTED in (tags or ())


def require_usable(subject: str, health: Health, status: str) -> None:
    """Nothing, if the object can be used.

    Args:
        subject: key of its resource.
        health: what its status means.
        status: the API's own word.

    Raises:
        NotReady: it is on its way.
        FailedState: it ended in a state that it does not leave by itself.
    """
    if health == "failed":
        remedy = "mend it in Scaleway's console and retry; or delete it there, abort and apply again"
        raise FailedState(f"ended in {status!r}", subject=subject, remedy=remedy)
    if health == "pending":
        raise NotReady(f"is {status!r}", subject=subject)
