"""Checks of monitoring: who gets alerts, which data sources and tokens are meant."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.monitoring import Agent, Monitoring
from blueprint.environment.problems import Problem, unknown

RULES_SCOPE = "full_access_metrics_rules"


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of monitoring."""
    monitoring = environment.monitoring
    if not monitoring:
        return
    if not monitoring.alert_manager:
        for field in ("contact_points", "managed_alerts", "alert_rules"):
            if getattr(monitoring, field):
                message = "without the alert manager nothing is sent; alert_manager: true is needed"
                yield Problem(("monitoring", field), message)
    for index, email in enumerate(monitoring.contact_points):
        if email in monitoring.contact_points[:index]:
            yield Problem(("monitoring", "contact_points", index), f"{email} is given twice; once is enough")
    if monitoring.alert_rules is not None:
        yield from _source(monitoring, monitoring.alert_rules, "metrics", ("alert_rules",))
        if not any(RULES_SCOPE in scopes for scopes in monitoring.tokens.values()):
            yield Problem(("monitoring", "tokens"), f"alert_rules needs a token with the scope {RULES_SCOPE}")
    if monitoring.agent:
        yield from _agent(environment, monitoring, monitoring.agent)


def _agent(environment: Environment, monitoring: Monitoring, agent: Agent) -> Iterator[Problem]:
    if not environment.network.gateway.bastion:
        message = "nodes are set up through the SSH bastion; network.gateway.bastion is missing"
        yield Problem(("monitoring", "agent"), message)
    scopes = monitoring.tokens.get(agent.token)
    if scopes is None:
        message = unknown(agent.token, monitoring.tokens, "monitoring.tokens")
        yield Problem(("monitoring", "agent", "token"), message)
    wanted = {"metrics": agent.metrics, "logs": agent.logs, "traces": agent.traces}
    for type_, name in wanted.items():
        if name is None:
            continue
        yield from _source(monitoring, name, type_, ("agent", type_))
        if scopes is not None and f"write_only_{type_}" not in scopes:
            message = f"the token {agent.token} lacks the scope write_only_{type_}"
            yield Problem(("monitoring", "agent", "token"), message)


def _source(monitoring: Monitoring, name: str, type_: str, path: tuple[str, ...]) -> Iterator[Problem]:
    source = monitoring.data_sources.get(name)
    if source is None:
        message = unknown(name, monitoring.data_sources, "monitoring.data_sources")
        yield Problem(("monitoring", *path), message)
    elif source.type != type_:
        yield Problem(("monitoring", *path), f"{name} is for {source.type}, not for {type_}")
