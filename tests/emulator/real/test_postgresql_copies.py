"""Backups, snapshots and databases of a real PostgreSQL: what is in them, and what the API tells of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.real.postgresql.client import programs
from emulator.real.postgresql.door import Public
from tests.emulator.real.local import eventually, ok, private_network, real_emulator, shown
from tests.emulator.real.test_postgresql import ADMIN, PASSWORD, RDB, Site, opens, postmaster, site, verified

REGION = "/rdb/v1/regions/fr-par"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not programs() or not shutil.which("psql"), reason="needs Linux and postgresql"
)


def admin(here: Site, text: str, database: str = "rdb") -> str:
    """What the administrator is answered."""
    return here.sql("chief", text, database, ADMIN)


def names(here: Site) -> list[str]:
    """The databases that the API tells."""
    return [database["name"] for database in ok(here.api.request("GET", f"{RDB}/{here.id}/databases"))["databases"]]


def backup(here: Site, database: str, **more: Any) -> Any:
    """A backup that is no longer being made."""
    body = {"instance_id": here.id, "database_name": database, "name": "nightly", **more}
    made = ok(here.api.request("POST", f"{REGION}/backups", body))
    return settled(here, f"backups/{made['id']}", "creating")


def settled(here: Site, path: str, busy: str) -> Any:
    """An object that is in the state `busy` no longer."""
    return eventually(
        lambda: (found := ok(here.api.request("GET", f"{REGION}/{path}")))["status"] != busy and found, path
    )


def files(folder: Path, kind: str) -> list[str]:
    """What is kept of backups or snapshots."""
    where = folder / "real" / "database-copies" / kind
    return sorted(path.name for path in where.iterdir()) if where.exists() else []


@contextmanager
def shop(folder: Path) -> Iterator[Site]:
    """An instance with a database `shop` that has a table of the user `app`."""
    with site(folder) as here:
        here.write("POST", "/databases", {"name": "shop"})
        here.write("POST", "/users", {"name": "app", "password": PASSWORD, "is_admin": False})
        here.write("PUT", "/privileges", {"database_name": "shop", "user_name": "app", "permission": "all"})
        rows = "CREATE TABLE carts AS SELECT n FROM generate_series(1, 1000) n"
        eventually(lambda: here.sql("app", rows, "shop") == "", "the application writes")
        yield here


def test_a_backup_is_a_dump_that_can_be_downloaded_and_restored(tmp_path: Path) -> None:
    """Beside the original, over it, and not after it is gone."""
    with shop(tmp_path) as here:
        kept = backup(here, "shop")
        [name] = files(tmp_path, "backups")
        file = tmp_path / "real" / "database-copies" / "backups" / name
        assert (kept["status"], kept["size"]) == ("ready", file.stat().st_size)

        ok(here.api.request("POST", f"{REGION}/backups/{kept['id']}/export"))
        exported = settled(here, f"backups/{kept['id']}", "exporting")
        url = exported["download_url"]
        assert requests.get(url, timeout=10).content == file.read_bytes()
        part = requests.get(url, headers={"Range": "bytes=5-9"}, timeout=10)
        assert (part.status_code, part.content) == (206, file.read_bytes()[5:10])
        listed = subprocess.run(["pg_restore", "--list", str(file)], capture_output=True, text=True, check=True)
        assert "TABLE DATA public carts app" in listed.stdout
        assert requests.get(url + "0", timeout=10).status_code == 403
        here.api.world.tables["rdb.backups"][kept["id"]]["download_url_expires_at"] = "2020-01-01T00:00:00Z"
        late = requests.get(url, timeout=10)
        assert (late.status_code, "expired" in late.text) == (403, True)

        here.sql("app", "DELETE FROM carts; CREATE TABLE later (n int)", "shop")
        for target in ("again", "shop"):
            body = {"instance_id": here.id, "database_name": target}
            assert ok(here.api.request("POST", f"{REGION}/backups/{kept['id']}/restore", body))["status"] == "restoring"
            assert settled(here, f"backups/{kept['id']}", "restoring")["status"] == "ready"
            assert admin(here, "SELECT count(*) FROM carts", target) == "1000"
        assert here.sql("app", "SELECT count(*) FROM carts", "shop") == "1000"
        assert "permission denied" in here.sql("app", "SELECT 1", "again")
        assert names(here) == ["again", "rdb", "shop"]

        ok(here.api.request("DELETE", f"{REGION}/backups/{kept['id']}"))
        eventually(lambda: not files(tmp_path, "backups"), "the file goes with the backup")
        brief = backup(here, "shop", expires_at="2999-01-01T00:00:00Z")
        past = {"expires_at": "2020-01-01T00:00:00Z"}
        ok(here.api.request("PATCH", f"{REGION}/backups/{brief['id']}", past))
        eventually(lambda: not files(tmp_path, "backups"), "and when its time is over")


def test_a_backup_or_restore_that_fails_says_so(tmp_path: Path) -> None:
    """A database that is dropped under it, a file that is damaged; the instance goes on."""
    with shop(tmp_path) as here:
        kept = backup(here, "shop")
        [name] = files(tmp_path, "backups")
        file = tmp_path / "real" / "database-copies" / "backups" / name
        file.write_bytes(file.read_bytes()[:-400])
        body = {"instance_id": here.id, "database_name": "shop"}
        ok(here.api.request("POST", f"{REGION}/backups/{kept['id']}/restore", body))
        assert settled(here, f"backups/{kept['id']}", "restoring")["status"] == "error"
        assert kept["id"] in shown(here.api, "database copies")["errors"]
        eventually(lambda: ok(here.api.request("GET", f"{RDB}/{here.id}"))["status"] == "ready", "ready again")

        broken = tmp_path / "real" / "database-copies" / "backups"
        shutil.rmtree(broken)
        broken.write_text("no folder")
        assert backup(here, "shop")["status"] == "error"


def test_the_api_tells_what_sql_did_to_databases(tmp_path: Path) -> None:
    """Made, swapped by rename and dropped, without anything being repaired."""
    with shop(tmp_path) as here:
        assert admin(here, "CREATE DATABASE shop_restored") == ""
        assert "shop_restored" in names(here)
        admin(here, "CREATE TABLE carts AS SELECT 'restored' AS n", "shop_restored")
        swap = ("ALTER DATABASE shop RENAME TO shop_before", "ALTER DATABASE shop_restored RENAME TO shop")
        assert [admin(here, text) for text in swap] == ["", ""]
        assert names(here) == ["rdb", "shop", "shop_before"]
        eventually(lambda: here.sql("app", "SELECT n FROM carts", "shop") == "restored", "the API's privilege")
        assert admin(here, "SELECT count(*) FROM carts", "shop_before") == "1000"
        assert here.sql("app", "SELECT count(*) FROM carts", "shop_before") == "1000"
        found = ok(here.api.request("GET", f"{RDB}/{here.id}/databases"))["databases"]
        assert [(each["owner"], each["managed"]) for each in found[1:]] == [("chief", False), ("_rdb_superadmin", True)]
        assert all(each["size"] > 1_000_000 for each in found)

        ok(here.api.request("DELETE", f"{RDB}/{here.id}/databases/shop_before"))
        assert names(here) == ["rdb", "shop"]
        ok(here.api.request("POST", f"{RDB}/{here.id}/databases", {"name": "shop_before"}))
        eventually(
            lambda: admin(here, "SELECT count(*) FROM pg_class WHERE relname = 'carts'", "shop_before") == "0", "new"
        )
        assert admin(here, "DROP DATABASE shop") == ""
        assert names(here) == ["rdb", "shop_before"]

        here.write("POST", "/users", {"name": "other", "password": PASSWORD, "is_admin": False})
        eventually(lambda: admin(here, "GRANT other TO chief") == "", "an administrator takes roles")
        assert admin(here, "SELECT count(*) FROM pg_database WHERE datname = 'shop'") == "0"
        assert admin(here, "ALTER DATABASE shop_before ALLOW_CONNECTIONS false") == ""
        here.write("PUT", "/privileges", {"database_name": "shop_before", "user_name": "app", "permission": "all"})
        assert names(here) == ["rdb", "shop_before"]
        eventually(lambda: here.told, "what is closed stands in nobody's way")
        assert "not currently accepting" in here.sql("app", "SELECT 1", "shop_before")
        assert admin(here, "ALTER DATABASE shop_before ALLOW_CONNECTIONS true") == ""
        eventually(lambda: here.sql("app", "SELECT 1", "shop_before") == "1", "rights come when it opens")

    with real_emulator(tmp_path) as api:
        again = Site(api, here.id, here.address, here.port)
        eventually(lambda: again.told, "back after a stop")
        assert names(again) == ["rdb", "shop_before"]


@contextmanager
def locked(here: Site, table: str) -> Iterator[None]:
    """A table that a dump has to wait for."""
    env = {"PGHOST": here.address, "PGPORT": str(here.port), "PGUSER": "chief", "PGPASSWORD": ADMIN}
    statements = f"BEGIN; LOCK TABLE {table}; SELECT pg_sleep(60)"
    with subprocess.Popen(["psql", "-qX", "-c", statements, "shop"], env={**os.environ, **env}) as holder:
        held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"
        eventually(lambda: admin(here, held, "shop") != "0", "locked")
        try:
            yield
        finally:
            holder.terminate()


def begun(here: Site) -> Any:
    """A backup that is being made."""
    made = ok(here.api.request("POST", f"{REGION}/backups", {"instance_id": here.id, "database_name": "shop"}))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    eventually(lambda: admin(here, waiting) == "1", "the dump waits")
    assert ok(here.api.request("GET", f"{REGION}/backups/{made['id']}"))["status"] == "creating"
    return made


def test_a_server_that_dies_fails_the_backup(tmp_path: Path) -> None:
    """And the server comes back."""
    with shop(tmp_path) as here, locked(here, "carts"):
        made = begun(here)
        os.kill(postmaster(tmp_path, here), signal.SIGKILL)
        assert settled(here, f"backups/{made['id']}", "creating")["status"] == "error"
        eventually(lambda: here.told, "back")
        assert files(tmp_path, "backups") in ([], [f"{made['id']}.new"])


def test_what_an_emulator_left_half_done_the_next_one_begins_anew(tmp_path: Path) -> None:
    """Nothing half done is ever called ready; the address of a download leads to the new one."""
    with ExitStack() as life:
        here = life.enter_context(shop(tmp_path))
        exported = backup(here, "shop")
        ok(here.api.request("POST", f"{REGION}/backups/{exported['id']}/export"))
        settled(here, f"backups/{exported['id']}", "exporting")
        with locked(here, "carts"):
            made = begun(here)
            life.close()
    with real_emulator(tmp_path) as api:
        again = Site(api, here.id, here.address, here.port)
        assert settled(again, f"backups/{made['id']}", "creating")["status"] == "ready"
        url = ok(api.request("GET", f"{REGION}/backups/{exported['id']}"))["download_url"]
        assert len(requests.get(url, timeout=10).content) == exported["size"]


def test_an_instance_from_a_snapshot_is_public_until_it_is_closed(tmp_path: Path) -> None:
    """It has what the source had then; the access list is for the public endpoint only."""
    with shop(tmp_path) as here:
        taken = ok(here.api.request("POST", f"{RDB}/{here.id}/snapshots", {"name": "before"}))
        assert settled(here, f"snapshots/{taken['id']}", "creating")["status"] == "ready"
        here.sql("app", "DELETE FROM carts", "shop")
        body = {"instance_name": "again"}
        made = ok(here.api.request("POST", f"{REGION}/snapshots/{taken['id']}/create-instance", body))
        ok(here.api.request("DELETE", f"{REGION}/snapshots/{taken['id']}"))
        ready = _ready(here, made["id"])
        [public] = ready["endpoints"]
        outside = Site(here.api, made["id"], public["ip"], public["port"])
        assert outside.sql("app", "SELECT count(*) FROM carts", "shop", mode="require") == "1000"
        assert names(outside) == ["rdb", "shop"]
        eventually(lambda: not files(tmp_path, "snapshots"), "nobody needs the snapshot")

        network, _ = private_network(here.api)
        spec = {"private_network": {"private_network_id": network, "ipam_config": {}}}
        endpoint = ok(here.api.request("POST", f"{RDB}/{made['id']}/endpoints", {"endpoint_spec": spec}))
        _ready(here, made["id"])
        inside = Site(here.api, made["id"], endpoint["ip"], endpoint["port"])
        assert inside.sql("app", "SELECT count(*) FROM carts", "shop", mode="require") == "1000"
        assert outside.sql("app", "SELECT 1", "shop") == "1"
        assert verified(tmp_path, inside) == ("1", "")

        rules = {"rules": [{"ip": "192.0.2.0/24", "description": "office"}]}
        ok(here.api.request("PUT", f"{RDB}/{made['id']}/acls", rules))
        _ready(here, made["id"])
        assert "closed the connection" in outside.sql("app", "SELECT 1", "shop")
        assert inside.sql("app", "SELECT 1", "shop") == "1"

        ok(here.api.request("DELETE", f"{REGION}/endpoints/{public['id']}"))
        assert _ready(here, made["id"])["endpoints"] == [endpoint]
        assert not opens(public["ip"], public["port"])
        assert inside.sql("app", "SELECT 1", "shop") == "1"


def test_a_clone_has_the_data_of_now(tmp_path: Path) -> None:
    """And goes its own way from there."""
    with shop(tmp_path) as here:
        made = ok(here.api.request("POST", f"{RDB}/{here.id}/clone", {"name": "twin"}))
        [public] = _ready(here, made["id"])["endpoints"]
        twin = Site(here.api, made["id"], public["ip"], public["port"])
        assert twin.sql("app", "DELETE FROM carts WHERE n = 1; SELECT count(*) FROM carts", "shop") == "999"
        assert here.sql("app", "SELECT count(*) FROM carts", "shop") == "1000"


@pytest.mark.parametrize(
    ("networks", "client", "admitted"),
    [
        (("0.0.0.0/0",), "127.0.0.1", True),
        (("192.0.2.0/24", "127.0.0.1/32"), "127.0.0.1", True),
        (("192.0.2.0/24",), "127.0.0.1", False),
        ((), "127.0.0.1", False),
    ],
)
def test_an_access_list_admits_its_networks(networks: tuple[str, ...], client: str, admitted: bool) -> None:
    """Nobody else."""
    assert Public("127.224.0.1", 4711, networks).admits(client) is admitted


def _ready(here: Site, instance_id: str) -> Any:
    def look() -> Any:
        found = ok(here.api.request("GET", f"{RDB}/{instance_id}"))
        return found if found["status"] == "ready" else None

    return eventually(look, "ready")
