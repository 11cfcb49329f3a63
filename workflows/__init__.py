"""The durable stories: order, waiting and decisions. Deterministic; every touch of the world is an activity."""
