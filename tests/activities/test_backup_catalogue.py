"""The catalogue of backups against the local Scaleway."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from activities.backup.reading import FAILURES_TOLD
from activities.backup.store import BackupStore, manifest_key
from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import BackupRef, DrillInput, NoteInput, PinInput
from blueprint.backup.manifest import DrillRecord, Failure, Pin
from blueprint.errors import Damaged, Gone, PermissionDenied, Protected, Unavailable
from tests.activities.backup_site import BUCKET, DATABASE, DAY, HOUR, BackupHouse
from tests.activities.conftest import Control


@pytest.fixture
def house(emulator: Control) -> BackupHouse:
    """An empty store."""
    return BackupHouse(emulator)


def failure(id: str, asset: str = DATABASE) -> Failure:
    """A run that made no backup."""
    return Failure(id=id, asset=asset, at=time.time(), code="ssh_unreachable", message="no way to core-01")


def pin(name: str = "operator", until: float | None = None) -> Pin:
    """Somebody's pin."""
    return Pin(name=name, reason="audit", by="ada", at=time.time(), until=until)


def test_what_the_catalogue_tells(house: BackupHouse) -> None:
    """By asset, the newest first, each with its drills and pins; a run without a manifest is no backup."""
    old, new = house.backup(2, passed=True), house.backup(1)
    other = house.backup(1, BUCKET, content=b"aa11 bb22")
    half = house.begin(0.5)
    house.catalogues.pin(PinInput(site=house.site, asset=DATABASE, id=new.id, pin=pin("drill/lssm-prod")))

    catalogue = house.catalogue()

    assert [(entry.asset, entry.id) for entry in catalogue.entries] == [
        (BUCKET, other.id),
        (DATABASE, new.id),
        (DATABASE, old.id),
    ]
    assert catalogue.find(DATABASE, half.id) is None
    found = catalogue.of(DATABASE)
    assert [entry.state for entry in found] == ["unproven", "good"]
    assert [[item.name for item in entry.pins] for entry in found] == [["drill/lssm-prod"], []]
    assert house.catalogue(DATABASE).entries == found
    assert house.catalogue("db/nothing").entries == ()


def test_a_manifest_is_written_once(house: BackupHouse) -> None:
    """An attempt that was taken for dead does not change what its successor has published."""
    manifest = house.begin(1)
    house.store.publish(manifest)

    late = house.store.publish(manifest.model_copy(update={"size": 99}))

    assert late.size == manifest.size
    assert house.store.manifest(DATABASE, manifest.id) == manifest


def test_what_has_not_changed_is_not_read_again(house: BackupHouse, emulator: Control) -> None:
    """A second look costs a listing and what is new."""
    first, _ = house.backup(3, passed=True), house.backup(2)

    def asked() -> int:
        emulator.call("DELETE", "/_emulator/requests")
        house.catalogue()
        return len(emulator.requests()["requests"])

    assert asked() == 4
    assert asked() == 1
    house.drill(first, False)
    third = house.backup(1)
    house.store.delete([manifest_key(house.store, DATABASE, first.id)])
    assert asked() == 3
    assert house.catalogue().entries[0].id == third.id
    assert house.catalogue().find(DATABASE, first.id) is None


def test_a_damaged_manifest_is_listed_as_such(house: BackupHouse) -> None:
    """Also if it was read when it was whole, and it is whole again once it was mended."""
    entry, other = house.backup(2, passed=True), house.backup(1)
    assert not house.catalogue().entries[1].damaged
    key = manifest_key(house.store, DATABASE, entry.id)
    whole = house.store.get(key)
    house.damage(entry)

    damaged = house.catalogue().entries[1]
    assert (damaged.id, damaged.state) == (entry.id, "bad")
    assert damaged.damaged == "the manifest cannot be read"
    assert abs(damaged.point - entry.point) <= 1
    with pytest.raises(Damaged):
        house.store.manifest(DATABASE, entry.id)

    house.store.put(key, whole)
    assert house.catalogue().entries[1].state == "good"
    house.store.put(manifest_key(house.store, DATABASE, other.id), whole)
    assert "the manifest is that of" in house.catalogue().entries[0].damaged


