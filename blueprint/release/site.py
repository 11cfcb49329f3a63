"""Where an application lives, from its environment file."""

from __future__ import annotations

from blueprint.contract import Target
from blueprint.environment import Environment
from blueprint.release.contract import Site


def site_of(environment: Environment, target: Target) -> Site | None:
    """The application of an environment; None if the file has none."""
    app = environment.app
    if app is None:
        return None
    backends = environment.load_balancer.backends if environment.load_balancer else {}
    return Site(
        target=target,
        app=app,
        nodes=tuple(environment.node_names(app.nodes)),
        backend=app.backend or next(iter(backends), ""),
        queues=tuple(environment.names.queue(key, fifo=queue.fifo) for key, queue in environment.sqs.queues.items())
        if environment.sqs
        else (),
    )
