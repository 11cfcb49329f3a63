"""Which backup a run reads, and what a restore will do: tables."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.choice import assets_of, backup_to_drill, backup_to_restore, plan_restore
from blueprint.backup.manifest import DrillRecord
from blueprint.backup.scratch import require_scratch
from blueprint.backup.site import BackupSite, DatabaseAsset, Retention, SecretPlace, Store
from blueprint.contract import Target
from blueprint.errors import BackupFailed, RestoreRefused

ASSET = "db/orders"
PLACE = SecretPlace(path="/", name="x")
RULES = Retention(last=1, daily=0, weekly=0, monthly=0, yearly=0, least_good=1, drilled_within=1.0)
RUN = "20261126T143005Z-3f2a"


def catalogue(*states: str) -> Catalogue:
    """Backups in these states, the newest first; their ids are their places."""
    entries = []
    for place, state in enumerate(states):
        passed = {"good": (True,), "bad": (False,), "mended": (False, True)}.get(state, ())
        drills = tuple(
            DrillRecord(id=str(place), asset=ASSET, at=float(n), seconds=1.0, passed=ok) for n, ok in enumerate(passed)
        )
        damaged = "not what was written" if state == "damaged" else ""
        entries.append(
            Entry(
                id=str(place),
                asset=ASSET,
                point=100.0 - place,
                started=0.0,
                ended=0.0,
                size=1,
                drills=drills,
                damaged=damaged,
            )
        )
    return Catalogue(entries=tuple(entries))


def site(env: str = "prod", *databases: str) -> BackupSite:
    """An environment with these databases."""
    return BackupSite(
        target=Target(org="shop", env=env, region="fr-par", zone="fr-par-1"),
        nodes=("n1",),
        store=Store(bucket="backups", region="fr-par", prefix=f"shop-{env}"),
        key=PLACE,
        databases=tuple(
            DatabaseAsset(name=name, instance="db", user="admin", password=PLACE) for name in databases or ("orders",)
        ),
        retention=RULES,
        late_after=1.0,
        smallest=0.5,
    )


def test_assets() -> None:
    """In the file's order, each once; what is not in the file is named."""
    declared = ("db/a", "db/b", "environment")
    assert assets_of(declared, ()) == declared
    assert assets_of(declared, ("environment", "db/a", "db/a")) == ("db/a", "environment")
    with pytest.raises(BackupFailed, match="db/c, db/d: "):
        assets_of(declared, ("db/c", "db/a", "db/d"))


@pytest.mark.parametrize(
    ("states", "id", "restored", "drilled"),
    [
        (("unproven", "good", "good"), "", "1", "0"),
        (("bad", "unproven", "mended"), "", "2", "0"),
        (("bad", "unproven", "unproven"), "", "1", "0"),
        (("damaged", "unproven"), "", "1", "1"),
        (("bad", "bad"), "", None, "0"),
        (("damaged",), "", None, None),
        ((), "", None, None),
        (("good", "bad"), "1", "1", "1"),
        (("good", "damaged"), "1", None, None),
        (("good",), "7", None, None),
    ],
)
def test_which_backup(states: tuple[str, ...], id: str, restored: str | None, drilled: str | None) -> None:
    """A restore takes what is known to be good, a drill what is newest; one that is asked for by its id is taken."""
    for choose, expected in ((backup_to_restore, restored), (backup_to_drill, drilled)):
        if expected is None:
            with pytest.raises(RestoreRefused, match=ASSET):
                choose(catalogue(*states), ASSET, id)
        else:
            assert choose(catalogue(*states), ASSET, id).id == expected


@pytest.mark.parametrize(
    ("wishes", "restored"),
    [
        ({}, "restore_orders_20261126t143005z3f2a"),
        ({"in_place": True}, "restore_orders_20261126t143005z3f2a"),
        ({"to": "restore_look"}, "restore_look"),
        ({"into": site("stg")}, "restore_orders_20261126t143005z3f2a"),
        ({"into": site("stg"), "in_place": True}, "restore_orders_20261126t143005z3f2a"),
    ],
)
def test_names(wishes: dict[str, Any], restored: str) -> None:
    """Those that a restore makes can never be a live one's."""
    plan = plan_restore(catalogue("good"), site(), "orders", RUN, **wishes)
    assert (plan.restored, plan.kept) == (restored, "before_orders_20261126t143005z3f2a")
    for name in (plan.restored, plan.kept):
        require_scratch(name, ("orders",))


@pytest.mark.parametrize(
    ("database", "wishes", "words"),
    [
        ("invoices", {}, "no database of shop-prod that is backed up: these are orders"),
        ("orders", {"to": "orders"}, "could be a live database"),
        ("orders", {"to": "invoices"}, "could be a live database"),
        ("orders", {"to": "restore_stg", "into": site("stg", "orders", "restore_stg")}, "could be a live database"),
        ("orders", {"to": "before_orders_1"}, "begins with restore_"),
        ("orders", {"to": "drill_look"}, "begins with restore_"),
        ("orders", {"to": "restore_" + "x" * 56}, "no name"),
        ("orders", {"to": "restore_/../x"}, "no name"),
        ("orders", {"to": "restore_x", "in_place": True}, "gets its name"),
        ("orders", {"into": site()}, "where the backup is from"),
        ("orders", {"into": site("stg", "people")}, "no database of shop-stg that is backed up: these are people"),
        ("orders", {"id": "9"}, "there is no backup 9"),
    ],
)
def test_refused(database: str, wishes: dict[str, Any], words: str) -> None:
    """What would touch a live database, or cannot be."""
    with pytest.raises(RestoreRefused, match=words):
        plan_restore(catalogue("good"), site(), database, RUN, **wishes)
