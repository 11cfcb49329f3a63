"""DNS zones and record sets, through Scaleway's Domains and DNS API v2beta1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from scaleway.domain.v2beta1 import (
    DNSZone,
    DomainV2Beta1API,
    DomainV2Beta1RegistrarAPI,
    Record,
    RecordChange,
    RecordChangeDelete,
    RecordChangeSet,
    RecordIdentifier,
    RecordType,
)

from activities.cloud import pages
from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.environment.dns_values import canonical, quoted
from blueprint.errors import Gone, Refused, StillInUse
from blueprint.kinds.dns import record_name
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

HEALTH: dict[str, Any] = {"active": "ok", "error": "failed", "locked": "failed"}
"""What a zone's status means; any other is on its way."""
OF_THE_ZONE = {"NS", "SOA"}
"""Types of which the zone's own records are Scaleway's."""


class DnsZoneLifecycle(Lifecycle):
    """DNS zones. They have no tags: a zone of the project is ours if the file names it."""

    kind = "dns_zone"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        if not scope.names:
            return []
        fetch = self.cloud.api(DomainV2Beta1API).list_dns_zones
        zones: Iterable[DNSZone] = pages(
            fetch, "dns_zones", domain="", dns_zones=sorted(scope.names), project_id=self.cloud.project_id
        )
        return [_observed_zone(zone) for zone in zones]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return _observed_zone(_zone(self.cloud.api(DomainV2Beta1API), item.name))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`.

        Raises:
            Refused: Scaleway does not know the domain.
        """
        domain = resource.inputs["domain"]
        try:
            self.cloud.api(DomainV2Beta1API).create_dns_zone(
                domain=domain, subdomain=resource.inputs["subdomain"], project_id=self.cloud.project_id
            )
        except Gone:
            raise Refused(
                f"{domain} is not known to Scaleway",
                subject=resource.key,
                remedy="add it as an external domain in Scaleway's console, which asks for a TXT record at its "
                "registrar, then retry",
            ) from None
        return resource.name

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. A domain's root zone cannot be deleted by itself; it goes when Scaleway gives up the domain.

        Raises:
            StillInUse: the domain has sub-zones, which would go with it.
            Refused: the domain is registered at Scaleway, not elsewhere, so that its root zone stays with it.
        """
        if not item.inputs["root"]:
            self.cloud.api(DomainV2Beta1API).delete_dns_zone(dns_zone=item.name, project_id=self.cloud.project_id)
            return
        self._require_alone(item.name)
        try:
            self.cloud.api(DomainV2Beta1RegistrarAPI).delete_external_domain(domain=item.name)
        except Refused as error:
            raise Refused(
                error.message,
                subject=f"dns_zone.{item.name}",
                remedy="if the domain is registered at Scaleway its root zone stays with it: skip this step",
            ) from None

    def _require_alone(self, domain: str) -> None:
        zones = pages(self.cloud.api(DomainV2Beta1API).list_dns_zones, "dns_zones", domain=domain)
        below = [f"{zone.subdomain}.{zone.domain}" for zone in zones if zone.subdomain]
        if below:
            raise StillInUse(
                f"has zones below it that would go along: {', '.join(below)}",
                subject=f"dns_zone.{domain}",
                remedy="delete these first, or skip this step",
            )


class DnsRecordLifecycle(Lifecycle):
    """Record sets, told apart by name and type. Ours carry our tags in the comment of each value.

    Where some values of a set are ours and some are not, the set is ours, but only our values are shown, changed and
    deleted. The NS and SOA records of a zone itself are never touched.

    A PATCH is carried out as a whole or not at all. What takes time is the way to the name servers, so a record is
    ready once its zone is active again.
    """

    kind = "dns_record"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(DomainV2Beta1API).list_dns_zone_records
        sets: dict[str, list[Record]] = defaultdict(list)
        for record in pages(fetch, "records", dns_zone=parent.id, name=""):
            if record.name or record.type_ not in OF_THE_ZONE:
                sets[record_name(parent.name, record.name, record.type_)].append(record)
        return [self._observed(name, records, parent) for name, records in sets.items()]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self.read_all([item])[0]

    def read_all(self, items: Sequence[Observed]) -> Sequence[Observed]:
        """See `Lifecycle`. One look at the zone tells it for all."""
        zone = _observed_zone(_zone(self.cloud.api(DomainV2Beta1API), items[0].name.split("/")[0]))
        state = {"status": zone.status, "health": zone.health}
        return [item.model_copy(update={**state, "outputs": {"id": item.id}}) for item in items]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        return self.create_all([resource])[0]

    def create_all(self, resources: Sequence[Resource]) -> Sequence[str]:
        """See `Lifecycle`. A `set` by name and type is the same however often it is sent."""
        self._patch(resources[0].name, [self._set(resource) for resource in resources])
        return [resource.name for resource in resources]

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.update_all([resource], [item], [differences])

    def update_all(
        self, resources: Sequence[Resource], items: Sequence[Observed], differences: Sequence[Sequence[Difference]]
    ) -> None:
        """See `Lifecycle`. Adopting a set takes over all of its values."""
        changes: list[RecordChange] = []
        for resource, item in zip(resources, items, strict=True):
            if item.inputs.get("shared"):
                changes.extend(self._set_beside_others(resource, item))
            else:
                changes.append(self._set(resource))
        self._patch(resources[0].name, changes)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.delete_all([item])

    def delete_all(self, items: Sequence[Observed]) -> None:
        """See `Lifecycle`. Value by value, and only ours."""
        changes = [_without(item.name, data) for item in items for data in item.inputs["data"]]
        self._patch(items[0].name, changes)

    # -- changes -----------------------------------------------------------------------------------------------

    def _patch(self, name: str, changes: Sequence[RecordChange]) -> None:
        self.cloud.api(DomainV2Beta1API).update_dns_zone_records(
            dns_zone=name.split("/")[0],
            changes=[*changes],
            # Otherwise a zone that is missing is made, and its name servers answer for what they did not before.
            disallow_new_zone_creation=True,
            return_all_records=False,
        )

    def _set(self, resource: Resource) -> RecordChange:
        """Exactly these values."""
        name, type_ = _name_and_type(resource.name)
        records = [self._record(resource, value) for value in resource.fields["values"]]
        return RecordChange(set_=RecordChangeSet(records, id_fields=RecordIdentifier(name, type_)))

    def _set_beside_others(self, resource: Resource, item: Observed) -> Iterable[RecordChange]:
        """These values in place of those that are ours."""
        name, type_ = _name_and_type(resource.name)
        records = [self._record(resource, value) for value in resource.fields["values"]]
        kept = {record.data for record in records}
        yield from (_without(item.name, data) for data in item.inputs["data"] if data not in kept)
        for record in records:
            fields = RecordIdentifier(name, type_, data=record.data)
            yield RecordChange(set_=RecordChangeSet([record], id_fields=fields))

    def _record(self, resource: Resource, value: str) -> Record:
        name, type_ = _name_and_type(resource.name)
        priority, _, target = value.partition(" ") if type_ in ("MX", "SRV") else ("0", "", "")
        return Record(
            # The API puts an MX record's priority before its data; that of an SRV record has to stand there already.
            data={"TXT": quoted(value), "MX": target}.get(type_, value),
            name=name,
            priority=int(priority),
            ttl=resource.fields["ttl"],
            type_=type_,
            id="",
            comment=self._comment,
        )

    # -- what is there -----------------------------------------------------------------------------------------

    @property
    def _comment(self) -> str:
        return " ".join(self.cloud.names.tags)

    def _observed(self, name: str, records: Sequence[Record], zone: Parent) -> Observed:
        marked = [record for record in records if record.comment == self._comment]
        shown = marked or records
        ttls = sorted({record.ttl for record in shown})
        values = sorted(canonical(record.type_, record.data, zone.name, record.priority) for record in shown)
        return Observed(
            kind=self.kind,
            name=name,
            id=name,
            fields={"ttl": ttls[0] if len(ttls) == 1 else ttls, "values": values},
            outputs={"id": name},
            ownership="ours" if marked else "foreign",
            parent_id=zone.id,
            inputs={"data": [record.data for record in marked], "shared": bool(marked) and len(marked) < len(records)},
        )


def _zone(api: DomainV2Beta1API, name: str) -> DNSZone:
    zones = api.list_dns_zones(domain="", dns_zones=[name], page_size=1).dns_zones
    if not zones:
        raise Gone("is not there", subject=f"dns_zone.{name}")
    return zones[0]


def _observed_zone(zone: DNSZone) -> Observed:
    name = f"{zone.subdomain}.{zone.domain}" if zone.subdomain else zone.domain
    status = str(zone.status)
    return Observed(
        kind="dns_zone",
        name=name,
        id=name,
        outputs={"id": name},
        status=f"{status}: {zone.message}" if zone.message else status,
        health=HEALTH.get(status, "pending"),
        inputs={"root": not zone.subdomain},
    )


def _name_and_type(name: str) -> tuple[str, RecordType]:
    _, own, type_ = name.split("/")
    return ("" if own == "@" else own), type_  # type: ignore[return-value]


def _without(name: str, data: str) -> RecordChange:
    own, type_ = _name_and_type(name)
    return RecordChange(delete=RecordChangeDelete(id_fields=RecordIdentifier(own, type_, data=data)))


LIFECYCLES = (DnsZoneLifecycle, DnsRecordLifecycle)
