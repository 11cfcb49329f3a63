"""Checks of the application: where it runs, which pool it is behind, what its variables refer to."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem, unknown


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of the application and its releases."""
    app = environment.app
    if not app:
        return
    if app.nodes not in environment.nodes:
        yield Problem(("app", "nodes"), unknown(app.nodes, environment.nodes, "nodes"))
        return
    count = environment.nodes[app.nodes].count
    if app.min_healthy > max(count, 1):
        yield Problem(("app", "min_healthy"), f"{app.min_healthy} cannot stay in the pool: there are {count} nodes")
    if not environment.network.gateway.bastion:
        yield Problem(("app",), "releases go through the SSH bastion; network.gateway.bastion is missing")
    if not environment.load_balancer:
        return
    backends = environment.load_balancer.backends
    if app.backend is not None and app.backend not in backends:
        yield Problem(("app", "backend"), unknown(app.backend, backends, "load_balancer.backends"))
    elif app.backend is None and len(backends) > 1:
        yield Problem(("app", "backend"), f"which pool is meant? One of {', '.join(backends)} fits")
    elif backends[app.backend or next(iter(backends))].nodes != app.nodes:
        yield Problem(("app", "nodes"), "the pool has other nodes; the same role has to run the application")
