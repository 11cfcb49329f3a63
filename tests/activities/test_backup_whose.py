"""A database that a restore made is that restore's: no other one, and no attempt that comes late, touches it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activities.backup.on_node import MAINTENANCE
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import DropInput, LoadInput, MaskInput, SwapInput
from blueprint.backup.mark import Mark, making
from blueprint.errors import Gone, RestoreRefused
from tests.activities.database_site import ADMIN, LIVE, OBSTACLE, RDB, USER, DatabaseSite, database_site
from tests.activities.ssh_site import NODE
from tests.emulator.real.local import eventually

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")
RUN = "20261126T143005Z-3f2a"
RESTORED = "restore_equitya_20261126t143005z3f2a"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSite]:
    """One machine and one server for all tests."""
    with database_site(tmp_path_factory.mktemp("whose")) as made:
        yield made


@pytest.fixture(scope="module")
def entry(site: DatabaseSite) -> Entry:
    """A backup."""
    return site.backed_up()


def test_a_load_writes_over_nothing_that_is_not_its_own(site: DatabaseSite, entry: Entry) -> None:
    """Neither what a restore kept, nor what another one made; and it removes only its own."""
    site.sql("CREATE DATABASE restore_kept", MAINTENANCE, ADMIN)
    site.sql("CREATE TABLE precious (n int)", "restore_kept", ADMIN)
    with pytest.raises(RestoreRefused, match="not of this restore"):
        site.load(entry, "restore_kept", run=RUN)
    drop = DropInput(site=site.site, names=("restore_kept",), run=RUN)
    assert site.step(site.restoring.drop, drop).names == ()
    assert site.sql("SELECT count(*) FROM precious", "restore_kept", ADMIN) == "0"

    site.load(entry, "restore_look", run=RUN)
    with pytest.raises(RestoreRefused, match="not of this restore"):
        site.load(entry, "restore_look", run="20261126T150000Z-aaaa")
    assert site.sql("SELECT count(*) FROM orders", "restore_look", ADMIN) == "20000"
    drop = DropInput(site=site.site, names=("restore_look",), run=RUN)
    assert site.step(site.restoring.drop, drop).names == ("restore_look",)


def test_an_attempt_that_comes_late_makes_nothing_anew(site: DatabaseSite, entry: Entry) -> None:
    """Its successor has loaded the database, which may be about to become the live one."""
    site.load(entry, RESTORED, run=RUN)
    site.sql("CREATE TABLE since (n int)", RESTORED, ADMIN)

    late = site.sql_file(making(RESTORED, RUN, ""))
    site.load(entry, RESTORED, run=RUN)

    assert late == "loaded"
    assert site.sql("SELECT count(*) FROM since", RESTORED, ADMIN) == "0"
    site.step(site.restoring.drop, DropInput(site=site.site, names=(RESTORED,), run=RUN))


def test_what_a_killed_attempt_left_on_its_node_goes(site: DatabaseSite, entry: Entry) -> None:
    """It had loaded the database, and was killed before it could clear the node."""
    request = LoadInput(site=site.site, asset=entry.asset, id=entry.id, into=RESTORED, run=RUN)
    site.step(site.loading.load, request)
    left = f"/run/scaleway-infra/load.{RESTORED}.{RUN}"
    site.on_node(f"mkdir {left} && touch {left}/token")

    site.step(site.loading.load, request, node=NODE)

    assert site.on_node(f"ls {left} 2>/dev/null || echo gone") == "gone"
    site.step(site.restoring.drop, DropInput(site=site.site, names=(RESTORED,), run=RUN))


@pytest.mark.parametrize("state", ["loading", "unmasked"])
def test_what_is_not_whole_takes_no_place(site: DatabaseSite, state: str) -> None:
    """Nobody would miss the rows, or the mask, before it is too late."""
    assert site.sql_file(making(RESTORED, RUN, "")) == "make"
    site.sql(Mark(RUN, state).on(RESTORED), MAINTENANCE, ADMIN)  # type: ignore[arg-type]
    request = SwapInput(site=site.site, database=LIVE, restored=RESTORED, kept="before_equitya_x")
    with pytest.raises(RestoreRefused, match=r"not loaded|not masked"):
        site.step(site.restoring.swap, request)
    assert site.sql("SELECT count(*) FROM orders") == "20000"
    assert "before_equitya_x" not in site.databases_there()
    site.step(site.restoring.drop, DropInput(site=site.site, names=(RESTORED,)))


def test_a_mask_is_put_on_once(site: DatabaseSite) -> None:
    """With the mark that says so: an attempt whose answer was lost has done it."""
    site.sql_file(making(RESTORED, RUN, ""))
    site.sql("CREATE TABLE people (n int); INSERT INTO people VALUES (1)", RESTORED, ADMIN)
    here = site.changed(mask=("UPDATE people SET n = n + 1",))
    request = MaskInput(site=here, database=LIVE, restored=RESTORED, on=site.site)
    with pytest.raises(RestoreRefused, match="not loaded"):
        site.step(site.restoring.mask, request)
    site.sql(Mark(RUN, "unmasked").on(RESTORED), MAINTENANCE, ADMIN)
    for _ in range(2):
        assert site.step(site.restoring.mask, request).findings == ()
    assert site.sql("SELECT n FROM people", RESTORED, ADMIN) == "2"
    site.step(site.restoring.drop, DropInput(site=site.site, names=(RESTORED,), run=RUN))


@pytest.mark.parametrize("name", ["restore_" + "x" * 56, "restore_/../x", "restore_x y", "restore_*"])
def test_a_name_that_would_be_taken_for_another_is_refused(site: DatabaseSite, entry: Entry, name: str) -> None:
    """By the server, which cuts names off, or by the node."""
    with pytest.raises(RestoreRefused, match="no name"):
        site.load(entry, name)


def test_a_database_that_was_dropped_comes_back_under_its_name(site: DatabaseSite, entry: Entry) -> None:
    """Nothing is there to be kept, and nobody waits for a server that answers well."""
    site.sql(f"DROP DATABASE {LIVE} WITH (FORCE)", MAINTENANCE, ADMIN)
    with pytest.raises(Gone, match="does not exist"):
        site.step(site.databases.database, site.asset_input())
    site.load(entry, RESTORED, run=RUN)
    request = SwapInput(site=site.site, database=LIVE, restored=RESTORED, kept="before_equitya_y")
    for _ in range(2):
        site.step(site.restoring.swap, request)
    there = site.sql("SELECT datname FROM pg_database", MAINTENANCE, ADMIN).split()
    assert {LIVE, RESTORED, "before_equitya_y"} & {*there} == {LIVE}
    assert site.sql("SELECT count(*) FROM orders", LIVE, ADMIN) == "20000"
    privilege = {"database_name": LIVE, "user_name": USER, "permission": "all"}
    site.call("PUT", f"{RDB}/{site.instance['id']}/privileges", privilege)
    eventually(lambda: site.sql("SELECT count(*) FROM orders") == "20000", "its user may look into it again")
