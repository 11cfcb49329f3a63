"""What stays of a release: who, what, when, what it cost the users, and how it ended."""

from __future__ import annotations

from typing import Literal

from blueprint.approval import ApprovalRecord
from blueprint.release.decision import Action
from blueprint.resource import Model

RECORD = "release"
"""Key of the memo that holds the record of a deploy or rollback."""

Result = Literal["running", "released", "rolled back", "failed"]


class NodeRecord(Model):
    """One node in a roll."""

    node: str
    """Its name."""
    began: float
    """When the roll came to it, seconds since the epoch."""
    ended: float | None = None
    """When it was done with it; None if it was not."""
    seconds: dict[str, float] = {}
    """How long each part took: leave, drain, switch, check, join, soak."""
    closed: int = 0
    """Connections that the application had to close: WebSockets that were open at the drain deadline."""
    result: Literal["", "released", "back", "left alone"] = ""
    """What it runs at the end: the release, the one before, or whatever it ran when an operator left it alone."""


class Origin(Model):
    """Who asked for it, and from where."""

    by: str
    """A person, or a CI job."""
    link: str = ""
    """The CI run's page."""


class ProbeRecord(Model):
    """What a user would have seen meanwhile."""

    requests: int = 0
    """Requests through the balancer, from the first node's turn to the last one's end."""
    failed: int = 0
    """Those without a good answer."""
    longest_pause: float = 0.0
    """Longest time that a request waited for its answer, in seconds."""


class ReleaseRecord(Model):
    """One deploy or rollback."""

    environment: str
    """Such as "lssm-prod"."""
    action: Action
    commit: str
    """The release."""
    subject: str = ""
    """First line of its commit's message."""
    previous: str = ""
    """The release before."""
    origin: Origin
    result: Result = "running"
    reason: str = ""
    """Why it did not end as released."""
    approval: ApprovalRecord | None = None
    """Whose word it waited for; None if for nobody's."""
    started: float = 0.0
    """Seconds since the epoch."""
    ended: float = 0.0
    """Seconds since the epoch."""
    preparing: float = 0.0
    """Seconds until all nodes had the release, installed and warmed up."""
    in_place: bool = False
    """Whether nodes changed while they stayed in the pool."""
    nodes: tuple[NodeRecord, ...] = ()
    """Nodes that were touched, in order."""
    migrations: tuple[str, ...] = ()
    """Migrations that were applied."""
    irreversible: tuple[str, ...] = ()
    """Those of them without a way back."""
    backup_point: str = ""
    """What to restore if they went wrong."""
    connections_before: int = 0
    """Connections that the nodes had before the roll, WebSockets among them."""
    connections_after: int = 0
    """The same after it."""
    queues_before: dict[str, int] = {}
    """Messages waiting or in hand before the roll, by queue."""
    queues_after: dict[str, int] = {}
    """The same after it."""
    probe: ProbeRecord | None = None
    """What the engine's own probe saw; None if it has no address to ask."""

    @property
    def closed(self) -> int:
        """Connections that were closed at drain deadlines, on all nodes."""
        return sum(node.closed for node in self.nodes)
