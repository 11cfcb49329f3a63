"""Frontends of load balancers, and the ACLs that answer before a backend is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from scaleway.lb.v1 import Acl, AclAction, AclActionRedirect, AclMatch, Frontend

from activities.cloud import pages
from activities.kinds.lb.settling import LbChild
from activities.lifecycle import Parent, Scope
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource


class LbFrontendLifecycle(LbChild):
    """Frontends, told apart by their names under the load balancer."""

    kind = "lb_frontend"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        found = pages(self.api.list_frontends, "frontends", lb_id=parent.id)
        return [self._observed(frontend, parent.id, f"{parent.name}/{frontend.name}") for frontend in found]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        frontend = self.api.get_frontend(frontend_id=item.id)
        return self.settled(self._observed(frontend, item.parent_id, item.name), item.parent_id)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        frontend = self.api.create_frontend(
            lb_id=resource.inputs["parent_id"], name=_own_name(resource), **resource.fields
        )
        return frontend.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`. What is left out would be reset, so everything is sent."""
        self.api.update_frontend(frontend_id=item.id, name=_own_name(resource), **resource.fields)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.api.delete_frontend(frontend_id=item.id)

    def _observed(self, frontend: Frontend, lb_id: str, name: str) -> Observed:
        backend = frontend.backend.id if frontend.backend else ""
        return Observed(
            kind=self.kind,
            name=name,
            id=frontend.id,
            fields={
                "inbound_port": frontend.inbound_port,
                "backend_id": backend,
                "certificate_ids": frontend.certificate_ids,
                "timeout_client": frontend.timeout_client,
                "enable_access_logs": frontend.enable_access_logs,
                "enable_http3": frontend.enable_http3,
            },
            outputs={"id": frontend.id},
            ownership=self.under(frontend.lb),
            parent_id=lb_id,
            uses=(backend, *frontend.certificate_ids),
        )


class LbAclLifecycle(LbChild):
    """ACLs, told apart by their names under the frontend."""

    kind = "lb_acl"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        found = pages(self.api.list_acls, "acls", frontend_id=parent.id)
        return [self._observed(acl, parent.id, f"{parent.name}/{acl.name}") for acl in found]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        acl = self.api.get_acl(acl_id=item.id)
        found = self._observed(acl, item.parent_id, item.name)
        lb = acl.frontend.lb if acl.frontend else None
        return self.settled(found, lb.id) if lb else found

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        acl = self.api.create_acl(
            frontend_id=resource.inputs["parent_id"], name=_own_name(resource), description="", **_sent(resource)
        )
        return acl.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.api.update_acl(acl_id=item.id, name=_own_name(resource), description="", **_sent(resource))

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.api.delete_acl(acl_id=item.id)

    def _observed(self, acl: Acl, frontend_id: str, name: str) -> Observed:
        return Observed(
            kind=self.kind,
            name=name,
            id=acl.id,
            fields={"index": acl.index, "action": _shown_action(acl.action), "match": _shown_match(acl.match)},
            outputs={"id": acl.id},
            ownership=self.under(acl.frontend.lb if acl.frontend else None),
            parent_id=frontend_id,
        )


def _shown_action(action: AclAction | None) -> dict[str, Any] | None:
    if action is None:
        return None
    to = action.redirect
    redirect = {"type": str(to.type_), "target": to.target, "code": to.code} if to else None
    return {"type": str(action.type_), "redirect": redirect}


def _shown_match(match: AclMatch | None) -> dict[str, Any] | None:
    if match is None:
        return None
    return {"ip_subnet": match.ip_subnet, "http_filter": str(match.http_filter), "invert": match.invert}


def _sent(resource: Resource) -> dict[str, Any]:
    action, match = resource.fields["action"], resource.fields["match"]
    to = action["redirect"]
    return {
        "index": resource.fields["index"],
        "action": AclAction(
            type_=action["type"],
            redirect=AclActionRedirect(type_=to["type"], target=to["target"], code=to["code"]),
        ),
        "match": AclMatch(
            ip_subnet=match["ip_subnet"],
            ips_edge_services=False,
            http_filter=match["http_filter"],
            http_filter_value=[],
            invert=match["invert"],
        ),
    }


def _own_name(resource: Resource) -> str:
    return resource.name.rpartition("/")[2]
