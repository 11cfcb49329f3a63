"""The activities that read and write the catalogue: see `blueprint.backup.contract`."""

from __future__ import annotations

from temporalio import activity

from activities.backup.opening import opened
from activities.backup.reading import Reader
from activities.backup.removal import delete, sweep
from activities.backup.store import BackupStore
from activities.registry import Clouds
from blueprint.backup import contract, layout
from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import (
    BackupRef,
    CatalogueInput,
    DeleteOutput,
    DrillInput,
    NoteInput,
    OpenOutput,
    PinInput,
    SiteInput,
    SweepOutput,
)
from blueprint.backup.manifest import Failure
from blueprint.backup.site import BackupSite
from blueprint.errors import Gone


class Catalogues:
    """What workflows ask of the backup bucket besides data.

    Args:
        clouds: gives an environment's way to Scaleway.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._reader = Reader()

    @activity.defn(name=contract.OPEN.name, no_thread_cancel_exception=True)
    def open(self, input: SiteInput) -> OpenOutput:
        """See that a backup can begin: see `activities.backup.opening.opened`."""
        return opened(self._clouds, input.site)

    @activity.defn(name=contract.CATALOGUE.name, no_thread_cancel_exception=True)
    def catalogue(self, input: CatalogueInput) -> Catalogue:
        """Read the catalogue, or some assets of it."""
        return self._reader.read(self._store(input.site), input.assets)

    @activity.defn(name=contract.NOTE_FAILURE.name, no_thread_cancel_exception=True)
    def note_failure(self, input: NoteInput) -> Failure:
        """Note why a run made no backup of an asset."""
        store, failure = self._store(input.site), input.failure
        key = layout.entry(store.store, failure.asset, failure.id) + layout.FAILURE
        store.put(key, failure.model_dump_json().encode())
        return failure

    @activity.defn(name=contract.PIN.name, no_thread_cancel_exception=True)
    def pin(self, input: PinInput) -> Entry:
        """Set or remove a pin.

        Raises:
            Gone: there is no such backup.
        """
        store = self._store(input.site)
        key = layout.pin(store.store, input.asset, input.id, input.pin.name)
        if input.remove:
            store.delete([key])
        else:
            store.put(key, input.pin.model_dump_json().encode())
        try:
            # After the pin was written: see `activities.backup.removal`.
            return self._reader.one(store, input.asset, input.id)
        except Gone:
            store.delete([key])
            raise

    @activity.defn(name=contract.RECORD_DRILL.name, no_thread_cancel_exception=True)
    def record_drill(self, input: DrillInput) -> Entry:
        """Keep what a drill found beside the backup.

        Raises:
            Gone: there is no such backup.
        """
        store, record = self._store(input.site), input.record
        self._reader.one(store, record.asset, record.id)
        store.put(layout.drill(store.store, record.asset, record.id, record.at), record.model_dump_json().encode())
        return self._reader.one(store, record.asset, record.id)

    @activity.defn(name=contract.DELETE.name, no_thread_cancel_exception=True)
    def delete(self, input: BackupRef) -> DeleteOutput:
        """Remove one backup.

        Raises:
            Protected: retention would keep it, by the catalogue as it is now.
        """
        store = self._store(input.site)
        return delete(store, self._reader, input.asset, input.id, input.site.retention, store.clocks()[0])

    @activity.defn(name=contract.SWEEP.name, no_thread_cancel_exception=True)
    def sweep(self, input: SiteInput) -> SweepOutput:
        """Remove what no manifest knows."""
        store = self._store(input.site)
        return sweep(store, self._reader, store.clocks()[0])

    def _store(self, site: BackupSite) -> BackupStore:
        return BackupStore(self._clouds, site)
