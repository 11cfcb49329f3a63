"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from scaleway.instance.v1 import (
    InstanceV1API,
    SecurityGroup,
    SecurityGroupPolicy,
    SecurityGroupRule,
    SecurityGroupRuleAction,
    SecurityGroupRuleDirection,
    SecurityGroupRuleProtocol,
    SetSecurityGroupRulesRequestRule,
)

from activities.cloud import pages
from activities.kinds.instance.answers import present
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource


class SecurityGroupLifecycle(Lifecycle):
    """Security groups, told apart by name and tags."""

    kind = "security_group"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(InstanceV1API).list_security_groups
        found = pages(fetch, "security_groups", size="per_page", project=self.cloud.project_id)
        return [self._observed(group) for group in found]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        fields = resource.fields
        answer = self.cloud.api(InstanceV1API).create_security_group(
            name=resource.name,
            description=fields["description"],
            stateful=fields["stateful"],
            inbound_default_policy=SecurityGroupPolicy(fields["inbound"]),
            outbound_default_policy=SecurityGroupPolicy(fields["outbound"]),
            enable_default_security=fields["block_smtp"],
            project=self.cloud.project_id,
            project_default=False,
            tags=self.tags(resource),
        )
        return present(answer.security_group).id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        fields = resource.fields
        self.cloud.api(InstanceV1API).update_security_group(
            security_group_id=item.id,
            name=resource.name,
            description=fields["description"],
            stateful=fields["stateful"],
            inbound_default_policy=SecurityGroupPolicy(fields["inbound"]),
            outbound_default_policy=SecurityGroupPolicy(fields["outbound"]),
            enable_default_security=fields["block_smtp"],
            tags=self.tags(resource),
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(InstanceV1API).delete_security_group(security_group_id=item.id)

    def _observed(self, group: SecurityGroup) -> Observed:
        return Observed(
            kind=self.kind,
            name=group.name,
            id=group.id,
            fields={
                "description": group.description or "",
                "stateful": group.stateful,
                "inbound": str(group.inbound_default_policy),
                "outbound": str(group.outbound_default_policy),
                "block_smtp": group.enable_default_security,
            },
            outputs={"id": group.id},
            # Between two settled states it filters already: nothing has to wait for "syncing" to pass.
            status=str(group.state),
            health="failed" if str(group.state) == "syncing_error" else "ok",
            ownership="ours" if self.is_ours(group.tags) else "foreign",
            protected=is_protected(group.tags),
        )


class SecurityGroupRulesLifecycle(Lifecycle):
    """All rules of a security group but Scaleway's own, set in one call: ours if the group is."""

    kind = "security_group_rules"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. Scaleway's own rules, which block mail, cannot be edited and do not count."""
        api = self.cloud.api(InstanceV1API)
        group = present(api.get_security_group(security_group_id=parent.id).security_group)
        found = pages(api.list_security_group_rules, "rules", size="per_page", security_group_id=parent.id)
        editable = [rule for rule in found if rule.editable]
        ordered = sorted(editable, key=lambda rule: (str(rule.direction), rule.position))
        return [
            Observed(
                kind=self.kind,
                name=f"{parent.name}/rules",
                id=parent.id,
                fields={"rules": [_shown(rule) for rule in ordered]},
                outputs={"id": parent.id},
                ownership="ours" if self.is_ours(group.tags) else "foreign",
                parent_id=parent.id,
            )
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        group_id: str = resource.inputs["parent_id"]
        self._set(group_id, resource.fields["rules"])
        return group_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self._set(item.id, resource.fields["rules"])

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self._set(item.id, [])

    def _set(self, group_id: str, rules: Sequence[dict[str, Any]]) -> None:
        self.cloud.api(InstanceV1API).set_security_group_rules(
            security_group_id=group_id, rules=[_sent(rule, position) for position, rule in enumerate(rules, 1)]
        )


def _shown(rule: SecurityGroupRule) -> dict[str, Any]:
    first = rule.dest_port_from
    return {
        "direction": str(rule.direction),
        "action": str(rule.action),
        "protocol": str(rule.protocol).lower(),
        # The API shows a network of one address as that address.
        "network": str(ip_network(rule.ip_range)),
        "ports": [first, rule.dest_port_to or first] if first else [],
    }


def _sent(rule: dict[str, Any], position: int) -> SetSecurityGroupRulesRequestRule:
    first, last = rule["ports"] or (None, None)
    return SetSecurityGroupRulesRequestRule(
        direction=SecurityGroupRuleDirection(rule["direction"]),
        action=SecurityGroupRuleAction(rule["action"]),
        protocol=SecurityGroupRuleProtocol(rule["protocol"]),
        ip_range=rule["network"],
        dest_port_from=first,
        dest_port_to=last,
        position=position,
        # A rule that is not editable is ignored.
        editable=True,
    )
