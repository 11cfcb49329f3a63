"""Checks of the application: where it runs, which pool it is behind, what its variables refer to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from blueprint.environment.app import App, EnvFile
from blueprint.environment.checks.identity import engine_secrets
from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem, unknown
from blueprint.release.env_file import Placeholder, pieces, render


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
    users = ["root", *(user.name for user in environment.nodes[app.nodes].cloud_init.users)]
    if app.user not in users:
        yield Problem(("app", "user"), unknown(app.user, users, f"nodes.{app.nodes}.cloud_init.users"))
    if urlsplit(app.repository).password:
        yield Problem(
            ("app", "repository"), "holds a password, which histories would show; an address without one fits"
        )
    if app.llm_routing and not environment.llm:
        yield Problem(("app", "llm_routing"), "there is no table to write; llm is missing")
    if app.env_file:
        yield from _env_file(environment, app.env_file)
    yield from _pool(environment, app)


def _pool(environment: Environment, app: App) -> Iterator[Problem]:
    if not environment.load_balancer:
        return
    backends = environment.load_balancer.backends
    if app.backend is not None and app.backend not in backends:
        yield Problem(("app", "backend"), unknown(app.backend, backends, "load_balancer.backends"))
    elif app.backend is None and len(backends) > 1:
        yield Problem(("app", "backend"), f"which pool is meant? One of {', '.join(backends)} fits")
    elif backends[app.backend or next(iter(backends))].nodes != app.nodes:
        yield Problem(("app", "nodes"), "the pool has other nodes; the same role has to run the application")


def _env_file(environment: Environment, env_file: EnvFile) -> Iterator[Problem]:
    for name, template in env_file.values.items():
        path = ("app", "env_file", "values", name)
        try:
            found = list(pieces(template))
            render({name: "".join(piece for piece in found if isinstance(piece, str))})
        except ValueError as error:
            yield Problem(path, str(error))
            continue
        for piece in found:
            if isinstance(piece, Placeholder) and (message := _leads_nowhere(environment, piece)):
                yield Problem(path, message)


def _leads_nowhere(environment: Environment, placeholder: Placeholder) -> str | None:
    """What is wrong with a placeholder, or None."""
    match placeholder.source:
        case "postgresql" | "redis" | "sqs" as section:
            return None if getattr(environment, section) else f"${{{section}.{placeholder.name}}}: {section} is missing"
        case "queue":
            known, where = list(environment.sqs.queues if environment.sqs else ()), "sqs.queues"
        case "bucket":
            known, where = list(environment.buckets), "buckets"
        case "secret":
            known, where = [*environment.secrets, *engine_secrets(environment)], "secrets"
        case _:
            return None
    return None if placeholder.name in known else unknown(placeholder.name, known, where)
