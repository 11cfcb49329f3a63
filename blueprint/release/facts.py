"""What is known before a release: the nodes, the pool, the commit, the freeze."""

from __future__ import annotations

from typing import Literal

from blueprint.resource import Model


class ReleaseOnNode(Model):
    """One release folder of a node."""

    commit: str
    """Full commit."""
    prepared: bool = False
    """Whether it was installed and warmed up to the end."""
    bad: str = ""
    """Why it is not chosen again; empty if nothing speaks against it."""
    irreversible: str = ""
    """Migrations without a way back that it brought; empty if it brought none."""
    released_at: float | None = None
    """When a roll made it the environment's release, seconds since the epoch; None if none did."""


class UnitFacts(Model):
    """One systemd unit of a node."""

    name: str
    """Without .service."""
    loaded: bool
    """Whether the unit file is there."""
    active: bool
    """Whether it runs."""
    restarts: int = 0
    """How often systemd has restarted it by itself since it was last started."""
    commit: str = ""
    """Release whose folder its main process works in; empty if it is none."""


class NodeFacts(Model):
    """One node, seen from inside."""

    name: str
    """Such as "lssm-prod-core-01"."""
    address: str = ""
    """Private address; empty if it has none."""
    reachable: bool = True
    """Whether it could be reached over SSH."""
    trouble: str = ""
    """Why it could not."""
    clock_offset: float = 0.0
    """Seconds that its clock is ahead of the worker's."""
    free_disk: int = 0
    """Bytes free where releases live."""
    current: str = ""
    """Commit that the link `current` leads to; empty if there is none."""
    releases: tuple[ReleaseOnNode, ...] = ()
    """Release folders, the newest first."""
    units: tuple[UnitFacts, ...] = ()
    """The application's units."""
    connections: int = 0
    """Established connections to the application's port."""
    in_pool: bool = False
    """Whether the balancer's pool has its address."""
    balanced: bool = False
    """Whether every instance of the balancer finds it healthy."""
    restart_needed: bool = False
    """Whether its units run with older settings than those on its disk."""

    def release(self, commit: str) -> ReleaseOnNode | None:
        """The folder of a commit, or None."""
        return next((release for release in self.releases if release.commit == commit), None)

    def runs(self, commit: str) -> bool:
        """Whether the application's units run this release, and `current` leads to it."""
        return self.current == commit and all(unit.active and unit.commit in ("", commit) for unit in self.units)


class CommitFacts(Model):
    """The commit that a ref leads to."""

    commit: str
    """Full hash."""
    subject: str = ""
    """First line of its message."""
    relation: Literal["same", "newer", "older", "unrelated", "first"] = "newer"
    """How it stands to what runs: `newer` has it among its ancestors, `first` means that nothing runs yet."""


class FreezeFacts(Model):
    """A freeze of an environment: nothing is deployed until it is lifted."""

    by: str
    """Who set it."""
    reason: str
    """Why."""
    since: float
    """Seconds since the epoch."""
    until: float | None = None
    """When it ends by itself; None if it does not."""


class ReleaseFacts(Model):
    """Everything that a release is decided from."""

    nodes: tuple[NodeFacts, ...]
    """Every node of the application, in order."""
    commit: CommitFacts | None = None
    """What the ref leads to; None if no ref was asked for."""
    freeze: FreezeFacts | None = None
    """The freeze in force, or None."""
    balancer_ready: bool = True
    """Whether every instance of the load balancer is ready; True without one."""

    @property
    def released(self) -> str:
        """The environment's release: what the last finished roll left on the nodes; empty before the first."""
        dated = [
            (release.released_at, release.commit)
            for node in self.nodes
            for release in node.releases
            if release.released_at is not None
        ]
        return max(dated)[1] if dated else ""

    def node(self, name: str) -> NodeFacts:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def irreversible_since(self, commit: str) -> str:
        """Migrations without a way back that releases later than this one have brought; empty if there are none."""
        found = {
            release.commit: release.irreversible
            for node in self.nodes
            for release in node.releases
            if release.irreversible and release.commit != commit and self._later(release, commit)
        }
        return ", ".join(found[key] for key in sorted(found))

    def _later(self, release: ReleaseOnNode, commit: str) -> bool:
        """Whether a release came after another one; one that never became the environment's counts as the latest."""
        dates = [node.release(commit) for node in self.nodes]
        since = max((found.released_at or 0.0 for found in dates if found), default=0.0)
        return release.released_at is None or release.released_at > since

    def bad(self, commit: str) -> str:
        """Why any node says that this release is bad; empty if none does."""
        found = (node.release(commit) for node in self.nodes)
        return next((release.bad for release in found if release and release.bad), "")
