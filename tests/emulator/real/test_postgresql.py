"""PostgreSQL behind the API, met with psql: who gets in, what a privilege allows, and what lives through restarts."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.real.postgresql import configuration
from emulator.real.postgresql.client import programs
from emulator.real.postgresql.contents import (
    Contents,
    Found,
    Place,
    User,
    arrivals,
    departures,
    gone_users,
    governed,
    privileges,
)
from tests.emulator.conftest import Api
from tests.emulator.real.local import eventually, listens, ok, private_network, real_emulator, shown

RDB = "/rdb/v1/regions/fr-par/instances"
ADMIN = "S3cret-admin"
PASSWORD = "S3cret-'pass"
"""With a quote, which must neither end the text of a statement nor reach a log."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not programs() or not shutil.which("psql"), reason="needs Linux and postgresql"
)

NOBODY = Found(frozenset({"postgres"}), frozenset(), ())


@pytest.mark.parametrize(
    ("settings", "units", "expected"),
    [
        ({"work_mem": "4"}, {"work_mem": "MB"}, {"work_mem": "4MB"}),
        ({"jit": "off"}, {}, {"jit": "off"}),
        ({"timezone": "GMT"}, {}, {"timezone": "GMT"}),
        ({"pgaudit.log": "all", "sync_replication_slots": "on"}, {}, {}),
    ],
)
def test_only_settings_that_postgresql_has_are_written(
    settings: dict[str, str], units: dict[str, str], expected: dict[str, str]
) -> None:
    """With their unit: PostgreSQL's own would be another one."""
    knows = {"work_mem": "user", "jit": "user", "timezone": "user"}
    assert configuration.known(settings, units, knows) == expected


@pytest.mark.parametrize(
    ("before", "after", "start"),
    [
        ({"work_mem": "4MB"}, {"work_mem": "8MB"}, False),
        ({"max_connections": "100"}, {"max_connections": "200"}, True),
        ({"max_connections": "100"}, {}, True),
        ({"max_connections": "100"}, {"max_connections": "100", "work_mem": "4MB"}, False),
    ],
)
def test_postgresql_says_which_settings_need_a_start(
    before: dict[str, str], after: dict[str, str], start: bool
) -> None:
    """Those of the context `postmaster`."""
    knows = configuration.contexts("work_mem\tuser\tx\nmax_connections\tpostmaster\tx\n")
    assert configuration.needs_start(before, after, knows) is start


def _place(name: str, *, managed: bool = True, closed: bool = False) -> Place:
    return Place(name, 7, "_rdb_superadmin", 0, managed, not closed)


def test_what_the_api_made_is_told_apart_from_what_users_made() -> None:
    """What is missing is made if it never was there; what is there goes only if the API says so."""
    there = Found(
        roles=frozenset({"postgres", "_rdb_superadmin", "app", "old", "own"}),
        users=frozenset({"app", "old"}),
        databases=(
            _place("one"),
            _place("two"),
            _place("renamed"),
            _place("own", managed=False),
            _place("shut", closed=True),
        ),
    )
    wanted = Contents(
        users=(User("app", "p'w", admin=False), User("new", "x", admin=True)),
        databases=(("one", 7), ("gone", 8), ("three", 0)),
        closed=("shut",),
        drops=(("a", "two"), ("b", "nowhere")),
        privileges=(("own", "app", "none"), ("gone", "app", "all")),
    )
    statements = arrivals(wanted, there, afresh=False)
    assert [text for text in statements if text.startswith("CREATE")] == [
        'CREATE ROLE "new"',
        'CREATE DATABASE "three" OWNER _rdb_superadmin',
    ]
    assert "ALTER ROLE \"app\" LOGIN NOCREATEDB NOCREATEROLE PASSWORD 'p''w'" in statements
    assert departures(wanted, there) == ['DROP DATABASE "two" WITH (FORCE)']
    assert [place.name for place in governed(wanted, there)] == ["one", "two", "renamed", "own"]
    assert gone_users(wanted, there) == ["old"]
    afresh = arrivals(wanted, NOBODY, afresh=True)
    assert afresh[0] == "CREATE ROLE _rdb_superadmin"
    assert sum(text.startswith("CREATE DATABASE") for text in afresh) == 3


@pytest.mark.parametrize(
    ("permission", "granted"),
    [
        ("none", []),
        ("custom", ["CONNECT ON DATABASE"]),
        ("readonly", ["CONNECT ON DATABASE", "USAGE ON SCHEMA", "SELECT ON ALL TABLES"]),
        ("readwrite", ["SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"]),
        ("all", ["ALL ON DATABASE", "ALL ON SCHEMA", "ALL ON ALL TABLES"]),
    ],
)
def test_a_permission_becomes_grants(permission: str, granted: list[str]) -> None:
    """Rights are taken away first, so that less is less; `custom` takes nothing away."""
    wanted = Contents((User("app", "x", admin=False),), (("one", 7),), (), (), (("one", "app", permission),))
    statements = [text for text in privileges(wanted, "one", ["public"]) if text.endswith('"app"')]
    grants = [text for text in statements if " GRANT " in f" {text}"]
    assert all(any(text.startswith(f"GRANT {right}") for text in grants) for right in granted)
    assert bool(grants) is bool(granted)
    assert any(text.startswith("REVOKE") for text in statements) is (permission != "custom")
    chief = replace(wanted, users=(replace(wanted.users[0], admin=True),))
    assert [text for text in privileges(chief, "one", ["public"]) if text.endswith('"app"')] == grants
    silent = replace(wanted, privileges=())
    assert not [text for text in privileges(silent, "one", ["public"]) if text.endswith('"app"')]


