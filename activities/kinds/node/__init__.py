"""Nodes from inside, over SSH: what is set up on them, and which release they run."""

from activities.kinds.node.release import NodeReleaseLifecycle
from activities.kinds.node.setup import NodeSetupLifecycle

LIFECYCLES = (NodeSetupLifecycle, NodeReleaseLifecycle)
