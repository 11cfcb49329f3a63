"""What release workflows and their activities say to each other.

Each activity can be repeated: twice does what once does.
"""

from __future__ import annotations

from typing import Literal

from blueprint.contract import ActivityType, Target
from blueprint.environment.app import App
from blueprint.release.facts import ReleaseFacts
from blueprint.release.record import ProbeRecord
from blueprint.resource import Model


class Site(Model):
    """Where the application lives."""

    target: Target
    """The environment."""
    app: App
    """Its section of the environment file."""
    nodes: tuple[str, ...]
    """Names of its nodes, in order."""
    backend: str = ""
    """Its pool at the load balancer, by the backend's name; empty without a load balancer."""
    queues: tuple[str, ...] = ()
    """Names of the environment's queues."""


class FactsInput(Model):
    """What to find out."""

    site: Site
    ref: str = ""
    """Branch, tag or commit to resolve; nothing is resolved if empty."""


class NodeInput(Model):
    """Something to do on one node."""

    site: Site
    node: str
    """Its name."""
    commit: str = ""
    """The release that it is about."""


class NodeOutput(Model):
    """How it went on the node."""

    log: str = ""
    """The end of what the commands printed."""


class MigrationPlan(Model):
    """What a release would change in the database."""

    pending: tuple[str, ...] = ()
    """Names of the migrations, in order."""
    irreversible: tuple[str, ...] = ()
    """Those of them without a way back."""
    known: bool = True
    """Whether the application could tell."""
    backup_point: str = ""
    """What to restore if they go wrong: the newest backup and the moment before, in words."""


class MigrateOutput(Model):
    """What was changed in the database."""

    log: str = ""
    """The end of what the command printed."""


class PoolInput(Model):
    """A change of the pool."""

    site: Site
    leave: tuple[str, ...] = ()
    """Nodes that no new request may reach."""
    join: tuple[str, ...] = ()
    """Nodes that may get requests."""


class PoolOutput(Model):
    """The pool afterwards."""

    members: tuple[str, ...]
    """Names of the nodes in it; addresses of strangers as they are."""


class DrainOutput(Model):
    """How a node's connections ended."""

    before: int = 0
    """Connections when the wait began."""
    left: int = 0
    """Connections that were still open at the deadline."""
    seconds: float = 0.0
    """How long it took."""


class SwitchOutput(Model):
    """A node that runs another release now."""

    previous: str = ""
    """Commit that `current` led to before; empty if none."""
    connections: int = 0
    """Connections that were open when the units were told to stop: sockets that the application had to close."""
    seconds: float = 0.0
    """From the stop of the first unit to the start of the last one."""


class MarkInput(Model):
    """What to note about a release on one node."""

    site: Site
    node: str
    commit: str
    mark: Literal["bad", "released", "irreversible"]
    """`bad`: not chosen again. `released`: the environment's release from now on; also clears `bad`. `irreversible`: it
    has changed the database without a way back."""
    reason: str = ""
    """Why it is bad, or which migrations have no way back."""
    at: float = 0.0
    """Seconds since the epoch: the same on every node."""


class WatchInput(Model):
    """Nodes to watch for a while."""

    site: Site
    nodes: tuple[str, ...]
    commit: str
    seconds: float
    """How long they have to stay well."""


class QueueOutput(Model):
    """Messages that wait in the application's queues."""

    waiting: dict[str, int] = {}
    """Visible messages, by queue."""
    in_flight: dict[str, int] = {}
    """Messages that a consumer has in hand, by queue."""


class ProbeInput(Model):
    """What to ask while nodes change."""

    site: Site


FACTS = ActivityType("release_facts", FactsInput, ReleaseFacts)
"""Look at nodes, pool, freeze and commit. A node that cannot be reached is told, not an error."""
PREPARE = ActivityType("release_prepare", NodeInput, NodeOutput)
"""Fetch, check out into `releases/<commit>`, install, warm up. No traffic notices."""
PENDING = ActivityType("release_pending_migrations", NodeInput, MigrationPlan)
"""Ask the new release which migrations it brings, and note the backup point if there are any."""
MIGRATE = ActivityType("release_migrate", NodeInput, MigrateOutput)
"""Run the migrations."""
SET_POOL = ActivityType("release_set_pool", PoolInput, PoolOutput)
"""Change the pool, never below the minimum, and wait until every balancer instance has applied it."""
WAIT_BALANCED = ActivityType("release_wait_balanced", PoolInput, PoolOutput)
"""Wait until every balancer instance finds the nodes in `join` healthy."""
DRAIN = ActivityType("release_drain", NodeInput, DrainOutput)
"""Wait until the node has no connection of the balancer any more, or the deadline is over."""
SWITCH = ActivityType("release_switch", NodeInput, SwitchOutput)
"""Stop the units with grace, point `current` to the release, start the units, or find that it is so already."""
RESTART = ActivityType("release_restart", NodeInput, SwitchOutput)
"""The same without another release: the units run anew with the settings on the disk."""
STOP = ActivityType("release_stop", NodeInput, SwitchOutput)
"""Stop the units with grace: the node goes away."""
CHECK = ActivityType("release_check", NodeInput, NodeOutput)
"""Wait until the units run that release and the node says that it is well."""
WATCH = ActivityType("release_watch", WatchInput, NodeOutput)
"""See that nodes stay well for a while."""
MARK = ActivityType("release_mark", MarkInput, NodeOutput)
"""Note on a node that a release is bad, or that it is the environment's release."""
PRUNE = ActivityType("release_prune", NodeInput, NodeOutput)
"""Remove the oldest releases of a node; never the current one or the one before it."""
PROBE = ActivityType("release_probe", ProbeInput, ProbeRecord)
"""Ask `app.url` through the balancer, again and again, until cancelled; then tell how it was answered."""
QUEUES = ActivityType("release_queues", FactsInput, QueueOutput)
"""How many messages wait in the environment's queues."""
