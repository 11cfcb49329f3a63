"""The engine's own alert rules, group by group, in the rulers of Cockpit's data sources for metrics.

A ruler reads only what is in its own data source: rules about Scaleway's products go to Scaleway's, the others to the
one that the file names. Scaleway's comes into being with the first product that writes into it.
"""

from __future__ import annotations

from collections.abc import Iterable

from blueprint import alerts
from blueprint.alerts.expected import heard_of
from blueprint.environment import Environment
from blueprint.environment.checks.monitoring import RULES_SCOPE
from blueprint.kinds.cockpit import ALERT_MANAGER
from blueprint.kinds.kind import Kind
from blueprint.kinds.lb import LB
from blueprint.kinds.rdb import INSTANCE as POSTGRESQL
from blueprint.kinds.sqs import SQS
from blueprint.resource import Resource

SCALEWAY_METRICS = "Scaleway Metrics"
"""Name of the data source that Scaleway's products write into."""


def _products(environment: Environment) -> dict[str, str]:
    """Keys of the products that there are rules about, by the name of the group."""
    products = {
        "load-balancer": (environment.load_balancer, LB),
        "databases": (environment.postgresql, POSTGRESQL),
        "queues": (environment.sqs, SQS),
    }
    return {group: key for group, (section, key) in products.items() if section}


def _alert_rules(environment: Environment) -> Iterable[Resource]:
    monitoring = environment.monitoring
    if not monitoring or not monitoring.alert_rules:
        return
    products = _products(environment)
    tokens = [f"cockpit_token.{name}" for name, scopes in monitoring.tokens.items() if RULES_SCOPE in scopes]
    names = environment.names
    # A node that is being made is not to be missed before its agent is there.
    agents = [f"node_agent.{node.removeprefix(f'{names.stem}-')}" for node in heard_of(environment)]
    for group in alerts.groups(environment):
        ours = group.origin == "custom"
        if not ours and group.name not in products:
            continue
        source = names.data_source(monitoring.alert_rules) if ours else SCALEWAY_METRICS
        feeder = f"data_source.{monitoring.alert_rules}" if ours else products[group.name]
        yield Resource(
            key=f"alert_rules.{group.name}",
            kind="alert_rules",
            name=f"{source}/{group.name}",
            fields={"rules": group.rules},
            # Before there is an alert manager, what fires reaches nobody.
            depends_on=(ALERT_MANAGER, feeder, *tokens, *(agents if group.name == "nodes" else ())),
        )


KINDS = (
    Kind(
        name="alert_rules",
        title="alert rules",
        product="cockpit",
        resources=_alert_rules,
        permission_sets=("ObservabilityFullAccess", "SecretManagerFullAccess"),
        settles=False,
        lingers=False,
    ),
)
