"""Alert rules in the rulers of Cockpit's data sources, through Mimir's HTTP API.

The API is the data source's own: its address is told by Cockpit's, and a Cockpit token opens it instead of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import yaml
from scaleway.cockpit.v1 import CockpitV1RegionalAPI, DataSource
from scaleway.cockpit.v1.types import DataSourceOrigin, DataSourceType, Token, TokenScope
from scaleway_core.api import API
from scaleway_core.client import Client

from activities.cloud import pages
from activities.lifecycle import Lifecycle, Parent, Scope
from activities.transport import SturdyTransport
from blueprint.alerts import rules_of
from blueprint.errors import Busy, Gone, PermissionDenied, SecretMissing
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

RULES = "/prometheus/config/v1/rules"


class Ruler(SturdyTransport, API):
    """The ruler of one data source.

    Args:
        source: the data source.
        token: a Cockpit token that may read and write rules of metrics.
        stand_in: the address of what stands in for every data source; None if nothing does.
    """

    def __init__(self, source: DataSource, token: str, stand_in: str | None) -> None:
        # No key: Scaleway's opens nothing here, and is nobody's business.
        told = urlsplit(source.url)
        super().__init__(Client(api_url=f"{stand_in}{told.path}" if stand_in else source.url), bypass_validation=True)
        self._headers = {
            "X-Token": token,
            "Accept": "application/yaml",
            "Content-Type": "application/yaml",
            "Host": told.netloc,
        }

    def groups(self, namespace: str) -> list[Mapping[str, Any]]:
        """The groups of a namespace."""
        try:
            answer = self._request("GET", f"{RULES}/{quote(namespace)}", headers=self._headers)
        except Gone:
            return []
        told: Mapping[str, list[Mapping[str, Any]]] = yaml.safe_load(answer.content) or {}
        return told.get(namespace, [])

    def set(self, namespace: str, group: Mapping[str, Any]) -> None:
        """Make or replace a group."""
        body = yaml.safe_dump(group, sort_keys=False, width=10_000).encode()
        self._request("POST", f"{RULES}/{quote(namespace)}", headers=self._headers, body=body)

    def delete(self, namespace: str, group: str) -> None:
        """Remove a group.

        Raises:
            Gone: it is not there.
        """
        self._request("DELETE", f"{RULES}/{quote(namespace)}/{quote(group)}", headers=self._headers)


class AlertRulesLifecycle(Lifecycle):
    """Groups of rules. Ours by their namespace, which is the environment's name.

    Reading them takes a token of the environment's. Where it has none yet, it cannot have made rules either.
    """

    kind = "alert_rules"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        if not (token := self._token()):
            return []
        try:
            secret_key = self._secret_key(token)
        except SecretMissing:
            return []
        return [
            Observed(
                kind=self.kind,
                name=f"{source.name}/{group['name']}",
                id=f"{source.id}/{group['name']}",
                fields={"rules": rules_of(group)},
                outputs={"id": f"{source.id}/{group['name']}"},
            )
            for source in self._sources()
            for group in Ruler(source, secret_key, self.cloud.settings.cockpit_url).groups(self.cloud.names.stem)
        ]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        source_name, group = resource.name.split("/", 1)
        try:
            source = self._source(lambda source: source.name == source_name, source_name)
        except Gone:
            raise Busy("comes into being with the first metrics of a product", subject=source_name) from None
        rules = [{"alert": name, **rule} for name, rule in resource.fields["rules"].items()]
        self._ruler(source).set(self.cloud.names.stem, {"name": group, "rules": rules})
        return f"{source.id}/{group}"

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`. A group is replaced as a whole."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        source_id, group = item.id.split("/", 1)
        source = self._source(lambda source: source.id == source_id, source_id)
        self._ruler(source).delete(self.cloud.names.stem, group)

    def _ruler(self, source: DataSource) -> Ruler:
        token = self._token()
        if not token:
            raise PermissionDenied(
                "no Cockpit token of the environment may write rules",
                subject=source.name,
                remedy="give one of monitoring.tokens the scope full_access_metrics_rules",
            )
        return Ruler(source, self._secret_key(token), self.cloud.settings.cockpit_url)

    def _source(self, is_meant: Callable[[DataSource], bool], subject: str) -> DataSource:
        """The data source that is meant.

        Raises:
            Gone: there is none.
        """
        for source in self._sources():
            if is_meant(source):
                return source
        raise Gone("is not among the data sources for metrics", subject=subject)

    def _sources(self) -> Iterable[DataSource]:
        """Those in which we may have rules: ours, and Scaleway's."""
        fetch = self.cloud.api(CockpitV1RegionalAPI).list_data_sources
        for source in pages(fetch, "data_sources", project_id=self.cloud.project_id, types=[DataSourceType.METRICS]):
            if source.origin == DataSourceOrigin.SCALEWAY or source.name.startswith(f"{self.cloud.names.stem}-"):
                yield source

    def _token(self) -> Token | None:
        """A token of ours that opens rulers."""
        fetch = self.cloud.api(CockpitV1RegionalAPI).list_tokens
        scopes = [TokenScope.FULL_ACCESS_METRICS_RULES]
        found = pages(fetch, "tokens", project_id=self.cloud.project_id, token_scopes=scopes)
        return next((token for token in found if token.name.startswith(f"{self.cloud.names.stem}-")), None)

    def _secret_key(self, token: Token) -> str:
        """The token's secret half.

        Raises:
            SecretMissing: it was never kept, or has gone since.
        """
        names = self.cloud.names
        secret = names.cockpit_secret(token.name.removeprefix(f"{names.stem}-"))
        return self.cloud.secrets.reveal({"$secret": names.secret_path, "name": secret, "field": "secret_key"})


LIFECYCLES = (AlertRulesLifecycle,)
