"""Checks of what is asked from outside."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of the health section."""
    health = environment.health
    if not health:
        return
    if not environment.health_url:
        for field in ("rest", "graphql", "websocket"):
            if getattr(health, field):
                message = "where is that path? health.url, app.url or a certificate of the load balancer would tell"
                yield Problem(("health", field), message)
    if environment.sqs and environment.names.health_queue in {
        environment.names.queue(key) for key in environment.sqs.queues
    }:
        message = f"the health checks have a queue {environment.names.health_queue} of their own; another key fits"
        yield Problem(("sqs", "queues"), message)