def test_what_stands_beside_and_cannot_be_read_is_taken_for_the_worse(house: BackupHouse) -> None:
    """A drill as not passed, a pin as one that holds, the note of a failure as a failure."""
    entry = house.backup(2, passed=True)
    beside = layout.entry(house.store.store, DATABASE, entry.id)
    house.store.put(f"{beside}drill-20990101T000000Z.json", b"{")
    house.store.put(f"{beside}pin-operator.json", b"{}")
    house.store.put(layout.entry(house.store.store, DATABASE, "20261126T143005Z-3f2a") + layout.FAILURE, b"")

    catalogue = house.catalogue()

    assert catalogue.entries[0].state == "bad"
    assert catalogue.entries[0].pinned(time.time() + 1000 * DAY)
    assert [note.code for note in catalogue.failures] == ["unreadable"]


def test_failures_are_noted(house: BackupHouse) -> None:
    """The newest first; one whose run has made the backup after all is none."""
    entry = house.backup(1)
    for note in (failure("20261126T143005Z-3f2a"), failure("20261127T143005Z-3f2a", BUCKET), failure(entry.id)):
        assert house.catalogues.note_failure(NoteInput(site=house.site, failure=note)) == note

    assert [note.id for note in house.catalogue().failures] == ["20261127T143005Z-3f2a", "20261126T143005Z-3f2a"]


def test_of_many_failures_the_newest_are_told(house: BackupHouse) -> None:
    """Of each asset: a result of Temporal's has an end."""
    for number in range(FAILURES_TOLD + 5):
        note = Failure(id=f"{number:04}", asset=DATABASE, at=float(number), code="unavailable", message="no answer")
        house.catalogues.note_failure(NoteInput(site=house.site, failure=note))
    other = Failure(id="0000", asset=BUCKET, at=0.0, code="unavailable", message="no answer")
    house.catalogues.note_failure(NoteInput(site=house.site, failure=other))

    failures = house.catalogue().failures

    assert [failure.at for failure in failures if failure.asset == DATABASE] == [float(n) for n in range(24, 4, -1)]
    assert failures[-1] == other


def test_pins(house: BackupHouse) -> None:
    """Set and removed, each twice; of what is not there, nothing stays."""
    entry = house.backup(1)
    request = PinInput(site=house.site, asset=DATABASE, id=entry.id, pin=pin())
    for remove, names in ((False, ["operator"]), (False, ["operator"]), (True, []), (True, [])):
        found = house.catalogues.pin(request.model_copy(update={"remove": remove}))
        assert [item.name for item in found.pins] == names
    before = house.stored()

    with pytest.raises(Gone, match="no such backup"):
        house.catalogues.pin(request.model_copy(update={"id": "20261126T143005Z-3f2a"}))
    assert house.stored() == before


def test_drills_are_recorded(house: BackupHouse) -> None:
    """Beside the backup; recorded twice it is one. What a backup is worth follows from the last one."""
    entry = house.backup(1)
    states = []
    for at, passed in ((1.0, True), (1.0, True), (2.0, False), (3.0, True)):
        record = DrillRecord(id=entry.id, asset=DATABASE, at=entry.ended + at, seconds=1, passed=passed)
        found = house.catalogues.record_drill(DrillInput(site=house.site, record=record))
        states.append((found.state, len(found.drills)))

    assert states == [("good", 1), ("good", 1), ("bad", 2), ("good", 3)]
    record = DrillRecord(id="20261126T143005Z-3f2a", asset=DATABASE, at=1.0, seconds=1, passed=True)
    with pytest.raises(Gone):
        house.catalogues.record_drill(DrillInput(site=house.site, record=record))


