"""The environment itself as a backup: what it takes, besides data, to build it elsewhere."""

from __future__ import annotations

import dataclasses
import time
from importlib import metadata
from typing import Any

from pydantic_core import to_jsonable_python
from scaleway.domain.v2beta1 import DomainV2Beta1API
from temporalio import activity

from activities.backup.store import BackupStore
from activities.cloud import Cloud, pages
from activities.lifecycle import NO_PARENT, Scope
from activities.planning import Planning
from activities.registry import Clouds
from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput
from blueprint.backup.manifest import EnvironmentContents, Manifest
from blueprint.contract import PlanInput
from blueprint.environment import parse
from blueprint.errors import Gone

_FLEETING = ("id", "updated_at")
"""Of a record: it gets others when it is made anew."""


class Describing:
    """Writes down what an environment is.

    Args:
        clouds: gives an environment's way to Scaleway.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._planning = Planning(clouds)

    @activity.defn(name=contract.DESCRIBE.name, no_thread_cancel_exception=True)
    def describe(self, input: AssetInput) -> Entry:
        """Keep the file, the plan's fingerprint, the release, DNS records, places of secrets, and schedules.

        Raises:
            EnvironmentFileError: the file does not make sense.
        """
        site, started = input.site, time.time()
        cloud, environment = self._clouds.cloud(site.target), parse(site.file)
        folder, schedules = environment.names.secret_path, self._clouds.lifecycles(site.target)["schedule"]
        plan = self._planning.plan(PlanInput(target=site.target, environment=site.file))
        described = EnvironmentContents(
            file=site.file,
            fingerprint=plan.fingerprint(),
            commit=input.opened.commit,
            records={zone: _records(cloud, zone) for zone in sorted(environment.dns)},
            secrets=tuple(sorted(f"{secret.path.rstrip('/')}/{secret.name}" for secret in cloud.secrets.all(folder))),
            schedules=tuple(item.id for item in schedules.list(NO_PARENT, Scope())),
        )
        locked = time.time() + input.opened.locked_for if input.opened.locked_for else 0.0
        manifest = Manifest(
            id=input.id,
            asset=input.asset,
            environment=site.target.environment,
            point=started,
            started=started,
            ended=time.time(),
            size=len(described.model_dump_json()),
            commit=input.opened.commit,
            reason=input.reason,
            by=input.by,
            engine=metadata.version("scaleway-infra"),
            locked_until=locked,
            described=described,
        )
        return BackupStore(self._clouds, site).publish(manifest)


def _records(cloud: Cloud, zone: str) -> tuple[dict[str, Any], ...]:
    """Every record of a zone, ours or not; none if the zone does not exist."""
    fetch = cloud.api(DomainV2Beta1API).list_dns_zone_records
    try:
        found = list(pages(fetch, "records", dns_zone=zone, project_id=cloud.project_id, name=""))
    except Gone:
        return ()
    return tuple(_shown(record) for record in found)


def _shown(record: Any) -> dict[str, Any]:
    fields = to_jsonable_python(dataclasses.asdict(record))
    told = {name.rstrip("_"): value for name, value in fields.items() if name not in _FLEETING}
    return {name: value for name, value in told.items() if value not in (None, "")}
