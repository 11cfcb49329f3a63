"""What a bucket's list says, what a restore does about each object, and which backup serves a moment."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest

from blueprint.backup.catalogue import Entry
from blueprint.backup.manifest import DrillRecord
from blueprint.backup.objects import (
    AT_ONCE,
    MOST_PARTS,
    Difference,
    ObjectVersion,
    at_point,
    backup_for,
    difference,
    digest,
    etag_of_parts,
    is_young,
    line,
    parsed,
    part_size,
    recorded,
    require_scratch,
    sampled,
    side_by_side,
)
from blueprint.backup.site import Store
from blueprint.errors import Damaged, RestoreRefused

ONE = ObjectVersion("a", "v1", "e1", 3, 1000.5, blob="b1", blob_etag="e1")
STORE = Store(bucket="lssm-prod-backup", region="fr-par", prefix="lssm-prod")


@pytest.mark.parametrize(
    "version",
    [
        ONE,
        ONE._replace(version="", blob_etag="other-2"),
        ONE._replace(key='line\nquote" \u2028 ü', size=0, latest=False),
        ObjectVersion("a", "v2", modified=1001.0, marker=True),
    ],
)
def test_a_line_says_everything(version: ObjectVersion) -> None:
    """And is one line."""
    written = line(version)

    assert written.count("\n") == 1
    assert list(parsed([written], "list")) == [version]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key":"a","what":1}', "{}"])
def test_what_is_no_line_is_damage(text: str) -> None:
    """It names the list."""
    with pytest.raises(Damaged) as damaged:
        list(parsed([text], "entries.0000"))
    assert damaged.value.subject == "entries.0000"


def test_a_copy_has_another_name_whenever_its_object_may_be_another() -> None:
    """Key, version, content, size and moment tell objects apart; what came of copying does not."""
    others = [
        ONE._replace(key="b"),
        ONE._replace(version=""),
        ONE._replace(etag="e2"),
        ONE._replace(size=4),
        ONE._replace(modified=1000.501),
    ]

    assert len({digest(one) for one in [ONE, *others]} | {digest(ONE, "run")}) == 7
    assert digest(ONE._replace(latest=False, blob="x", blob_etag="y")) == digest(ONE)


@pytest.mark.parametrize(
    ("version", "modified", "young"), [("", 997.9, False), ("", 998.1, True), ("", 1001.0, True), ("v1", 1001.0, False)]
)
def test_what_can_change_unseen_is_young(version: str, modified: float, young: bool) -> None:
    """Within two seconds before the listing; never if it has a version id."""
    assert is_young(ONE._replace(version=version, modified=modified), 1000.0) is young


def test_the_newest_version_of_a_moment_is_brought_back() -> None:
    """Unless the object was deleted then, or not there yet."""
    versions = [
        ObjectVersion("a", "3", "e3", 1, 30.0),
        ObjectVersion("a", "2", "e2", 1, 20.0, latest=False),
        ObjectVersion("b", "2", modified=25.0, marker=True),
        ObjectVersion("b", "1", "e1", 1, 15.0, latest=False),
        ObjectVersion("c", "1", "e1", 1, 30.0),
    ]

    def shown(at: float | None) -> list[tuple[str, str]]:
        return [(found.key, found.version) for found in at_point(versions, at)]

    assert shown(None) == [("a", "3"), ("c", "1")]
    assert shown(10.0) == []
    assert shown(20.0) == [("a", "2"), ("b", "1")]
    assert shown(25.0) == [("a", "2")]
    assert shown(30.0) == [("a", "3"), ("c", "1")]


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (None, "restore"),
        (ObjectVersion("a", "", "e1", 3, 1000.5), "same"),
        (ObjectVersion("a", "", "e1", 3, 1002.0), "look"),
        (ObjectVersion("a", "", "c-2", 3, 1000.5), "look"),
        (ObjectVersion("a", "", "e2", 3, 1000.5), "restore"),
        (ObjectVersion("a", "", "e1", 4, 1000.5), "restore"),
    ],
)
def test_only_what_differs_is_written(live: ObjectVersion | None, expected: Difference) -> None:
    """The same content at another moment may have other metadata."""
    assert difference(ONE._replace(blob_etag="c-2"), live) == expected


def test_what_was_not_there_is_newer() -> None:
    """It is told, and stays."""
    assert difference(None, ONE) == "newer"


def test_two_listings_are_read_side_by_side() -> None:
    """Each key once, in order."""
    left, right = ([ObjectVersion(key) for key in keys] for keys in ("abd", "bce"))

    found = [(ours.key if ours else "", theirs.key if theirs else "") for ours, theirs in side_by_side(left, right)]

    assert found == [("a", ""), ("b", "b"), ("", "c"), ("d", ""), ("", "e")]


def test_an_earlier_list_tells_what_copies_there_are() -> None:
    """By the copy's name: another version of the same key is another object."""
    before = [ONE._replace(key="0", blob="b0"), ONE._replace(blob_etag="c-2"), ONE._replace(blob="b2", blob_etag="x")]
    now = [ONE, ONE._replace(blob="b9"), ONE._replace(key="z", blob="b8")]

    assert [etag for _, etag in recorded(now, before)] == ["c-2", "", ""]
    assert [etag for _, etag in recorded(now, [])] == ["", "", ""]


