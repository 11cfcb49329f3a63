"""Checks of who may do what: secrets, LLM providers."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem, suggestion, unknown
from blueprint.names import ENGINE_CREDENTIALS


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of secrets and LLM routing."""
    made = engine_secrets(environment)
    for name in environment.secrets:
        if name in made:
            message = f"the engine makes this secret itself, for {made[name]}; another name fits"
            yield Problem(("secrets", name), message)
    if environment.llm:
        keys = [name for name in (*environment.secrets, *made) if name != environment.names.llm_secret]
        for name, provider in environment.llm.providers.items():
            if provider.api_key not in keys:
                # Not repeated: it may be the key itself, put here by mistake.
                message = f"there is no secret of this name; {suggestion(provider.api_key, keys)}"
                yield Problem(("llm", "providers", name, "api_key"), message)
        for name, route in environment.llm.routes.items():
            if route.provider not in environment.llm.providers:
                message = unknown(route.provider, environment.llm.providers, "llm.providers")
                yield Problem(("llm", "routes", name, "provider"), message)


def engine_secrets(environment: Environment) -> dict[str, str]:
    """Secrets that the engine makes by rule: name -> what for."""
    names = environment.names
    made: dict[str, str] = {}
    if environment.postgresql:
        for user in [names.postgresql_admin, *environment.postgresql.accounts()]:
            made[names.postgresql_secret(user)] = f"the database user {user}"
    if environment.redis:
        made[names.redis_secret] = "redis"
    for application, settings in environment.applications.items():
        if settings.api_key:
            made[names.api_key_secret(application)] = f"the API key of applications.{application}"
    if environment.sqs:
        made[names.sqs_secret(ENGINE_CREDENTIALS)] = "its own SQS credentials"
        for credentials in environment.sqs.credentials:
            made[names.sqs_secret(credentials)] = f"sqs.credentials.{credentials}"
    for token in environment.monitoring.tokens if environment.monitoring else ():
        made[names.cockpit_secret(token)] = f"monitoring.tokens.{token}"
    if environment.backup:
        made[names.backup_secret] = "the backups"
    if environment.enters_nodes:
        made[names.bastion_secret] = "the host key of the bastion"
    if environment.llm:
        made[names.llm_secret] = "the LLM routing table"
    return made
