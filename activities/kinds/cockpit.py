"""Data sources, tokens, the alert manager and contact points, through Scaleway's Cockpit API v1."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence

from scaleway.cockpit.v1 import CockpitV1RegionalAPI, DataSource
from scaleway.cockpit.v1.types import ContactPointEmail, DataSourceOrigin, DataSourceType, TokenScope

from activities.cloud import Cloud, pages
from activities.kinds.told_once import ToldOnce
from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource


class DataSourceLifecycle(Lifecycle):
    """Data sources. They carry no tags, so ours by name, `<org>-<env>-`; those that Scaleway made are foreign."""

    kind = "data_source"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        return [
            Observed(
                kind=self.kind,
                name=source.name,
                id=source.id,
                fields={"type": str(source.type_), "retention_days": source.retention_days},
                outputs={"id": source.id, "url": source.url},
                ownership="ours" if _is_ours(self.cloud, source) else "foreign",
            )
            for source in _data_sources(self.cloud)
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        source = self.cloud.api(CockpitV1RegionalAPI).create_data_source(
            project_id=self.cloud.project_id,
            name=resource.name,
            type_=DataSourceType(resource.fields["type"]),
            retention_days=resource.fields["retention_days"],
        )
        return source.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.cloud.api(CockpitV1RegionalAPI).update_data_source(
            data_source_id=item.id, retention_days=resource.fields["retention_days"]
        )

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(CockpitV1RegionalAPI).delete_data_source(data_source_id=item.id)


class CockpitTokenLifecycle(ToldOnce):
    """Tokens. They carry no tags, so ours by name, `<org>-<env>-`. Their secret is told once."""

    kind = "cockpit_token"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(CockpitV1RegionalAPI).list_tokens
        prefix = f"{self.cloud.names.stem}-"
        tokens = [
            token for token in pages(fetch, "tokens", project_id=self.cloud.project_id) if token.name.startswith(prefix)
        ]
        filled = self.cloud.secrets.filled(self.cloud.names.secret_path) if tokens else frozenset()
        return [
            Observed(
                kind=self.kind,
                name=token.name,
                id=token.id,
                fields={
                    "scopes": sorted(str(scope) for scope in token.scopes),
                    "kept": self.cloud.names.cockpit_secret(token.name.removeprefix(prefix)) in filled,
                },
                outputs={"id": token.id},
            )
            for token in tokens
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        token = self.cloud.api(CockpitV1RegionalAPI).create_token(
            project_id=self.cloud.project_id,
            name=resource.name,
            token_scopes=[TokenScope(scope) for scope in resource.fields["scopes"]],
        )
        self.keep(resource, token.id, {"token_id": token.id, "secret_key": token.secret_key or ""})
        return token.id

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(CockpitV1RegionalAPI).delete_token(token_id=item.id)


class AlertManagerLifecycle(Lifecycle):
    """The alert manager of the project: it exists while it is enabled, and deleting it is disabling it.

    There is one for each project, without a name or a tag. It is ours if the file declares it or if the project has a
    data source of ours; otherwise somebody else enabled it, and it stays as it is.
    """

    kind = "alert_manager"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        manager = self.cloud.api(CockpitV1RegionalAPI).get_alert_manager(project_id=self.cloud.project_id)
        if not manager.alert_manager_enabled:
            return []
        name = self.cloud.names.alert_manager
        sources = _data_sources(self.cloud)
        ours = name in scope.names or any(_is_ours(self.cloud, source) for source in sources)
        return [
            Observed(
                kind=self.kind,
                name=name,
                id=self._id,
                fields={"managed_alerts": manager.managed_alerts_enabled},
                outputs={"id": self._id, "url": manager.alert_manager_url},
                status="enabled",
                ownership="ours" if ours else "foreign",
                shared=_are_shared(self.cloud, sources),
            )
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        self.cloud.api(CockpitV1RegionalAPI).enable_alert_manager(project_id=self.cloud.project_id)
        if resource.fields["managed_alerts"]:
            self._switch_managed_alerts(on=True)
        return self._id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self._switch_managed_alerts(on=resource.fields["managed_alerts"])

    def delete(self, item: Observed) -> None:
        """Disable it. Its managed alerts go off along with it."""
        self.cloud.api(CockpitV1RegionalAPI).disable_alert_manager(project_id=self.cloud.project_id)

    def _switch_managed_alerts(self, *, on: bool) -> None:
        api = self.cloud.api(CockpitV1RegionalAPI)
        switch = api.enable_managed_alerts if on else api.disable_managed_alerts
        switch(project_id=self.cloud.project_id)

    @property
    def _id(self) -> str:
        """The API gives it none."""
        return f"{self.cloud.region}/{self.cloud.project_id}/alert-manager"


class ContactPointLifecycle(Lifecycle):
    """Addresses that the alert manager writes to, known by the address itself, which does not tell who wants it.

    They are ours as the alert manager is. Where somebody else in the project has it too, none is taken away: it may be
    his.
    """

    kind = "contact_point"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        fetch = self.cloud.api(CockpitV1RegionalAPI).list_contact_points
        found = [*pages(fetch, "contact_points", project_id=self.cloud.project_id)]
        shared = bool(found) and _are_shared(self.cloud, _data_sources(self.cloud))
        return [
            Observed(
                kind=self.kind,
                name=f"{parent.name}/{point.email.to}",
                id=point.email.to,
                parent_id=parent.id,
                outputs={"id": point.email.to},
                uses=(parent.id,),
                shared=shared,
            )
            for point in found
            if point.email
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        address = resource.name.split("/", 1)[1]
        self.cloud.api(CockpitV1RegionalAPI).create_contact_point(
            project_id=self.cloud.project_id, email=ContactPointEmail(to=address)
        )
        return address

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(CockpitV1RegionalAPI).delete_contact_point(
            project_id=self.cloud.project_id, email=ContactPointEmail(to=item.id)
        )


def _data_sources(cloud: Cloud) -> builtins.list[DataSource]:
    fetch = cloud.api(CockpitV1RegionalAPI).list_data_sources
    return [*pages(fetch, "data_sources", project_id=cloud.project_id)]


def _are_shared(cloud: Cloud, sources: Iterable[DataSource]) -> bool:
    """Whether what the project has once serves somebody else too, who has a data source in it."""
    return any(source.origin != DataSourceOrigin.SCALEWAY and not _is_ours(cloud, source) for source in sources)


def _is_ours(cloud: Cloud, source: DataSource) -> bool:
    made_by_scaleway = source.origin == DataSourceOrigin.SCALEWAY
    return not made_by_scaleway and source.name.startswith(f"{cloud.names.stem}-")


LIFECYCLES = (DataSourceLifecycle, CockpitTokenLifecycle, AlertManagerLifecycle, ContactPointLifecycle)
