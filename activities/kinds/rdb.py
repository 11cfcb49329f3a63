"""Instances of Managed PostgreSQL and their settings, through Scaleway's Database API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from scaleway.rdb.v1 import (
    BackupSchedule,
    Endpoint,
    EndpointSpec,
    EndpointSpecPrivateNetwork,
    EndpointSpecPrivateNetworkIpamConfig,
    HighAvailabilityMode,
    Instance,
    InstanceSetting,
    RdbV1API,
    VolumeType,
)

from activities.cloud import pages
from activities.kinds.one_write import Write, write_next
from activities.kinds.rdb_contents import DatabaseLifecycle, PrivilegeLifecycle, UserLifecycle
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected, require_usable
from activities.secret_store import mark_of, with_mark
from blueprint.errors import Gone
from blueprint.kinds.rdb import IN_SECRET_MANAGER
from blueprint.plan import Difference
from blueprint.resource import Health, Observed, Resource

FAILED = ("error", "locked", "disk_full")
START_HOUR = "backup-start-hour"
"""Mark on the instance: the hour that was asked for, which the API takes but does not tell."""


class InstanceLifecycle(Lifecycle):
    """Database instances, told apart by name and tags. They are reached through the private network only."""

    kind = "rdb_instance"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """Those that are being deleted are left out: a new one can be made meanwhile."""
        found = list(pages(self.cloud.api(RdbV1API).list_instances, "instances", project_id=self.cloud.project_id))
        return [self._observed(instance) for instance in found if str(instance.status) != "deleting"]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(RdbV1API).get_instance(instance_id=item.id), password=False)

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`. The endpoint is named, because an instance without one is public (Scaleway, RDB)."""
        fields, inputs = resource.fields, resource.inputs
        password = self.cloud.secrets.hand_over(inputs["password"])
        mode = inputs["high_availability_mode"]
        instance = self.cloud.api(RdbV1API).create_instance(
            name=resource.name,
            project_id=self.cloud.project_id,
            tags=self.tags(resource),
            engine=fields["engine"],
            user_name=self.cloud.names.postgresql_admin,
            password=password,
            node_type=fields["node_type"],
            volume_type=VolumeType(fields["volume_type"]),
            volume_size=fields["volume_size"],
            is_ha_cluster=mode != "disabled",
            high_availability_mode=None if mode == "disabled" else HighAvailabilityMode(mode),
            disable_backup=inputs["backup"]["disabled"],
            backup_same_region=inputs["backup"].get("same_region", False),
            init_endpoints=[_private(fields["endpoint"]["private_network_id"])],
        )
        return instance.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`: one write an attempt, whatever the plan saw, until nothing is left to change."""
        instance = self.cloud.api(RdbV1API).get_instance(instance_id=item.id)
        require_usable(resource.key, _health(str(instance.status)), str(instance.status))
        writes = list(self._writes(resource, instance))
        if writes:
            write_next(writes)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`. Backups stay."""
        self.cloud.api(RdbV1API).delete_instance(instance_id=item.id)

    def _writes(self, resource: Resource, instance: Instance) -> Iterator[Write]:
        """What the instance still needs, the closing of a public way in first."""
        api, fields = self.cloud.api(RdbV1API), resource.fields
        now = self._observed(instance)
        private = fields["endpoint"]["private_network_id"]
        for endpoint in instance.endpoints:
            if not endpoint.private_network:
                yield "public endpoint", partial(api.delete_endpoint, endpoint_id=endpoint.id)
        if now.fields["endpoint"] is None:
            yield "endpoint", lambda: api.create_endpoint(instance_id=instance.id, endpoint_spec=_private(private))
        if instance.name != resource.name or not set(self.tags(resource)) <= set(instance.tags):
            yield (
                "tags",
                lambda: api.update_instance(
                    instance_id=instance.id, name=resource.name, tags=_tags(self.tags(resource), instance)
                ),
            )
        if now.fields["password"] != fields["password"]:
            yield "password", lambda: self._change_password(resource, instance)
        if now.fields["node_type"] != fields["node_type"]:
            yield "node_type", lambda: api.upgrade_instance(instance_id=instance.id, node_type=fields["node_type"])
        if now.fields["volume_type"] != fields["volume_type"]:
            kind = VolumeType(fields["volume_type"])
            yield "volume_type", lambda: api.upgrade_instance(instance_id=instance.id, volume_type=kind)
        if now.fields["volume_size"] != fields["volume_size"]:
            size = fields["volume_size"]
            yield "volume_size", lambda: api.upgrade_instance(instance_id=instance.id, volume_size=size)
        if fields.get("high_availability") and not instance.is_ha_cluster:
            mode = HighAvailabilityMode(resource.inputs["high_availability_mode"])
            yield (
                "high_availability",
                lambda: api.upgrade_instance(instance_id=instance.id, high_availability_mode=mode),
            )

    def _change_password(self, resource: Resource, instance: Instance) -> None:
        """Of the administrator, whom an instance that was made by hand may not have."""
        api, reference, name = self.cloud.api(RdbV1API), resource.inputs["password"], self.cloud.names.postgresql_admin
        password = self.cloud.secrets.reveal(reference)
        try:
            api.update_user(instance_id=instance.id, name=name, password=password)
        except Gone:
            api.create_user(instance_id=instance.id, name=name, password=password, is_admin=True)
        self.cloud.secrets.note_delivery(reference["$secret"], reference["name"])

    def _observed(self, instance: Instance, *, password: bool = True) -> Observed:
        private = next((e for e in instance.endpoints if e.private_network), None)
        status = str(instance.status)
        return Observed(
            kind=self.kind,
            name=instance.name,
            id=instance.id,
            fields={
                "engine": instance.engine,
                "node_type": instance.node_type.lower(),
                "volume_type": str(instance.volume.type_) if instance.volume else None,
                "volume_size": instance.volume.size if instance.volume else None,
                "high_availability": instance.is_ha_cluster,
                "standalone": not instance.is_ha_cluster,
                "endpoint": {"private_network_id": _network(private)} if private else None,
                "public": any(not endpoint.private_network for endpoint in instance.endpoints),
            }
            | ({"password": self._password(instance)} if password else {}),
            outputs={"id": instance.id} | ({"address": private.ip, "port": private.port} if private else {}),
            status=status,
            health=_health(status),
            ownership="ours" if self.is_ours(instance.tags) else "foreign",
            protected=is_protected(instance.tags),
            uses=(_network(private),) if private else (),
        )

    def _password(self, instance: Instance) -> str:
        names = self.cloud.names
        if instance.name != names.postgresql:
            return ""
        delivered = self.cloud.secrets.delivered(names.secret_path)
        return IN_SECRET_MANAGER if names.postgresql_secret(names.postgresql_admin) in delivered else "another"


class SettingsLifecycle(Lifecycle):
    """Engine settings and scheduled backups of an instance. Every instance has them, so creating is setting."""

    kind = "rdb_settings"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        instance = self.cloud.api(RdbV1API).get_instance(instance_id=parent.id)
        return [self._observed(instance)]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(self.cloud.api(RdbV1API).get_instance(instance_id=item.parent_id or item.id))

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        api = self.cloud.api(RdbV1API)
        instance = api.get_instance(instance_id=resource.inputs["parent_id"])
        now = self._observed(instance)
        backup: dict[str, Any] = resource.fields["backup"]
        if any(now.fields["backup"].get(name) != value for name, value in backup.items()):
            hour = backup.get("start_hour")
            api.update_instance(
                instance_id=instance.id,
                is_backup_schedule_disabled=backup["disabled"],
                backup_schedule_frequency=backup.get("frequency_hours"),
                backup_schedule_retention=backup.get("retention_days"),
                backup_same_region=backup.get("same_region"),
                backup_schedule_start_hour=hour,
                tags=None if hour is None else with_mark(instance.tags, START_HOUR, str(hour)),
            )
        engine: dict[str, str] = resource.fields["engine"]
        changed = {name: value for name, value in engine.items() if now.fields["engine"].get(name) != value}
        if changed:
            settings = [InstanceSetting(name=name, value=value) for name, value in changed.items()]
            api.add_instance_settings(instance_id=instance.id, settings=settings)
        return instance.id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self.create(resource)

    def delete(self, item: Observed) -> None:
        """Settings stay as they are: there is no neutral value to go back to."""

    def _observed(self, instance: Instance) -> Observed:
        status = str(instance.status)
        hour = mark_of(instance.tags, START_HOUR)
        schedule = instance.backup_schedule or BackupSchedule(frequency=0, retention=0, disabled=True)
        return Observed(
            kind=self.kind,
            name=f"{instance.name}/settings",
            id=instance.id,
            parent_id=instance.id,
            fields={
                "engine": {setting.name: setting.value for setting in instance.settings},
                "backup": {
                    "disabled": schedule.disabled,
                    "frequency_hours": schedule.frequency,
                    "retention_days": schedule.retention,
                    "same_region": instance.backup_same_region,
                    "start_hour": int(hour) if hour else None,
                },
            },
            outputs={"id": instance.id},
            status=status,
            health=_health(status),
        )


def _private(private_network_id: str) -> EndpointSpec:
    """With an address from IPAM: a static one would appear neither there nor in the network's DNS (Scaleway, RDB)."""
    spec = EndpointSpecPrivateNetwork(
        private_network_id=private_network_id, ipam_config=EndpointSpecPrivateNetworkIpamConfig()
    )
    return EndpointSpec(private_network=spec)


def _network(endpoint: Endpoint) -> str:
    return endpoint.private_network.private_network_id if endpoint.private_network else ""


def _tags(wanted: list[str], instance: Instance) -> list[str]:
    hour = mark_of(instance.tags, START_HOUR)
    return with_mark(wanted, START_HOUR, hour) if hour else wanted


def _health(status: str) -> Health:
    return "ok" if status == "ready" else "failed" if status in FAILED else "pending"


LIFECYCLES = (InstanceLifecycle, SettingsLifecycle, DatabaseLifecycle, UserLifecycle, PrivilegeLifecycle)
