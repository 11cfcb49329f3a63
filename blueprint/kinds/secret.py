"""Secrets: a place in Secret Manager for each, and where its value comes from. No value is ever in here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from blueprint.environment import Environment
from blueprint.environment.secrets import Secret
from blueprint.kinds.kind import Kind
from blueprint.names import ENGINE_CREDENTIALS
from blueprint.resource import Resource

PASSWORD_LENGTH = 40
"""Characters of a generated password; Managed Databases take 8 to 128."""


def _secrets(environment: Environment) -> Iterable[Resource]:
    for name, settings in environment.secrets.items():
        yield _declared(environment, name, settings)
    yield from _passwords(environment)
    if environment.backup:
        description = "age identity that opens the backups: whoever loses it loses them"
        fields, inputs = {"filled": True}, {"identity": "age"}
        yield _secret(environment, environment.names.backup_secret, description, fields=fields, inputs=inputs)
    for name, description in _produced(environment):
        yield _secret(environment, name, description)
    if environment.llm:
        table = json.dumps(llm_routing(environment), sort_keys=True, indent=2)
        yield _secret(
            environment,
            environment.names.llm_secret,
            "LLM routing table, no secret: use case -> API, model and where its key is",
            fields={"filled": True, "digest": hashlib.sha256(table.encode()).hexdigest()},
            inputs={"content": table},
        )


def _declared(environment: Environment, name: str, settings: Secret) -> Resource:
    fields: dict[str, Any]
    if settings.generate:
        fields = {"filled": True}
        return _secret(environment, name, settings.description, fields=fields, inputs={"generate": settings.generate})
    if settings.env:
        fields = {"filled": True, "variable": settings.env, "current": True}
        return _secret(environment, name, settings.description, fields=fields)
    return _secret(environment, name, settings.description)


def _passwords(environment: Environment) -> Iterator[Resource]:
    """Passwords that the engine chooses, before what they open is made."""
    names = environment.names
    wanted = {}
    if environment.postgresql:
        for user in (names.postgresql_admin, *environment.postgresql.accounts()):
            wanted[names.postgresql_secret(user)] = f"Password of the PostgreSQL user {user}"
    if environment.redis:
        wanted[names.redis_secret] = f"Password of the Redis user {names.redis_user}"
    for name, description in wanted.items():
        yield _secret(environment, name, description, fields={"filled": True}, inputs={"generate": PASSWORD_LENGTH})


def _produced(environment: Environment) -> Iterator[tuple[str, str]]:
    """Secrets that somebody else chooses: what makes the key, or first meets it, fills the place."""
    names = environment.names
    for application, settings in environment.applications.items():
        if settings.api_key:
            yield names.api_key_secret(application), f"API key of {names.application(application)}"
    if environment.sqs:
        for credentials in (ENGINE_CREDENTIALS, *environment.sqs.credentials):
            yield names.sqs_secret(credentials), f"SQS credentials {names.sqs_credentials(credentials)}"
    for token in environment.monitoring.tokens if environment.monitoring else ():
        yield names.cockpit_secret(token), f"Cockpit token {names.cockpit_token(token)}"
    if environment.enters_nodes:
        yield names.bastion_secret, f"Host key of the bastion of {names.gateway}, no secret: pinned when first met"


def llm_routing(environment: Environment) -> dict[str, Any]:
    """The LLM routing table as the backend reads it: use case -> base_url, model, and the place of the key.

    `api_key.field` is a key in the secret's JSON, or null if the secret is the key itself.
    """
    if not environment.llm:
        return {}
    names, made = environment.names, dict(_produced(environment))
    routes = {}
    for use_case, route in environment.llm.routes.items():
        provider = environment.llm.providers[route.provider]
        place = {"path": names.secret_path, "name": provider.api_key}
        field = "secret_key" if provider.api_key in made else None
        routes[use_case] = {
            "provider": route.provider,
            "base_url": provider.base_url,
            "model": route.model,
            "api_key": {**place, "field": field},
        }
    return {"routes": routes}


def _secret(
    environment: Environment,
    name: str,
    description: str,
    *,
    fields: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
) -> Resource:
    return Resource(
        key=f"secret.{name}",
        kind="secret",
        name=name,
        fields={"description": description, **(fields or {})},
        inputs=inputs or {},
        protected=True,
    )


KINDS = (
    Kind(
        name="secret",
        title="secret",
        product="secret",
        resources=_secrets,
        permission_sets=("SecretManagerFullAccess",),
        protected=True,
        # What opens the door to them is kept here: without it they could be neither seen nor removed.
        outlives=("queue", "alert_rules"),
        settles=False,
        lingers=False,
    ),
)
