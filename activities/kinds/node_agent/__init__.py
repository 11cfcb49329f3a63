"""The agent on every node: looked at and changed over SSH."""

from activities.kinds.node_agent.lifecycle import NodeAgentLifecycle

LIFECYCLES = (NodeAgentLifecycle,)
