"""Copies that Scaleway makes of an instance, and an instance made from one: shut before anything else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import metadata

import requests
from scaleway.rdb.v1 import (
    ACLRuleRequest,
    DatabaseBackup,
    Endpoint,
    EndpointSpec,
    EndpointSpecPrivateNetwork,
    EndpointSpecPrivateNetworkIpamConfig,
    Instance,
    RdbV1API,
    Snapshot,
)
from scaleway.vpc.v2 import VpcV2API
from temporalio import activity

from activities.backup.on_node import instance_of
from activities.backup.store import BackupStore, entry_of
from activities.boundary import attempt_may_have_happened, carry
from activities.cloud import Cloud, pages
from activities.polling import poll
from activities.registry import Clouds
from activities.secret_store import mark_of, remember
from activities.transport import CONNECT_SECONDS, READ_SECONDS
from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, ManagedRestoreInput, ManagedRestoreOutput
from blueprint.backup.manifest import ManagedContents, Manifest
from blueprint.backup.site import Managed
from blueprint.errors import BackupFailed, FailedState, Gone, NotReady, RestoreRefused, Unavailable
from telemetry import calls

FAILED = ("error", "locked", "disk_full")
MAGIC = b"PGDMP"
"""What every archive of pg_dump begins with."""
NOBODY = "192.0.2.0/32"
"""Of the addresses that nobody has (RFC 5737): whether an empty list means nobody or everybody need not be known."""
ORIGIN = "restored-from"
"""Mark on the instance: the backup it was made from. The tags that the source had would make it ours to delete."""
KNOCK_SECONDS = 2.0
SKEW = 60.0
"""Seconds by which Scaleway's clock may be behind ours."""


