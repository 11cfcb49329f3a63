"""What a sweep removes of a backup store, and what it never does."""

from __future__ import annotations

import time

import pytest
from temporalio.testing import ActivityEnvironment

from activities.backup.removal import REMEMBERED, sweep
from blueprint.backup import layout
from blueprint.backup.contract import NoteInput, SiteInput, SweepOutput
from blueprint.backup.manifest import Failure
from blueprint.errors import Unavailable
from tests.activities.backup_site import BUCKET, DATABASE, DAY, STORE, BackupHouse
from tests.activities.conftest import Control

LATER = 2 * DAY
"""Seconds from now at which everything that a test has written is old."""


@pytest.fixture
def house(emulator: Control) -> BackupHouse:
    """An empty store."""
    return BackupHouse(emulator)


def swept(house: BackupHouse, later: float = LATER) -> SweepOutput:
    """What a sweep removes then."""
    return sweep(house.store, house.reader, time.time() + later)


def test_nothing_of_a_backup_goes(house: BackupHouse) -> None:
    """However old it is, and also twice."""
    house.backup(700, passed=True)
    house.backup(700, BUCKET, content=b"aa11 bb22")
    house.backup(600, BUCKET, content=b"bb22 cc33")
    house.backup(600, "environment")
    before = house.stored()

    for _ in range(2):
        assert swept(house) == SweepOutput()
    assert house.stored() == before


def test_leftovers_go_when_they_are_old(house: BackupHouse) -> None:
    """Parts without a manifest, blobs that no list names, uploads, scratch objects; not while they are young."""
    kept = house.backup(3)
    house.backup(3, BUCKET, content=b"aa11")
    before = house.stored()
    half = house.begin(2, content=b"half")
    house.begin(2, BUCKET, b"aa11 dd44")
    house.store.put(layout.part(house.store.store, DATABASE, kept.id, "data-001-2", 0), b"of an attempt before")
    house.store.put(layout.scratch(house.store.store, "20261126T143005Z-3f2a") + "key", b"sample")
    house.store.put(layout.probe(house.store.store), b"probe")
    house.store.put(layout.drill(house.store.store, DATABASE, half.id, 1.0), b"{}")
    upload = house.store.s3.create_multipart_upload(Bucket=STORE, Key="lssm-prod/blobs/lssm-prod-files/ee/ee55")
    house.store.s3.create_multipart_upload(Bucket=STORE, Key="lssm-stg/blobs/lssm-stg-files/ee/ee55")

    assert house.catalogues.sweep(SiteInput(site=house.site)) == SweepOutput()

    found = swept(house)
    assert (found.objects, found.uploads, found.skipped) == (7, 1, ())
    assert found.bytes > len(b"half" + b"of an attempt before" + b"sample" + b"probe")
    assert house.stored() == before
    left = house.store.s3.list_multipart_uploads(Bucket=STORE)["Uploads"]
    assert [item["Key"].partition("/")[0] for item in left] == ["lssm-stg"]
    assert upload["UploadId"] not in [item["UploadId"] for item in left]


def test_objects_go_with_the_last_backup_that_names_them(house: BackupHouse) -> None:
    """Shared ones stay."""
    old = house.backup(3, BUCKET, content=b"aa11 bb22")
    house.backup(1, BUCKET, content=b"bb22 cc33", passed=True)
    house.store.delete(item.key for item in house.store.list(layout.entry(house.store.store, BUCKET, old.id)))

    assert swept(house).objects == 2

    blobs = [key.rpartition("/")[2] for key in house.stored("blobs/")]
    assert blobs == ["bb22", "cc33"]


@pytest.mark.parametrize("what", ["manifest", "list"])
def test_a_bucket_with_damaged_backups_keeps_all(house: BackupHouse, what: str) -> None:
    """Nobody knows what the damaged one names. Other buckets and databases are swept all the same."""
    damaged, _ = house.backup(3, BUCKET, content=b"aa11"), house.backup(1, BUCKET, content=b"bb22")
    house.begin(2, BUCKET, b"cc33")
    house.begin(2, "bucket/lssm-prod-other", b"dd44")
    house.begin(2)
    if what == "manifest":
        house.damage(damaged)
    else:
        house.store.put(layout.part(house.store.store, BUCKET, damaged.id, "entries", 0), b"other")

    found = swept(house)

    assert found.skipped == (BUCKET,)
    assert [key.rpartition("/")[2] for key in house.stored("blobs/")] == ["aa11", "bb22", "cc33"]
    assert len(house.stored("data/")) == 2


def test_a_damaged_backup_of_a_database_keeps_its_parts(house: BackupHouse) -> None:
    """Somebody may yet mend its manifest."""
    house.damage(house.backup(3))
    before = house.stored()

    assert swept(house).objects == 0
    assert house.stored() == before


def test_notes_of_failures_are_remembered_longer(house: BackupHouse) -> None:
    """For a month."""
    note = Failure(id="20261126T143005Z-3f2a", asset=DATABASE, at=1.0, code="unavailable", message="no answer")
    house.catalogues.note_failure(NoteInput(site=house.site, failure=note))

    assert swept(house).objects == 0
    assert swept(house, REMEMBERED + DAY).objects == 1
    assert house.stored() == []


def test_earlier_versions_go_and_locked_ones_stay_away(emulator: Control) -> None:
    """What a lock keeps is hidden before and after; the backup that is there is untouched."""
    house = BackupHouse(emulator, locked=True)
    entry = house.backup(3, passed=True)
    house.drill(entry, False)
    house.store.delete([layout.drill(house.store.store, DATABASE, entry.id, entry.ended + 60)])
    before = house.stored()

    assert swept(house) == SweepOutput()
    assert house.stored() == before
    assert house.catalogue().entries[0].state == "unproven"


def test_earlier_versions_go(house: BackupHouse) -> None:
    """Of a bucket with versions and without a lock, with the markers above them and what was there before versions."""
    entry = house.backup(3, passed=True)
    house.store.s3.put_bucket_versioning(Bucket=STORE, VersioningConfiguration={"Status": "Enabled"})
    house.drill(entry, False)
    house.store.delete([layout.drill(house.store.store, DATABASE, entry.id, entry.ended + 60)])

    assert swept(house).objects == 3
    assert len(list(house.store.versions("lssm-prod/"))) == 2
    assert house.catalogue().entries[0].state == "unproven"


def test_what_somebody_deleted_can_be_brought_back(house: BackupHouse) -> None:
    """Where versions are kept, those of a part or an object that a backup names are all that is left of it."""
    house.store.s3.put_bucket_versioning(Bucket=STORE, VersioningConfiguration={"Status": "Enabled"})
    house.backup(3)
    house.backup(3, BUCKET, content=b"aa11 bb22")
    lost = [*house.store.list("lssm-prod/data/db/"), *house.store.list("lssm-prod/blobs/")]
    house.store.delete(item.key for item in lost)

    assert swept(house).objects == 0
    assert {item.key for item in house.store.versions("lssm-prod/") if item.size} >= {item.key for item in lost}


def test_a_sweep_that_is_to_end_removes_nothing_more(house: BackupHouse) -> None:
    """Its run may be over, and what it has read long ago may be in a new backup by now."""
    house.begin(2)
    before, environment = house.stored(), ActivityEnvironment()
    environment.cancel()

    with pytest.raises(Unavailable):
        environment.run(swept, house)

    assert house.stored() == before
