"""Databases backed up from a real machine into the local Object Storage, and brought back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blueprint.backup.contract import DropInput
from tests.activities.database_site import LIVE, OBSTACLE, DatabaseSite, database_site

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSite]:
    """One machine and one server for all tests: each makes backups and databases of its own."""
    with database_site(tmp_path_factory.mktemp("database")) as made:
        yield made


def test_a_database_comes_back(site: DatabaseSite) -> None:
    """Dumped, published, loaded beside, checked, dropped; nothing is left on the node."""
    request = site.asset_input()
    entry = site.step(site.databases.database, request)

    assert entry == site.step(site.databases.database, request)
    manifest = site.store.manifest(entry.asset, entry.id)
    assert manifest.database
    assert {table.name: table.rows for table in manifest.database.tables} == {
        "public.customers": 100,
        "public.orders": 5000,
        "public.migrations": 2,
    }
    assert entry.size == sum(part.size for part in manifest.database.parts) > 0
    assert site.units() == ""

    done = site.load(entry, "drill_equitya_one")

    assert done.bytes == manifest.database.raw_bytes
    found = site.verify(entry, "drill_equitya_one")
    assert found.findings == ()
    assert found.checked
    ask = "SELECT count(*), md5(string_agg(note, ',' ORDER BY id)) FROM orders"
    assert site.sql(ask, "drill_equitya_one", "lssm_prod_admin") == site.sql(ask)
    assert site.step(site.restoring.drop, DropInput(site=site.site)).names == ("drill_equitya_one",)
    assert site.step(site.restoring.drop, DropInput(site=site.site)).names == ()
    assert LIVE in site.databases_there()
    assert site.units() == ""