@pytest.mark.parametrize(("of", "count", "expected"), [(10, 0, 10), (10, 10, 10), (10, 20, 10), (10, 3, 3), (7, 2, 2)])
def test_a_sample_is_spread_evenly(of: int, count: int, expected: int) -> None:
    """It has exactly so many, and all if there are no more."""
    objects = [ObjectVersion(f"{number:02}") for number in range(of)]

    found = [int(one.key) for one in sampled(objects, of, count)]

    assert len(found) == expected
    gaps = {after - before for before, after in pairwise(found)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def entry(point: float, *, versioned: bool = False, damaged: str = "") -> Entry:
    """A backup of a bucket."""
    return Entry(
        id=f"{point:g}",
        asset="bucket/files",
        point=point,
        started=point,
        ended=point,
        size=1,
        versioned=versioned,
        damaged=damaged,
    )


@pytest.mark.parametrize(
    ("at", "expected"),
    [(None, "40"), (10.0, "10"), (15.0, "30"), (25.0, "30"), (30.0, "30"), (35.0, "40"), (99.0, "40")],
)
def test_the_backup_that_knows_a_moment_best_serves_it(at: float | None, expected: str) -> None:
    """The first later one that has versions, or the last before; a damaged one never."""
    entries = [
        entry(40.0, versioned=True),
        entry(33.0, versioned=True, damaged="its list is missing"),
        entry(30.0, versioned=True),
        entry(20.0),
        entry(10.0, versioned=True),
    ]

    assert backup_for(entries, at).id == expected


def test_a_moment_that_no_backup_knows_is_refused() -> None:
    """Before the first one, if that has no versions; and where there is none."""
    assert backup_for([entry(20.0), entry(10.0)], 15.0).id == "10"
    with pytest.raises(RestoreRefused, match="no backup is as old"):
        backup_for([entry(20.0)], 15.0)


def test_what_a_restore_was_about_to_write_over_is_not_the_newest() -> None:
    """Whoever restores once more means the same as before; if there is nothing else, it is that."""
    before = entry(20.0).model_copy(update={"reason": "before restore"})

    assert backup_for([before, entry(10.0)], None).id == "10"
    assert backup_for([before, entry(10.0)], 25.0).id == "20"
    assert backup_for([before], None).id == "20"


@pytest.mark.parametrize("at", [None, 15.0, 25.0])
def test_a_backup_that_is_known_to_be_bad_has_to_be_asked_for_by_its_id(at: float | None) -> None:
    """One whose drill failed serves no better than a damaged one."""
    drill = DrillRecord(id="20", asset="bucket/files", at=21.0, seconds=1.0, passed=False)
    bad = entry(20.0, versioned=True).model_copy(update={"drills": (drill,)})

    assert backup_for([bad, entry(10.0)], at).id == "10"
    for entries in ([bad], [entry(20.0, damaged="x")]):
        with pytest.raises(RestoreRefused, match="not known to be bad"):
            backup_for(entries, at)


@pytest.mark.parametrize(
    "size", [AT_ONCE + 1, 100 * AT_ONCE, MOST_PARTS * AT_ONCE, MOST_PARTS * AT_ONCE + 1, 5 * 10**12]
)
def test_no_object_has_too_many_parts(size: int) -> None:
    """Of up to 5 TB: a thousand at most, none over 5 GB."""
    step = part_size(size)

    assert -(-size // step) <= MOST_PARTS
    assert AT_ONCE <= step <= 5 << 30


def test_the_etag_of_parts_is_that_of_s3() -> None:
    """The MD5 of the parts' MD5s, and how many there are."""
    parts = [hashlib.md5(content).digest() for content in (b"one", b"two")]

    assert etag_of_parts(part.hex() for part in parts) == hashlib.md5(b"".join(parts)).hexdigest() + "-2"


@pytest.mark.parametrize(
    "prefix", ["", "lssm-prod/", "lssm-prod/scratch/", "lssm-prod/blobs/x/", "lssm-stg/scratch/1/"]
)
def test_a_prefix_that_could_hold_backups_is_refused(prefix: str) -> None:
    """Only a drill's own is recognised."""
    with pytest.raises(RestoreRefused):
        require_scratch(STORE, prefix)
    require_scratch(STORE, "lssm-prod/scratch/3f2a/")