@dataclass
class Site:
    """An instance with its server."""

    api: Api
    id: str
    address: str
    port: int

    @property
    def told(self) -> Any:
        """What the emulator tells of it; None while it does not serve."""
        told = shown(self.api, "databases").get(self.id)
        return told if told and told["serves"] else None

    def sql(self, user: str, text: str, database: str = "rdb", password: str = PASSWORD, mode: str = "prefer") -> str:
        """What a user is answered; the error if there is one."""
        env = {"PGHOST": self.address, "PGPORT": str(self.port), "PGUSER": user, "PGPASSWORD": password}
        done = subprocess.run(
            ["psql", "--no-psqlrc", "-qAtX", "-c", text],
            env={"PATH": os.environ["PATH"], "PGDATABASE": database, "PGSSLMODE": mode, **env},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return (done.stdout or done.stderr).strip()

    def write(self, method: str, path: str, body: Any = None) -> None:
        """Change the instance through the API, and wait until its server is as the API says."""
        eventually(lambda: self.api.request(method, f"{RDB}/{self.id}{path}", body)[0] in {200, 204}, path)

    def grant(self, user: str, permission: str) -> None:
        """Set a privilege."""
        self.write("PUT", "/privileges", {"database_name": "rdb", "user_name": user, "permission": permission})


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """An instance whose server answers, with an administrator."""
    with real_emulator(folder) as api:
        network, _ = private_network(api)
        body = {
            "name": "main",
            "engine": "PostgreSQL-16",
            "node_type": "DB-DEV-S",
            "volume_type": "sbs_5k",
            "volume_size": 10_000_000_000,
            "user_name": "chief",
            "password": ADMIN,
            "init_endpoints": [{"private_network": {"private_network_id": network, "ipam_config": {}}}],
        }
        instance = ok(api.request("POST", RDB, body))
        [endpoint] = instance["endpoints"]
        made = Site(api, instance["id"], endpoint["ip"], endpoint["port"])
        eventually(lambda: ok(api.request("GET", f"{RDB}/{made.id}"))["status"] == "ready", "ready")
        assert made.sql("chief", "SELECT 1", password=ADMIN) == "1"
        yield made


def test_privileges_are_enforced(tmp_path: Path) -> None:
    """On what exists and on what will; each level is tried with real statements."""
    with site(tmp_path) as here:
        for name in ("owner", "app"):
            here.write("POST", "/users", {"name": name, "password": PASSWORD, "is_admin": False})
        here.grant("owner", "all")
        eventually(lambda: here.sql("owner", "SELECT 1") == "1", "a user with a privilege gets in")
        assert "permission denied" in here.sql("app", "SELECT 1")
        assert here.sql("owner", "CREATE TABLE old (n int); INSERT INTO old VALUES (1)") == ""

        here.grant("app", "readonly")
        eventually(lambda: here.sql("app", "SELECT n FROM old") == "1", "readonly reads")
        assert here.sql("chief", "SELECT n FROM old", password=ADMIN) == "1"
        here.sql("owner", "CREATE SCHEMA more; CREATE TABLE more.new (n int); INSERT INTO more.new VALUES (2)")
        assert here.sql("app", "SELECT n FROM more.new") == "2"
        assert "permission denied" in here.sql("app", "INSERT INTO old VALUES (3)")
        assert "permission denied" in here.sql("app", "CREATE TABLE public.mine (n int)")

        here.grant("app", "readwrite")
        eventually(lambda: here.sql("app", "INSERT INTO old VALUES (4)") == "", "readwrite writes")
        assert here.sql("app", "DELETE FROM more.new WHERE n = 2 RETURNING n") == "2"
        assert "permission denied" in here.sql("app", "CREATE TABLE public.mine (n int)")

        here.grant("app", "none")
        eventually(lambda: "permission denied" in here.sql("app", "SELECT n FROM old"), "none gets nothing")
        here.grant("app", "all")
        eventually(lambda: here.sql("app", "CREATE TABLE public.mine (n int)") == "", "all makes")


def test_databases_and_users_come_and_go(tmp_path: Path) -> None:
    """An administrator's own databases stay; a user's tables stay when it goes; passwords change at once."""
    with site(tmp_path) as here:
        here.write("POST", "/databases", {"name": "shop-1"})
        eventually(lambda: here.sql("chief", "SELECT 1", "shop-1", ADMIN) == "1", "a database comes")
        assert here.sql("chief", "CREATE DATABASE own", password=ADMIN) == ""
        here.write("POST", "/users", {"name": "app", "password": PASSWORD, "is_admin": False})
        here.grant("app", "all")
        eventually(lambda: here.sql("app", "CREATE TABLE kept (n int)") == "", "a user comes")

        here.write("PATCH", "/users/app", {"password": "0ther-Secret"})
        eventually(lambda: here.sql("app", "SELECT 1", password="0ther-Secret") == "1", "a new password")
        assert "password authentication failed" in here.sql("app", "SELECT 1")

        here.grant("app", "none")
        here.write("DELETE", "/users/app")
        here.write("DELETE", "/databases/shop-1")
        gone = "SELECT count(*) FROM pg_roles, pg_database WHERE rolname = 'app' OR datname = 'shop-1'"
        eventually(lambda: here.sql("chief", gone, password=ADMIN) == "0", "both go")
        assert here.sql("chief", "SELECT count(*) FROM kept", password=ADMIN) == "0"
        assert here.sql("chief", "SELECT 1", "own", ADMIN) == "1"


def test_it_listens_on_its_private_address_only_and_speaks_tls(tmp_path: Path) -> None:
    """With the certificate that the API hands out; its superuser is for nobody."""
    with site(tmp_path) as here:
        assert listens(postmaster(tmp_path, here)) == {(here.address, here.port)}
        assert here.sql("chief", "SHOW ssl", password=ADMIN) == "on"
        assert verified(tmp_path, here) == ("1", "")
        assert "rejects connection" in here.sql("postgres", "SELECT 1")
        assert PASSWORD not in (tmp_path / "real" / "databases" / here.id / "log").read_text()


def test_settings_are_applied_by_a_reload_or_by_a_start(tmp_path: Path) -> None:
    """As PostgreSQL itself wants it; those of the node's size are there from the beginning."""
    with site(tmp_path) as here:
        eventually(lambda: here.told and here.sql("chief", "SHOW work_mem", password=ADMIN) == "4MB", "of the node")
        before = postmaster(tmp_path, here)
        here.write("POST", "/settings", {"settings": [{"name": "work_mem", "value": "7"}]})
        eventually(lambda: here.sql("chief", "SHOW work_mem", password=ADMIN) == "7MB", "reloaded")
        assert postmaster(tmp_path, here) == before
        here.write("POST", "/settings", {"settings": [{"name": "max_connections", "value": "77"}]})
        eventually(lambda: here.told and here.sql("chief", "SHOW max_connections", password=ADMIN) == "77", "started")


def test_it_comes_back_with_its_data_whoever_was_killed(tmp_path: Path) -> None:
    """The server, or the emulator; and with a deleted instance it goes for good."""
    with site(tmp_path) as here:
        here.sql("chief", "CREATE TABLE kept AS SELECT 1 AS n", password=ADMIN)
        killed = postmaster(tmp_path, here)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: here.sql("chief", "SELECT n FROM kept", password=ADMIN) == "1", "back after a kill")
        last = postmaster(tmp_path, here)
        assert last != killed
    assert not Path(f"/proc/{last}").exists()

    command = [sys.executable, "-m", "emulator", "--port", "0", "--state", str(tmp_path / "state.db")]
    with subprocess.Popen([*command, "--real", str(tmp_path / "real")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        eventually(lambda: _serves(url, here.id), "back after a stop")
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not opens(here.address, here.port), "no process is left behind")

    with real_emulator(tmp_path) as api:
        again = replace(here, api=api)
        eventually(lambda: again.told, "back after a kill of the emulator")
        assert again.sql("chief", "SELECT n FROM kept", password=ADMIN) == "1"
        ok(api.request("DELETE", f"{RDB}/{here.id}"))
        eventually(lambda: here.id not in shown(api, "databases"), "gone")
        assert list((tmp_path / "real" / "databases").iterdir()) == []
        assert not opens(here.address, here.port)


def verified(folder: Path, here: Site) -> tuple[str, str]:
    """What `SELECT 1` answers over TLS with the instance's certificate, and the error."""
    authority = folder / "ca.pem"
    content = ok(here.api.request("GET", f"{RDB}/{here.id}/certificate"))["content"]
    authority.write_bytes(base64.b64decode(content))
    asked = f"host={here.address} port={here.port} dbname=rdb user=chief sslmode=verify-full sslrootcert={authority}"
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": ADMIN}
    told = subprocess.run(["psql", "-qAtX", "-c", "SELECT 1", asked], env=environment, capture_output=True, text=True)
    return told.stdout.strip(), told.stderr


def postmaster(folder: Path, here: Site) -> int:
    """The process id of the server."""
    return int((folder / "real" / "databases" / here.id / "data" / "postmaster.pid").read_text().split()[0])


def _serves(url: str, id: str) -> bool:
    told = requests.get(f"{url}/_emulator/real", timeout=10).json()["running"]["databases"]
    return bool(told.get(id, {}).get("serves"))


def opens(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0
