"""The registry of lifecycles: one module for each product, one line here for each module."""

from __future__ import annotations

import threading

from activities.cloud import Cloud
from activities.kinds import (
    alert_rules,
    buckets,
    cockpit,
    dns,
    gateway,
    iam,
    instance,
    lb,
    node,
    node_agent,
    rdb,
    redis,
    schedules,
    seal,
    secret,
    sqs,
    vpc,
)
from activities.lifecycle import Lifecycle
from activities.settings import ScalewaySettings
from activities.ssh.nodes import Nodes
from activities.temporal_client import TemporalBridge
from blueprint.contract import Target

MODULES = (
    vpc,
    gateway,
    instance,
    secret,
    lb,
    dns,
    seal,
    buckets,
    sqs,
    iam,
    cockpit,
    alert_rules,
    schedules,
    rdb,
    redis,
    node,
    node_agent,
)

LIFECYCLES: dict[str, type[Lifecycle]] = {cls.kind: cls for module in MODULES for cls in module.LIFECYCLES}
"""Every lifecycle, by kind."""


class Clouds:
    """The environments that a worker serves: their clients are made once and shared by all activities.

    Attributes:
        nodes: how activities reach the inside of nodes.

    Args:
        settings: how to reach Scaleway.
        temporal: how activities reach Temporal, for schedules.
    """

    def __init__(self, settings: ScalewaySettings, temporal: TemporalBridge) -> None:
        self._settings = settings
        self._temporal = temporal
        self.nodes = Nodes(self, settings)
        self._lock = threading.Lock()
        self._known: dict[Target, Cloud] = {}
        self._lifecycles: dict[Target, dict[str, Lifecycle]] = {}

    @property
    def pace(self) -> float:
        """Factor on every pause."""
        return self._settings.pace

    def cloud(self, target: Target) -> Cloud:
        """An environment's way to Scaleway."""
        with self._lock:
            return self._cloud(target)

    def lifecycles(self, target: Target) -> dict[str, Lifecycle]:
        """The lifecycles of an environment, by kind."""
        with self._lock:
            if target not in self._lifecycles:
                cloud = self._cloud(target)
                self._lifecycles[target] = {kind: cls(cloud) for kind, cls in LIFECYCLES.items()}
            return self._lifecycles[target]

    def _cloud(self, target: Target) -> Cloud:
        if target not in self._known:
            self._known[target] = Cloud(self._settings, target, self._temporal, self.nodes)
        return self._known[target]
