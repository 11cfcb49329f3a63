"""IAM: applications, policies, API keys, and the SSH keys of people."""

from __future__ import annotations

from collections.abc import Iterable

from blueprint.environment import Environment
from blueprint.environment.iam import PolicyRule
from blueprint.kinds.kind import Kind
from blueprint.resource import Resource, ref


def _applications(environment: Environment) -> Iterable[Resource]:
    for name, settings in environment.applications.items():
        yield Resource(
            key=f"application.{name}",
            kind="application",
            name=environment.names.application(name),
            fields={"description": settings.description},
        )


def _policies(environment: Environment) -> Iterable[Resource]:
    for name, settings in environment.applications.items():
        if settings.policies:
            yield Resource(
                key=f"policy.{name}",
                kind="policy",
                name=environment.names.policy(name),
                fields={"application_id": ref(f"application.{name}"), "rules": _rules(settings.policies)},
            )


def _rules(rules: Iterable[PolicyRule]) -> list[list[str]]:
    """Each rule as its scope and its permission sets; neither rules nor permission sets have an order."""
    return sorted([rule.scope, *sorted(set(rule.permission_sets))] for rule in rules)


def _api_keys(environment: Environment) -> Iterable[Resource]:
    names = environment.names
    for name, settings in environment.applications.items():
        if not settings.api_key:
            continue
        expires = settings.api_key.expires
        yield Resource(
            key=f"api_key.{name}",
            kind="api_key",
            name=names.application(name),
            fields={
                "application_id": ref(f"application.{name}"),
                "kept": True,
                **({"expires": expires.isoformat()} if expires else {"lives_forever": True}),
            },
            inputs={"secret": {"path": names.secret_path, "name": names.api_key_secret(name)}},
            depends_on=(f"secret.{names.api_key_secret(name)}",),
        )


def _ssh_keys(environment: Environment) -> Iterable[Resource]:
    for name, line in environment.ssh_keys.items():
        algorithm, key = line.split()[:2]
        yield Resource(
            key=f"ssh_key.{name}",
            kind="ssh_key",
            name=environment.names.ssh_key(name),
            # The API drops the comment at the end of the line.
            fields={"public_key": f"{algorithm} {key}", "disabled": False},
        )


KINDS = (
    Kind(
        name="ssh_key",
        title="SSH key",
        product="iam",
        resources=_ssh_keys,
        permission_sets=("SSHKeysFullAccess",),
        immutable={"public_key": "an SSH key cannot be exchanged in place"},
        settles=False,
        lingers=False,
    ),
    Kind(
        name="application",
        title="IAM application",
        product="iam",
        resources=_applications,
        permission_sets=("IAMApplicationManager",),
        settles=False,
        lingers=False,
    ),
    Kind(
        name="policy",
        title="IAM policy",
        product="iam",
        resources=_policies,
        permission_sets=("IAMPolicyManager",),
        settles=False,
        lingers=False,
    ),
    Kind(
        name="api_key",
        title="API key",
        product="iam",
        resources=_api_keys,
        permission_sets=("IAMApplicationManager", "SecretManagerFullAccess"),
        immutable={
            "application_id": "an API key cannot move to another application",
            "kept": "its secret half was told once and is not in Secret Manager",
            "lives_forever": "the expiry of an API key can be moved, but not removed",
        },
        settles=False,
        tells_more=True,
        lingers=False,
    ),
)
