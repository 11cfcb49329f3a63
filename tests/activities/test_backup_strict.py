"""A server whose administrator may do less: it owns nothing that others made, and cannot let itself.

Scaleway's own role owns what its API makes, and since PostgreSQL 16 CREATEROLE alone opens no other role.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from activities.backup.on_node import MAINTENANCE
from blueprint.backup.contract import DropInput, SwapInput
from blueprint.errors import RestoreRefused
from tests.activities.database_site import ADMIN, LIVE, OBSTACLE, USER, DatabaseSite, database_site
from tests.emulator.real.local import eventually

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSite]:
    """One machine and one server."""
    with database_site(tmp_path_factory.mktemp("strict")) as made:
        yield made


def as_superuser(site: DatabaseSite, text: str, database: str = LIVE) -> None:
    """What the provider may do with its server."""
    env = {"PGHOST": f"@scaleway-{site.instance['id']}", "PGPORT": "5432", "PGUSER": "postgres", "PGDATABASE": database}
    command = ["psql", "--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text]
    subprocess.run(command, env={"PATH": os.environ["PATH"], **env}, check=True, capture_output=True, timeout=20)


def strict(site: DatabaseSite) -> None:
    """Take from the administrator what it has by its memberships."""
    as_superuser(site, f"REVOKE _rdb_superadmin FROM {ADMIN}; ALTER ROLE {ADMIN} NOCREATEROLE CREATEDB")
    as_superuser(site, f"GRANT CONNECT ON DATABASE {MAINTENANCE} TO {ADMIN}", MAINTENANCE)


def test_the_administrator_is_let_in_for_a_backup(site: DatabaseSite) -> None:
    """By the API: what users made is closed to it."""
    strict(site)
    as_superuser(
        site, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ADMIN}; REVOKE ALL ON DATABASE {LIVE} FROM {ADMIN}"
    )
    assert "permission denied" in site.sql("SELECT count(*) FROM orders", LIVE, ADMIN)

    entry = site.backed_up()

    assert site.store.manifest(entry.asset, entry.id).database


def test_the_owner_loads_what_the_administrator_cannot_give_away(site: DatabaseSite) -> None:
    """Its password is in Secret Manager; all is as it was, and the administrator can check and drop it."""
    entry = site.backed_up()
    strict(site)
    site.load(entry, "restore_equitya_strict")

    assert site.verify(entry, "restore_equitya_strict").findings == ()
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert site.sql(owners, "restore_equitya_strict") == USER
    assert site.sql("CREATE TABLE more (n int); SELECT count(*) FROM orders", "restore_equitya_strict") == "20000"

    strict(site)
    request = SwapInput(site=site.site, database=LIVE, restored="restore_equitya_strict", kept="before_equitya_1")
    with pytest.raises(RestoreRefused, match="belongs to _rdb_superadmin") as caught:
        site.step(site.restoring.swap, request)
    assert f'ALTER DATABASE "{LIVE}" OWNER TO "{ADMIN}"' in caught.value.remedy
    assert site.sql("SELECT count(*) FROM orders") == "20000"

    as_superuser(site, f"ALTER DATABASE {LIVE} OWNER TO {ADMIN}", MAINTENANCE)
    command, env = site.command()
    with subprocess.Popen([*command, "-c", "SELECT pg_sleep(60)"], env=env, stderr=subprocess.PIPE) as held:
        connected = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}' AND datname = '{LIVE}'"
        eventually(lambda: site.sql(connected, MAINTENANCE, ADMIN) == "1", "a client is there")
        done = site.step(site.restoring.swap, request)
        assert b"terminating connection" in held.communicate(timeout=10)[1]
    assert 0 < done.seconds < 10
    assert site.sql("SELECT count(*) FROM orders") == "20000"
    back = request.model_copy(update={"restored": "before_equitya_1", "kept": "restore_equitya_strict"})
    site.step(site.restoring.swap, back)

    dropped = site.step(site.restoring.drop, DropInput(site=site.site, names=("restore_equitya_strict",)))
    assert dropped.names == ("restore_equitya_strict",)
