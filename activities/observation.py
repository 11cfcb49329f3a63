"""What exists: every kind listed once, parents before children, products side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait

from activities.lifecycle import NO_PARENT, Lifecycle, Parent, Scope
from blueprint.errors import Gone
from blueprint.kinds import KINDS, Kind
from blueprint.resource import Observed, Resource
from telemetry.threads import Threads

THREADS = 16
SEAL = "seal"
"""The kind that vouches for what is too much to read one by one."""


def observe(
    lifecycles: Mapping[str, Lifecycle],
    resources: Iterable[Resource],
    *,
    refresh: bool,
    progress: Callable[[str], None] = lambda kind: None,
) -> tuple[Observed, ...]:
    """Everything that is ours, and foreign objects that stand under a name of the file.

    Requests grow with the number of kinds and of parents (load balancers, zones, database instances), not of objects.

    Args:
        lifecycles: by kind.
        resources: what the file asks for; of these names foreign objects are reported too.
        refresh: read every detail, instead of trusting the seal.
        progress: told each kind that has been listed.

    Raises:
        EngineError: a list call failed.
    """
    look = _Look(lifecycles, resources, refresh)
    with Threads(THREADS, thread_name_prefix="observe") as pool:
        running: dict[Future[list[Observed]], str] = {}
        waiting = dict(KINDS)
        while waiting or running:
            for kind in look.startable(waiting):
                del waiting[kind.name]
                for parent in look.parents(kind):
                    running[pool.submit(look.at, kind.name, parent)] = kind.name
                if kind.name not in running.values():
                    look.found[kind.name] = []
            if running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    look.partly[name].extend(future.result())
                    if name not in running.values():
                        look.found[name] = look.partly[name]
                        progress(name)
    return tuple(item for kind in KINDS for item in look.found[kind])


class _Look:
    """One look at everything, kind by kind."""

    def __init__(self, lifecycles: Mapping[str, Lifecycle], resources: Iterable[Resource], refresh: bool) -> None:
        self.found: dict[str, list[Observed]] = {}
        """Kinds that are listed completely."""
        self.partly: dict[str, list[Observed]] = {kind: [] for kind in KINDS}
        """Kinds of which some parents are still to be listed."""
        self._lifecycles = lifecycles
        self._refresh = refresh
        self._names: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self._seals: dict[str, object] = {}
        for resource in resources:
            self._names[resource.kind].add(resource.name)
            if resource.kind == SEAL:
                self._seals[resource.name] = resource.fields["digest"]

    def startable(self, waiting: Mapping[str, Kind]) -> list[Kind]:
        """The kinds whose listing can begin now."""
        return [kind for kind in waiting.values() if all(needed in self.found for needed in kind.listed_after)]

    def parents(self, kind: Kind) -> list[Parent]:
        """Under what objects a kind is listed."""
        return [Parent(item.id, item.name) for item in self.found[kind.parent]] if kind.parent else [NO_PARENT]

    def at(self, kind: str, parent: Parent) -> list[Observed]:
        """The objects of a kind under one parent that concern us; none if the parent has just gone."""
        scope = Scope(
            names=frozenset(self._names[kind]), refresh=self._refresh, sealed=self._is_sealed(KINDS[kind].seal)
        )
        try:
            found = list(self._lifecycles[kind].list(parent, scope))
        except Gone:
            return []
        return [item for item in found if item.ownership == "ours" or item.name in self._names[kind]]

    def _is_sealed(self, seal: str) -> bool:
        """Whether the seal says what the file says."""
        return bool(seal) and any(
            item.name.endswith(f"/{seal}") and item.fields["digest"] == self._seals.get(item.name)
            for item in self.found[SEAL]
        )
