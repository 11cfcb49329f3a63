"""Applications, policies, API keys and SSH keys, through Scaleway's IAM API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time
from typing import Any

from scaleway.iam.v1alpha1 import APIKey, Application, IamV1Alpha1API, Policy, Rule, RuleSpecs, SSHKey

from activities.cloud import pages
from activities.kinds.told_once import ToldOnce
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

LAST_MOMENT = time(23, 59, 59, tzinfo=UTC)
"""When the last day of an API key ends."""


class ApplicationLifecycle(Lifecycle):
    """Applications, told apart by name and tags. Deleting one deletes its API keys."""

    kind = "application"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(IamV1Alpha1API).list_applications
        found = pages(fetch, "applications", organization_id=self.cloud.organization_id)
        return [self._observed(application) for application in found]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        application = self.cloud.api(IamV1Alpha1API).create_application(
            name=resource.name,
            description=resource.fields["description"],
            organization_id=self.cloud.organization_id,
            tags=self.tags(resource),
        )
        return application.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(IamV1Alpha1API).update_application(
            application_id=item.id,
            name=resource.name,
            description=resource.fields["description"],
            tags=self.tags(resource),
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(IamV1Alpha1API).delete_application(application_id=item.id)

    def _observed(self, application: Application) -> Observed:
        return Observed(
            kind=self.kind,
            name=application.name,
            id=application.id,
            fields={"description": application.description},
            outputs={"id": application.id},
            ownership="ours" if self.is_ours(application.tags) else "foreign",
            protected=is_protected(application.tags),
        )


class PolicyLifecycle(Lifecycle):
    """Policies, told apart by name and tags. Rules are a list of their own, read for the policies that matter."""

    kind = "policy"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(IamV1Alpha1API).list_policies
        found = pages(fetch, "policies", organization_id=self.cloud.organization_id)
        return [self._observed(policy, detailed=policy.name in scope.names) for policy in found]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        policy = self.cloud.api(IamV1Alpha1API).create_policy(
            name=resource.name,
            description="",
            organization_id=self.cloud.organization_id,
            rules=self._sent(resource.fields["rules"]),
            tags=self.tags(resource),
            application_id=resource.fields["application_id"],
        )
        return policy.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        api = self.cloud.api(IamV1Alpha1API)
        api.update_policy(
            policy_id=item.id,
            name=resource.name,
            tags=self.tags(resource),
            application_id=resource.fields["application_id"],
        )
        if any(difference.path == "rules" for difference in differences):
            api.set_rules(policy_id=item.id, rules=self._sent(resource.fields["rules"]))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(IamV1Alpha1API).delete_policy(policy_id=item.id)

    def _observed(self, policy: Policy, *, detailed: bool) -> Observed:
        fields: dict[str, Any] = {"application_id": policy.application_id}
        if detailed:
            rules = pages(self.cloud.api(IamV1Alpha1API).list_rules, "rules", policy_id=policy.id)
            fields["rules"] = sorted(self._shown(rule) for rule in rules)
        return Observed(
            kind=self.kind,
            name=policy.name,
            id=policy.id,
            fields=fields,
            outputs={"id": policy.id},
            ownership="ours" if self.is_ours(policy.tags) else "foreign",
            protected=is_protected(policy.tags),
            uses=(policy.application_id,) if policy.application_id else (),
        )

    def _shown(self, rule: Rule) -> Sequence[str]:
        """Scope and permission sets. A condition is never declared, so that one makes a difference."""
        if rule.organization_id:
            scope = "organization"
        else:
            own = rule.project_ids == [self.cloud.project_id]
            scope = "project" if own else f"projects {', '.join(sorted(rule.project_ids or ()))}"
        if rule.condition:
            scope = f"{scope} if {rule.condition}"
        return [scope, *sorted(rule.permission_set_names or ())]

    def _sent(self, rules: Iterable[Sequence[str]]) -> Any:
        return [
            RuleSpecs(
                condition="",
                permission_set_names=permission_sets,
                project_ids=None if scope == "organization" else [self.cloud.project_id],
                organization_id=self.cloud.organization_id if scope == "organization" else None,
            )
            for scope, *permission_sets in rules
        ]


class ApiKeyLifecycle(ToldOnce):
    """API keys of applications. They have neither name nor tags: the description carries both."""

    kind = "api_key"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(IamV1Alpha1API).list_api_keys
        found = [self._observed(key) for key in pages(fetch, "api_keys", organization_id=self.cloud.organization_id)]
        if not any(item.name in scope.names for item in found):
            return found
        filled = self.cloud.secrets.filled(self.cloud.names.secret_path)
        return [
            item.model_copy(update={"fields": item.fields | {"kept": self._secret(item) in filled}}) for item in found
        ]

    def read(self, item: Observed) -> Observed:
        """Its id is all that others need; reads of a fresh key may not see it yet (Scaleway errors, section 3.2)."""
        return item.model_copy(update={"outputs": {"id": item.id, "access_key": item.id}})

    def named(self, resource: Resource) -> Sequence[Observed]:
        """The application's keys of that description."""
        found = pages(
            self.cloud.api(IamV1Alpha1API).list_api_keys,
            "api_keys",
            organization_id=self.cloud.organization_id,
            application_id=resource.fields["application_id"],
        )
        return [item for item in map(self._observed, found) if item.name == resource.name]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        expires = resource.fields.get("expires")
        key = self.cloud.api(IamV1Alpha1API).create_api_key(
            description=self._description(resource),
            application_id=resource.fields["application_id"],
            default_project_id=self.cloud.project_id,
            expires_at=_last_moment(expires) if expires else None,
        )
        self.keep(resource, key.access_key, {"access_key": key.access_key, "secret_key": key.secret_key or ""})
        return key.access_key

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        expires = resource.fields.get("expires")
        self.cloud.api(IamV1Alpha1API).update_api_key(
            access_key=item.id,
            description=self._description(resource),
            expires_at=_last_moment(expires) if expires else None,
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(IamV1Alpha1API).delete_api_key(access_key=item.id)

    def _description(self, resource: Resource) -> str:
        return " ".join((resource.name, *self.tags(resource)))

    def _secret(self, item: Observed) -> str:
        return self.cloud.names.api_key_secret(item.name.removeprefix(f"{self.cloud.names.stem}-"))

    def _observed(self, key: APIKey) -> Observed:
        name, *marks = key.description.split() or [""]
        fields: dict[str, Any] = {
            "application_id": key.application_id,
            "expires": key.expires_at.astimezone(UTC).date().isoformat() if key.expires_at else None,
            "lives_forever": key.expires_at is None,
        }
        return Observed(
            kind=self.kind,
            name=name,
            id=key.access_key,
            fields=fields,
            outputs={"id": key.access_key, "access_key": key.access_key},
            ownership="ours" if self.is_ours(marks) else "foreign",
            uses=(key.application_id,) if key.application_id else (),
        )


class SshKeyLifecycle(Lifecycle):
    """SSH keys of the project. They have no tags: ours are those whose name begins with `<org>-<env>-`."""

    kind = "ssh_key"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(IamV1Alpha1API).list_ssh_keys
        return [self._observed(key) for key in pages(fetch, "ssh_keys", project_id=self.cloud.project_id)]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        key = self.cloud.api(IamV1Alpha1API).create_ssh_key(
            name=resource.name, public_key=resource.fields["public_key"], project_id=self.cloud.project_id
        )
        return key.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(IamV1Alpha1API).update_ssh_key(ssh_key_id=item.id, name=resource.name, disabled=False)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(IamV1Alpha1API).delete_ssh_key(ssh_key_id=item.id)

    def _observed(self, key: SSHKey) -> Observed:
        return Observed(
            kind=self.kind,
            name=key.name,
            id=key.id,
            # The API may give the comment back, which says nothing about the key.
            fields={"public_key": " ".join(key.public_key.split()[:2]), "disabled": key.disabled},
            outputs={"id": key.id},
            ownership="ours" if key.name.startswith(f"{self.cloud.names.stem}-") else "foreign",
        )


def _last_moment(day: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(day).date(), LAST_MOMENT)


LIFECYCLES = (SshKeyLifecycle, ApplicationLifecycle, PolicyLifecycle, ApiKeyLifecycle)
