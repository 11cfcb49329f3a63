"""Cockpit: data sources, tokens, the alert manager and whom it writes to."""

from __future__ import annotations

from collections.abc import Iterable

from blueprint.environment import Environment
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource

ALERT_MANAGER = "alert_manager.main"


def _data_sources(environment: Environment) -> Iterable[Resource]:
    for name, source in environment.monitoring.data_sources.items() if environment.monitoring else ():
        yield Resource(
            key=f"data_source.{name}",
            kind="data_source",
            name=environment.names.data_source(name),
            fields={"type": source.type, "retention_days": source.retention_days},
        )


def _tokens(environment: Environment) -> Iterable[Resource]:
    for name, scopes in environment.monitoring.tokens.items() if environment.monitoring else ():
        secret_name = environment.names.cockpit_secret(name)
        yield Resource(
            key=f"cockpit_token.{name}",
            kind="cockpit_token",
            name=environment.names.cockpit_token(name),
            fields={"scopes": sorted(set(scopes)), "kept": True},
            inputs={"secret": {"path": environment.names.secret_path, "name": secret_name}},
            depends_on=(f"secret.{secret_name}",),
        )


def _alert_manager(environment: Environment) -> Iterable[Resource]:
    if environment.monitoring and environment.monitoring.alert_manager:
        yield Resource(
            key=ALERT_MANAGER,
            kind="alert_manager",
            name=environment.names.alert_manager,
            fields={"managed_alerts": environment.monitoring.managed_alerts},
        )


def _contact_points(environment: Environment) -> Iterable[Resource]:
    for email in environment.monitoring.contact_points if environment.monitoring else ():
        yield Resource(
            key=f"contact_point.{email}",
            kind="contact_point",
            name=f"{environment.names.alert_manager}/{email}",
            parent=ALERT_MANAGER,
        )


KINDS = (
    Kind(
        name="data_source",
        title="Cockpit data source",
        product="cockpit",
        resources=_data_sources,
        permission_sets=("ObservabilityFullAccess",),
        # A ruler goes with its data source.
        outlives=("alert_rules",),
        immutable={"type": "a data source keeps one type for life"},
        settles=False,
        tells_more=True,
        lingers=False,
    ),
    Kind(
        name="cockpit_token",
        title="Cockpit token",
        product="cockpit",
        resources=_tokens,
        permission_sets=("ObservabilityFullAccess", "SecretManagerFullAccess"),
        # Without it they could neither be seen nor removed.
        outlives=("alert_rules",),
        immutable={
            "scopes": "the scopes of a Cockpit token cannot be changed",
            "kept": "its secret was told once and is not in Secret Manager",
        },
        settles=False,
        lingers=False,
    ),
    Kind(
        name="alert_manager",
        title="alert manager",
        product="cockpit",
        resources=_alert_manager,
        permission_sets=("ObservabilityFullAccess",),
        settles=False,
        lingers=False,
    ),
    Kind(
        name="contact_point",
        title="contact point",
        product="cockpit",
        resources=_contact_points,
        permission_sets=("ObservabilityFullAccess",),
        parent="alert_manager",
        settles=False,
        lingers=False,
    ),
)
