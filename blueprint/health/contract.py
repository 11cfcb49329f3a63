"""What the health workflow and its activities say to each other: one activity for each group of checks.

A check that fails is a result. An activity fails only if it cannot look: nobody knows then how things are.
"""

from __future__ import annotations

from blueprint.backup.site import DatabaseAsset, SecretPlace
from blueprint.contract import ActivityType, Target
from blueprint.resource import Model

HEALTH_WORKFLOW = "Health"
"""Type of the workflow that a schedule starts."""


class Records(Model):
    """A record set as the file declares it."""

    name: str
    """Fully qualified."""
    type: str
    values: tuple[str, ...] = ()
    """Empty if the load balancer's address is meant."""


class Zone(Model):
    """A zone of the file."""

    name: str
    records: tuple[Records, ...]


class Host(Model):
    """A name that a certificate is for."""

    name: str
    port: int = 443
    """Where the load balancer shows it."""


class Traffic(Model):
    """What is asked through the load balancer."""

    url: str = ""
    """Scheme and host of the application; nothing is asked if empty."""
    path: str = "/healthz"
    rest: str = ""
    graphql: str = ""
    websocket: str = ""
    """Paths; those that are empty are not asked."""
    hosts: tuple[Host, ...] = ()
    certificate_days: int = 21
    """Days for which a certificate has to be valid still."""


class Queues(Model):
    """What is asked of SQS."""

    names: tuple[str, ...] = ()
    """Queues of the application. They are looked at; nothing is put into them or taken out."""
    own: str = ""
    """The queue that a message goes through, and which nobody else uses; none if empty."""


class Cache(Model):
    """The Redis cluster."""

    name: str
    user: str
    password: SecretPlace


class Inside(Model):
    """What is asked from a node, since it is in the private network."""

    nodes: tuple[str, ...]
    """Nodes that may ask, the preferred one first."""
    databases: tuple[DatabaseAsset, ...] = ()
    cache: Cache | None = None


class HealthSite(Model):
    """Everything of an environment that is checked. Groups that it does not have are left out."""

    target: Target
    timeout: float = 10.0
    """Seconds that an answer may take."""
    zones: tuple[Zone, ...] = ()
    traffic: Traffic | None = None
    queues: Queues | None = None
    inside: Inside | None = None


class Check(Model):
    """How one thing is."""

    name: str
    """"dns/lssm.tech", "tls/api.lssm.tech", "healthz", "rest", "graphql", "websocket", "queue/lssm-prod-jobs",
    "database/equitya", "redis"."""
    up: bool
    seconds: float = 0.0
    """How long the answer took, the way there included."""
    trouble: str = ""
    """What is wrong, in a line; empty if nothing is."""
    certificate_seconds: float | None = None
    """For how long a certificate is valid still."""


class Checked(Model):
    """How the things of one group are."""

    checks: tuple[Check, ...] = ()


class HealthOutput(Model):
    """How everything is."""

    checks: tuple[Check, ...] = ()

    @property
    def down(self) -> tuple[Check, ...]:
        """What is not as it should be."""
        return tuple(check for check in self.checks if not check.up)


NAMES = ActivityType("health_names", HealthSite, Checked)
TRAFFIC = ActivityType("health_traffic", HealthSite, Checked)
QUEUES = ActivityType("health_queues", HealthSite, Checked)
INSIDE = ActivityType("health_inside", HealthSite, Checked)
ACTIVITIES = (NAMES, TRAFFIC, QUEUES, INSIDE)
