"""Let's Encrypt certificates of load balancers."""

from __future__ import annotations

from collections.abc import Iterable

from scaleway.lb.v1 import Certificate
from scaleway.lb.v1.types import CreateCertificateRequestLetsencryptConfig

from activities.cloud import pages
from activities.kinds.lb.settling import LbChild, state_of
from activities.lifecycle import Parent, Scope
from blueprint.errors import Gone, StillInUse
from blueprint.resource import Observed, Resource


class LbCertificateLifecycle(LbChild):
    """Certificates, told apart by their names under the load balancer."""

    kind = "lb_certificate"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        found = pages(self.api.list_certificates, "certificates", lb_id=parent.id)
        return [self._observed(certificate, parent) for certificate in found]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        parent = Parent(item.parent_id, item.name.rpartition("/")[0])
        found = self._observed(self.api.get_certificate(certificate_id=item.id), parent)
        if found.name != item.name:
            raise Gone("has another name by now", subject=item.name)
        return self.settled(found, parent.id)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`.

        Raises:
            Unresolved: the common name does not lead to the load balancer yet.
        """
        common_name, *others = resource.fields["domains"]
        certificate = self.api.create_certificate(
            lb_id=resource.inputs["parent_id"],
            name=resource.name.rpartition("/")[2],
            letsencrypt=CreateCertificateRequestLetsencryptConfig(
                common_name=common_name, subject_alternative_name=others
            ),
        )
        return certificate.id

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`.

        A failed one that a frontend still shows, since it could not be renewed, only gives up its name: the frontend
        shows the new one first, and the next plan deletes the old.
        """
        try:
            self.api.delete_certificate(certificate_id=item.id)
        except StillInUse:
            if item.health != "failed":
                raise
            own_name = item.name.rpartition("/")[2]
            self.api.update_certificate(certificate_id=item.id, name=f"{own_name}-failed")

    def _observed(self, certificate: Certificate, parent: Parent) -> Observed:
        status, health = state_of(str(certificate.status))
        return Observed(
            kind=self.kind,
            name=f"{parent.name}/{certificate.name}",
            id=certificate.id,
            fields={"domains": [certificate.common_name, *sorted(certificate.subject_alternative_name)]},
            outputs={"id": certificate.id},
            status=f"{status}: {certificate.status_details}" if certificate.status_details else status,
            health=health,
            ownership=self.under(certificate.lb),
            parent_id=parent.id,
        )