class ManagedCopies:
    """The activities of Scaleway's own copies.

    Args:
        clouds: gives an environment's way to Scaleway.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.MANAGED.name, no_thread_cancel_exception=True)
    def managed(self, input: AssetInput) -> Entry:
        """Have Scaleway copy the instance and its databases, and see that the copies can be had.

        Raises:
            FailedState: a copy ended in error.
            BackupFailed: a copy is no archive, or not as large as it should be.
        """
        site, managed, store = input.site, input.site.managed, BackupStore(self._clouds, input.site)
        if managed is None or managed.asset != input.asset:
            raise BackupFailed("is not declared in the environment file", subject=input.asset)
        try:
            return entry_of(store.manifest(input.asset, input.id))
        except Gone:
            pass
        copies = _Copies(self._clouds.cloud(site.target), managed, input.id)
        names = [asset.name for asset in site.databases if asset.instance == managed.instance]
        snapshot, backups = poll(lambda: copies.made(names))
        for backup in backups:
            _require_archive(backup)
        began, now = activity.info().scheduled_time.timestamp(), time.time()
        each: list[Snapshot | DatabaseBackup] = [*([snapshot] if snapshot else []), *backups]
        created = [copy.created_at.timestamp() for copy in each if copy.created_at]
        expires = [copy.expires_at.timestamp() for copy in each if copy.expires_at]
        manifest = Manifest(
            id=input.id,
            asset=input.asset,
            environment=site.target.environment,
            point=min(created, default=began),
            started=began,
            ended=now,
            size=sum(copy.size or 0 for copy in each),
            commit=input.opened.commit,
            reason=input.reason,
            by=input.by,
            engine=metadata.version("scaleway-infra"),
            managed=ManagedContents(
                snapshot=snapshot.id if snapshot else "",
                backups={backup.database_name: backup.id for backup in backups},
                expires=min(expires, default=0.0),
            ),
        )
        return store.publish(manifest)

    @activity.defn(name=contract.RESTORE_MANAGED.name, no_thread_cancel_exception=True)
    def restore(self, input: ManagedRestoreInput) -> ManagedRestoreOutput:
        """Make an instance from a snapshot, which comes back public: shut it at once, then give it its private address.

        Raises:
            RestoreRefused: the backup has no snapshot, or the name is another instance's.
            FailedState: the instance ended in error, or its public address still answers.
        """
        site, cloud = input.site, self._clouds.cloud(input.site.target)
        managed = site.managed
        if managed is None:
            raise RestoreRefused("has no copies of Scaleway's", subject=site.target.environment)
        if input.name in (managed.instance, cloud.names.postgresql):
            raise RestoreRefused("is the live instance", subject=input.name, remedy="choose another name")
        contents = BackupStore(self._clouds, site).manifest(managed.asset, input.id).managed
        if contents is None or not contents.snapshot:
            raise RestoreRefused("has no snapshot", subject=f"{managed.asset} {input.id}")
        made = _Restored(cloud, input, contents.snapshot)
        return poll(made.step)


class _Copies:
    """What Scaleway makes for one backup run, told apart by its names."""

    def __init__(self, cloud: Cloud, managed: Managed, id: str) -> None:
        self._api = cloud.api(RdbV1API)
        self._managed = managed
        self._id = id
        self._instance_id: str = instance_of(cloud, managed.instance).id

    def made(self, databases: Sequence[str]) -> tuple[Snapshot | None, list[DatabaseBackup]]:
        """The copies, begun where they are not.

        Raises:
            NotReady: one is on its way.
            FailedState: one ended in error.
        """
        snapshot = self._snapshot() if self._managed.snapshot_days else None
        backups = [self._backup(database) for database in databases] if self._managed.backup_days else []
        each: list[Snapshot | DatabaseBackup] = [*([snapshot] if snapshot else []), *backups]
        for copy in each:
            if str(copy.status) in FAILED:
                raise FailedState(f"ended in {copy.status}", subject=copy.name, remedy="delete it, then back up again")
        if waiting := [copy.name for copy in each if str(copy.status) != "ready"]:
            raise NotReady(f"{', '.join(waiting)} on the way", subject=self._managed.instance)
        for backup in backups:
            if not backup.download_url:
                self._api.export_database_backup(database_backup_id=backup.id)
        if exporting := [backup.name for backup in backups if not backup.download_url]:
            raise NotReady(f"{', '.join(exporting)} not downloadable yet", subject=self._managed.instance)
        return snapshot, backups

    def _snapshot(self) -> Snapshot:
        name = f"{self._id}-{self._managed.instance}"
        found = pages(self._api.list_snapshots, "snapshots", instance_id=self._instance_id, name=name)
        there = next((snapshot for snapshot in found if snapshot.name == name), None)
        return there or self._api.create_snapshot(
            instance_id=self._instance_id, name=name, expires_at=_in(self._managed.snapshot_days)
        )

    def _backup(self, database: str) -> DatabaseBackup:
        name = f"{self._id}-{database}"
        found = pages(self._api.list_database_backups, "database_backups", instance_id=self._instance_id, name=name)
        there = next((backup for backup in found if backup.name == name), None)
        return there or self._api.create_database_backup(
            instance_id=self._instance_id,
            database_name=database,
            name=name,
            expires_at=_in(self._managed.backup_days),
        )


class _Restored:
    """The instance that is made from a snapshot."""

    def __init__(self, cloud: Cloud, input: ManagedRestoreInput, snapshot: str) -> None:
        self._cloud = cloud
        self._api = cloud.api(RdbV1API)
        self._input = input
        self._snapshot = snapshot
        details = activity.info().heartbeat_details
        self._told: dict[str, object] = dict(details[0]) if details and isinstance(details[0], dict) else {}

    def step(self) -> ManagedRestoreOutput:
        """Do what is due now.

        Raises:
            NotReady: the instance has to settle, or more is to be done.
            RestoreRefused: the name is another instance's.
            FailedState: it ended in error, or its public address still answers.
        """
        instance = self._instance()
        if str(instance.status) in FAILED:
            raise FailedState(f"ended in {instance.status}", subject=instance.name, remedy="delete it, then repeat")
        public = [endpoint for endpoint in instance.endpoints if not endpoint.private_network]
        private = next((endpoint for endpoint in instance.endpoints if endpoint.private_network), None)
        self._note(addresses=self._told.get("addresses") or [f"{each.ip}:{each.port}" for each in public if each.ip])
        if str(instance.status) != "ready":
            raise NotReady(f"is {instance.status}", subject=instance.name)
        for what in self._due(instance, public, private):
            raise NotReady(what, subject=instance.name)
        assert private is not None
        self._require_silence()
        return ManagedRestoreOutput(
            instance=instance.id,
            address=private.ip or "",
            port=private.port,
            closed_after=float(str(self._told.get("closed_after", 0.0))),
        )

    def _due(self, instance: Instance, public: Sequence[Endpoint], private: Endpoint | None) -> Iterator[str]:
        """Make one change that is still to be made, the shutting first, and say which."""
        api, rules = self._api, pages(self._api.list_instance_acl_rules, "rules", instance_id=instance.id)
        if public and [rule.ip for rule in rules] != [NOBODY]:
            rule = ACLRuleRequest(ip=NOBODY, description="nobody")
            api.set_instance_acl_rules(instance_id=instance.id, rules=[rule])
            yield "shut for everybody"
        if "closed_after" not in self._told and instance.created_at:
            self._note(closed_after=round(time.time() - instance.created_at.timestamp(), 3))
        if mark_of(instance.tags, ORIGIN) != self._input.id or len(instance.tags) > 1:
            api.update_instance(instance_id=instance.id, tags=[f"{ORIGIN}={self._input.id}"])
            yield "marked"
        if private is None:
            spec = EndpointSpecPrivateNetwork(
                private_network_id=self._network(), ipam_config=EndpointSpecPrivateNetworkIpamConfig()
            )
            api.create_endpoint(instance_id=instance.id, endpoint_spec=EndpointSpec(private_network=spec))
            yield "private endpoint made"
        for endpoint in public:
            api.delete_endpoint(endpoint_id=endpoint.id)
            yield "public endpoint deleted"

    def _instance(self) -> Instance:
        name, project = self._input.name, self._cloud.project_id
        found = pages(self._api.list_instances, "instances", project_id=project, name=name)
        there = next((instance for instance in found if instance.name == name), None)
        if there is None:
            there = self._api.create_instance_from_snapshot(snapshot_id=self._snapshot, instance_name=name)
            self._note(instance=there.id)
        # A call whose answer was lost may have made it; what is older than this run is somebody's.
        scheduled = activity.info().scheduled_time.timestamp()
        began = self._input.began or scheduled
        again = attempt_may_have_happened() or scheduled > began + SKEW
        ours = again and there.created_at is not None and there.created_at.timestamp() >= began - SKEW
        if not ours and self._told.get("instance") != there.id and mark_of(there.tags, ORIGIN) != self._input.id:
            raise RestoreRefused("there is an instance of that name", subject=name, remedy="choose another name")
        return there

    def _network(self) -> str:
        name, fetch = self._cloud.names.private_network, self._cloud.api(VpcV2API).list_private_networks
        for network in pages(fetch, "private_networks", project_id=self._cloud.project_id, name=name):
            if network.name == name:
                return str(network.id)
        raise Gone("there is no such private network", subject=name, remedy="apply the environment file")

    def _require_silence(self) -> None:
        addresses = self._told.get("addresses")
        for address in addresses if isinstance(addresses, list) else ():
            host, _, port = str(address).rpartition(":")
            try:
                socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
            except OSError:
                continue
            raise FailedState(
                f"can still be reached at {address}",
                subject=self._input.name,
                remedy="delete its public endpoint, or the instance, at once",
            )

    def _note(self, **told: object) -> None:
        """Hand on to the next attempt."""
        self._told |= told
        carry(self._told)


def _require_archive(backup: DatabaseBackup) -> None:
    """See that a backup can be downloaded, and is an archive of the size that was told. Its address is a secret."""
    url = remember(backup.download_url or "")
    try:
        with calls.http("", "GET", url, signed=True) as call:
            wanted = {"Range": f"bytes=0-{len(MAGIC) - 1}"}
            answer = requests.get(url, headers=wanted, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True)
            call.answered(answer.status_code)
        start = next(answer.iter_content(len(MAGIC)), b"") if answer.ok else b""
        length = answer.headers.get("Content-Range", "").rpartition("/")[2] or answer.headers.get("Content-Length", "")
        answer.close()
    except requests.RequestException as error:
        raise Unavailable(f"cannot be downloaded: {type(error).__name__}", subject=backup.name) from None
    if answer.status_code >= 500:
        raise Unavailable(f"cannot be downloaded: {answer.status_code}", subject=backup.name)
    if start != MAGIC:
        raise BackupFailed(f"is no archive of pg_dump ({answer.status_code})", subject=backup.name)
    if length != str(backup.size):
        raise BackupFailed(f"has {length} bytes, and should have {backup.size}", subject=backup.name)


def _in(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)
