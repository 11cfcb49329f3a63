"""The activities of buckets' backups: see `blueprint.backup.contract`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity

from activities.backup.objects.backing_up import BucketBackup
from activities.backup.objects.drilling import remove_objects, verify_objects
from activities.backup.objects.restoring import BucketRestore
from activities.backup.objects.wire import Wire
from activities.backup.store import BackupStore, entry_of
from activities.boto_errors import boto_errors
from activities.registry import Clouds
from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import (
    AssetInput,
    BucketRestoreInput,
    BucketRestoreOutput,
    DeleteOutput,
    ScratchObjectsInput,
    VerifyOutput,
)
from blueprint.errors import Gone


class Objects:
    """What backups do with buckets.

    Args:
        clouds: gives an environment's way to Scaleway.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.BUCKET.name, no_thread_cancel_exception=True)
    def back_up(self, input: AssetInput) -> Entry:
        """Copy what the store does not have yet; the manifest comes last.

        Raises:
            Busy: an object changes faster than it can be copied.
            Refused: an object cannot be read as it is.
        """
        store = BackupStore(self._clouds, input.site)
        try:
            # An earlier attempt may have ended, and only its answer be lost.
            return entry_of(store.manifest(input.asset, input.id))
        except Gone:
            pass
        with self._wires(store, f"back up {input.asset}") as (own, its):
            manifest = BucketBackup(store, own, its, input, activity.info().attempt).run()
        return store.publish(manifest)

    @activity.defn(name=contract.RESTORE_BUCKET.name, no_thread_cancel_exception=True)
    def restore(self, input: BucketRestoreInput) -> BucketRestoreOutput:
        """Write what differs from a backup.

        Raises:
            Damaged: something of the backup is missing or not what was written.
            RestoreRefused: the backup does not know that moment.
        """
        store = BackupStore(self._clouds, input.site)
        since = activity.info().scheduled_time.timestamp()
        with self._wires(store, f"restore bucket {input.bucket}") as (own, its):
            target = its if input.into == store.store.bucket else own
            return BucketRestore(store, its, target, input, since).run()

    @activity.defn(name=contract.VERIFY_OBJECTS.name, no_thread_cancel_exception=True)
    def verify(self, input: ScratchObjectsInput) -> VerifyOutput:
        """Hold a drill's objects against the backup.

        Raises:
            RestoreRefused: the prefix is not a drill's.
        """
        store = BackupStore(self._clouds, input.site)
        with self._wires(store, f"verify {input.into_prefix}") as (_, its):
            return verify_objects(store, its, input)

    @activity.defn(name=contract.REMOVE_OBJECTS.name, no_thread_cancel_exception=True)
    def remove(self, input: ScratchObjectsInput) -> DeleteOutput:
        """Remove a drill's objects, in all their versions.

        Raises:
            RestoreRefused: the prefix is not a drill's.
        """
        store = BackupStore(self._clouds, input.site)
        with self._wires(store, f"remove {input.into_prefix}") as (_, its):
            return remove_objects(store, its, input)

    @contextmanager
    def _wires(self, store: BackupStore, call: str) -> Iterator[tuple[Wire, Wire]]:
        """The ways to the environment's buckets and to the store."""
        its, own = (Wire(cloud) for cloud in store.clouds)
        try:
            with boto_errors(call):
                yield own, its
        finally:
            own.close()
            its.close()