def test_delete(house: BackupHouse) -> None:
    """All of one backup goes, and nothing of its neighbours; a second time there is nothing to do."""
    old, good = house.backup(3), house.backup(2, passed=True)
    newest = house.backup(1)
    reference = BackupRef(site=house.site, asset=DATABASE, id=old.id)

    freed = house.catalogues.delete(reference)

    assert (freed.objects, freed.locked) == (2, 0)
    assert freed.bytes > len(b"part")
    assert not [key for key in house.stored() if old.id in key]
    assert [entry.id for entry in house.catalogue().entries] == [newest.id, good.id]
    assert house.catalogues.delete(reference).objects == 0


def test_delete_looks_again(house: BackupHouse) -> None:
    """What became the newest good one since the plan, was pinned since, or is held since, stays."""
    old, good = house.backup(3), house.backup(2, passed=True)
    house.backup(1)
    before = house.stored()

    def refusal(id: str, pinned: bool = False) -> str:
        request = PinInput(site=house.site, asset=DATABASE, id=id, pin=pin(until=time.time() + HOUR))
        if pinned:
            house.catalogues.pin(request)
        with pytest.raises(Protected) as refused:
            house.catalogues.delete(BackupRef(site=house.site, asset=DATABASE, id=id))
        if pinned:
            house.catalogues.pin(request.model_copy(update={"remove": True}))
        assert house.stored() == before
        return str(refused.value)

    assert "newest good" in refusal(good.id)
    assert "pin operator: audit" in refusal(old.id, pinned=True)
    house.damage(good)
    assert "has passed a drill" in refusal(old.id)


def test_a_backup_that_is_pinned_and_deleted_at_once(house: BackupHouse) -> None:
    """Whoever could pin it has it; the deletion sees the pin, or the pin sees the deletion."""
    house.backup(0.5, passed=True)
    old = [house.backup(1 + number) for number in range(25)]

    def pinned(entry: Entry) -> bool:
        try:
            house.catalogues.pin(PinInput(site=house.site, asset=DATABASE, id=entry.id, pin=pin("run")))
        except Gone:
            return False
        return True

    def deleted(entry: Entry) -> bool:
        try:
            house.catalogues.delete(BackupRef(site=house.site, asset=DATABASE, id=entry.id))
        except Protected:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        outcomes = [(entry, pool.submit(pinned, entry), pool.submit(deleted, entry)) for entry in old]
    left = {entry.id for entry in house.catalogue().entries}
    parts = {key.split("/")[3] for key in house.stored("data/")}
    for entry, pins, deletes in outcomes:
        assert not (pins.result() and deletes.result())
        assert (entry.id in left) is (entry.id in parts) is not deletes.result()


def test_delete_under_a_lock(emulator: Control) -> None:
    """The backup is no longer listed, its objects are counted and stay, and no marker's end brings it back."""
    house = BackupHouse(emulator, locked=True)
    old, good = house.backup(3), house.backup(2, passed=True)
    reference = BackupRef(site=house.site, asset=DATABASE, id=old.id)

    for _ in range(2):
        freed = house.catalogues.delete(reference)
        assert (freed.objects, freed.bytes, freed.locked) == (0, 0, 2)
        assert [entry.id for entry in house.catalogue().entries] == [good.id]
    assert house.store.lock == DAY


def test_what_the_store_refuses(house: BackupHouse, emulator: Control) -> None:
    """S3's refusals are errors of ours: what a retry can cure, and what it cannot."""
    entry = house.backup(1)
    emulator.faults(
        {"operation": "S3 GetObject", "kind": "unavailable"}, {"operation": "S3 DeleteObjects", "kind": "denied"}
    )
    with pytest.raises(Unavailable):
        house.store.manifest(DATABASE, entry.id)
    with pytest.raises(PermissionDenied):
        house.store.delete(["x"])
    other = house.site.model_copy(update={"store": house.site.store.model_copy(update={"bucket": "lssm-none"})})
    with pytest.raises(Gone):
        BackupStore(house.clouds, other).get("x")
