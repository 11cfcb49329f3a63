"""Databases backed up from a real machine into the local Object Storage, and brought back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.testing import ActivityEnvironment

from activities.backup.on_node import MAINTENANCE
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import DropInput, LoadInput
from blueprint.backup.site import Check, Newest
from blueprint.errors import (
    Damaged,
    Gone,
    NotReady,
    PermissionDenied,
    Refused,
    RestoreRefused,
    SecretMissing,
    Unavailable,
)
from tests.activities.database_site import ADMIN, LIVE, OBSTACLE, DatabaseSite, database_site
from tests.activities.ssh_site import NODE
from tests.emulator.real.local import eventually

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
        "public.orders": 20000,
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


class Held:
    """A lock on a table, which keeps a dump waiting."""

    def __init__(self, site: DatabaseSite) -> None:
        command, env = site.command()
        self._psql = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._psql.stdin
        assert self._psql.stdout
        self._psql.stdin.write("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
        assert self._psql.stdout.readline() == "held\n"

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the dump go on."""
        self._psql.communicate()


class Attempt:
    """An attempt of an activity, on a thread of its own, that can be ended as Temporal ends it."""

    def __init__(self, call: Callable[[Any], Any], request: Any) -> None:
        self._environment = ActivityEnvironment()
        self.heartbeats: list[Any] = []
        self._environment.on_heartbeat = lambda *details: self.heartbeats.append(details[0])
        self._threads = ThreadPoolExecutor(1)
        self._running = self._threads.submit(self._environment.run, call, request)

    def stop_worker(self) -> None:
        """As a worker that is told to end."""
        self._environment.worker_shutdown()

    def cancel(self) -> None:
        """As somebody who does not want it any more."""
        self._environment.cancel(ActivityCancellationDetails(cancel_requested=True))

    def error(self) -> BaseException | None:
        """How it ended."""
        found = self._running.exception(30)
        self._threads.shutdown()
        return found


def transfer_pid(site: DatabaseSite) -> str:
    """The process of the transfer that runs; empty if none does."""
    found = site.on_node(
        "for unit in $(systemctl list-units --plain --no-legend 'scaleway-infra-*' | cut -d' ' -f1); "
        "do systemctl show -P MainPID $unit; done"
    )
    return "" if found == "0" else found


def test_a_worker_that_goes_leaves_the_dump_to_its_successor(site: DatabaseSite) -> None:
    """The unit goes on without it, and the next attempt follows the same one to its end."""
    request = site.asset_input()
    with Held(site) as lock:
        attempt = Attempt(site.databases.database, request)
        pid = eventually(lambda: transfer_pid(site), "a transfer runs")
        attempt.stop_worker()
        assert isinstance(attempt.error(), NotReady)
        assert attempt.heartbeats[-1]["node"] == NODE
        assert transfer_pid(site) == pid
        successor = Attempt(site.databases.database, request)
        eventually(lambda: successor.heartbeats, "it follows")
        assert transfer_pid(site) == pid
        lock.release()
        assert successor.error() is None
    manifest = site.store.manifest(request.asset, request.id)
    assert manifest.database
    assert len({part.archive.rpartition("-")[2] for part in manifest.database.parts}) == 1
    assert site.units() == ""


def test_a_worker_that_goes_once_the_backup_is_there_leaves_nothing_on_the_node(site: DatabaseSite) -> None:
    """It was killed between the manifest and the end of the transfer's files: the next attempt removes them."""
    request = site.asset_input()
    entry = site.step(site.databases.database, request)
    site.on_node(f"install -d -m 0700 /run/scaleway-infra/dump.{LIVE}.{entry.id}/urls")
    assert site.units()

    assert site.step(site.databases.database, request, node=NODE) == entry

    assert site.units() == ""


def test_a_worker_that_goes_leaves_the_load_to_its_successor(site: DatabaseSite) -> None:
    """Which goes on where it is, and does not begin anew; a cancelled one ends."""
    entry = site.backed_up()
    request = LoadInput(site=site.site, asset=entry.asset, id=entry.id, into="drill_equitya_long", run="one")
    site.emulator.faults({"operation": "GET /lssm-prod-backup/*/data-*", "kind": "slow", "seconds": 4, "count": 2})
    try:
        attempt = Attempt(site.loading.load, request)
        pid = eventually(lambda: transfer_pid(site), "a transfer runs")
        attempt.stop_worker()
        assert isinstance(attempt.error(), NotReady)
        assert transfer_pid(site) == pid
        assert Attempt(site.loading.load, request).error() is None
        assert site.verify(entry, "drill_equitya_long").findings == ()

        other = request.model_copy(update={"into": "drill_equitya_other"})
        cancelled = Attempt(site.loading.load, other)
        eventually(lambda: transfer_pid(site), "a transfer runs")
        cancelled.cancel()
        assert isinstance(cancelled.error(), NotReady)
        assert site.units() == ""
    finally:
        site.emulator.faults()
        site.step(site.restoring.drop, DropInput(site=site.site))


def test_a_load_that_is_killed_leaves_no_secret(site: DatabaseSite) -> None:
    """Nor a row, also if no worker comes back."""
    request = LoadInput(site=site.site, asset=f"db/{LIVE}", id=site.backed_up().id, into="drill_equitya_killed")
    site.emulator.faults({"operation": "GET /lssm-prod-backup/*/data-*", "kind": "slow", "seconds": 4, "count": 2})
    inside = f"cd /run/scaleway-infra/load.drill_equitya_killed.{request.id} && ls -A"
    try:
        attempt = Attempt(site.loading.load, request)
        eventually(lambda: "schema.dump" in site.on_node(f"{inside} || true"), "it has begun")
        attempt.stop_worker()
        assert isinstance(attempt.error(), NotReady)
        assert "identity" in site.on_node(inside).split()
        site.on_node(f"kill -KILL {transfer_pid(site)}")
        eventually(lambda: not transfer_pid(site), "it has ended")
        assert not {"identity", "job.json", "schema.dump"} & set(site.on_node(inside).split())
    finally:
        site.emulator.faults()
    assert site.step(site.loading.load, request).bytes
    assert site.units() == ""
    site.step(site.restoring.drop, DropInput(site=site.site))


def test_another_node_takes_over(site: DatabaseSite) -> None:
    """Where the preferred one does not exist any more, also when an earlier attempt had begun there."""
    here = site.site.model_copy(update={"nodes": ("lssm-prod-core-09", NODE)})
    request = site.asset_input(site=here)
    assert site.step(site.databases.database, request, node="lssm-prod-core-09").size
    assert site.verify(site.backed_up(site=here), LIVE, here).findings == ()


def test_a_cancelled_dump_leaves_nothing(site: DatabaseSite) -> None:
    """Neither a unit nor a manifest."""
    request = site.asset_input()
    with Held(site):
        attempt = Attempt(site.databases.database, request)
        eventually(lambda: transfer_pid(site), "a transfer runs")
        attempt.cancel()
        assert isinstance(attempt.error(), NotReady)
        assert site.units() == ""
    with pytest.raises(Gone):
        site.store.manifest(request.asset, request.id)


@pytest.mark.parametrize("how", ["unit killed", "server gone"])
def test_a_dump_that_is_cut_off_is_begun_anew(site: DatabaseSite, how: str) -> None:
    """Under other names: what the first one sent is no part of the second."""
    request = site.asset_input()
    with Held(site):
        attempt = Attempt(site.databases.database, request)
        eventually(lambda: transfer_pid(site), "a transfer runs")
        if how == "unit killed":
            site.on_node(f"kill -KILL {transfer_pid(site)}")
        else:
            waits = "SELECT pid FROM pg_stat_activity WHERE application_name = 'transfer' AND wait_event_type = 'Lock'"
            pid = eventually(lambda: site.sql(waits, MAINTENANCE, ADMIN).split(), "it waits for the lock")[0]
            site.sql(f"SELECT pg_terminate_backend({pid})", MAINTENANCE, ADMIN)
        assert isinstance(attempt.error(), Unavailable)
        assert site.units() == ""
    assert site.step(site.databases.database, request).size
    assert site.units() == ""


def test_two_runs_of_one_database_take_turns(site: DatabaseSite) -> None:
    """A run that comes later ends the one before: two snapshots of one database help nobody."""
    first, second = site.asset_input(), site.asset_input()
    with Held(site) as lock:
        earlier = Attempt(site.databases.database, first)
        pid = eventually(lambda: transfer_pid(site), "a transfer runs")
        later = Attempt(site.databases.database, second)
        eventually(lambda: transfer_pid(site) not in (pid, ""), "another transfer runs")
        earlier.stop_worker()
        assert isinstance(earlier.error(), NotReady | Unavailable)
        lock.release()
        assert later.error() is None
    assert site.store.manifest(second.asset, second.id)


def test_a_node_that_lacks_a_program_says_so(site: DatabaseSite) -> None:
    """And what to do; nobody has to try again."""
    site.on_node("mv /usr/bin/age /usr/bin/age.away")
    try:
        with pytest.raises(Refused, match="age") as caught:
            site.step(site.databases.database, site.asset_input())
    finally:
        site.on_node("mv /usr/bin/age.away /usr/bin/age")
    assert "apt-get install" in caught.value.remedy
    assert site.units() == ""


def test_rows_that_policies_hide_are_in_the_backup(site: DatabaseSite) -> None:
    """Or there is none, and it says what to do: where not even the owner sees all."""
    site.sql("CREATE TABLE hidden (n int); INSERT INTO hidden SELECT generate_series(1, 5)")
    site.sql("ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON hidden USING (n < 3)")
    try:
        entry = site.backed_up()
        manifest = site.store.manifest(entry.asset, entry.id)
        assert manifest.database
        assert {table.name: table.rows for table in manifest.database.tables}["public.hidden"] == 5
        site.sql("ALTER TABLE hidden FORCE ROW LEVEL SECURITY")
        with pytest.raises(Refused, match="hides rows of hidden") as caught:
            site.backed_up()
        assert f'ALTER ROLE "{ADMIN}" BYPASSRLS' in caught.value.remedy
    finally:
        site.sql("DROP TABLE hidden")


def test_a_store_that_refuses_makes_no_backup(site: DatabaseSite) -> None:
    """The next one is as good as any."""
    request = site.asset_input()
    site.emulator.faults({"operation": "PUT /lssm-prod-backup/*", "kind": "denied", "count": None})
    try:
        with pytest.raises(PermissionDenied):
            site.step(site.databases.database, request)
    finally:
        site.emulator.faults()
    assert site.units() == ""
    with pytest.raises(Gone):
        site.store.manifest(request.asset, request.id)
    assert site.step(site.databases.database, request).size


def test_a_damaged_backup_is_refused_by_name(site: DatabaseSite) -> None:
    """A part that is another, or is not there; and a key that is another's."""
    entry = site.backed_up()
    key = next(key for key in site.keys(f"lssm-prod/data/{entry.asset}/{entry.id}/") if "data-" in key)
    content = site.store.get(key)
    site.store.put(key, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(Damaged, match=r"data-\d+"):
        site.load(entry, "drill_equitya_damaged")
    site.store.delete([key])
    with pytest.raises(Damaged, match=r"data-\d+"):
        site.load(entry, "drill_equitya_damaged")
    site.store.put(key, content)
    site.load(entry, "drill_equitya_damaged")
    site.step(site.restoring.drop, DropInput(site=site.site))

    right = site.reveal("backup-key")
    other = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    site.cloud.secrets.store("/lssm/prod", "backup-key", other)
    try:
        with pytest.raises(SecretMissing):
            site.load(entry, "drill_equitya_damaged")
    finally:
        site.cloud.secrets.store("/lssm/prod", "backup-key", right)
    site.step(site.restoring.drop, DropInput(site=site.site))
    assert site.units() == ""


def test_what_is_lost_and_what_the_file_asks_for_is_found(site: DatabaseSite) -> None:
    """Assertions of the file, each by itself; none can write."""
    entry = site.backed_up()
    site.load(entry, "drill_equitya_found")
    here = site.changed(
        tables=("customers", "public.orders"),
        migrations="migrations",
        newest=Newest(table="orders", column="at", within=3600),
        checks=(
            Check(name="customers", sql="SELECT count(*) FROM customers", expect="100"),
            Check(name="writes", sql="DELETE FROM orders", expect=""),
        ),
    )
    found = site.verify(entry, "drill_equitya_found", here)
    assert len(found.findings) == 1
    assert "read-only transaction" in found.findings[0]

    site.sql(
        "DELETE FROM orders WHERE id = 1; TRUNCATE migrations; DROP TABLE customers CASCADE",
        "drill_equitya_found",
        ADMIN,
    )
    found = site.verify(entry, "drill_equitya_found", here)
    for text in ("missing tables: public.customers", "public.orders has 19999 rows", "migrations is empty"):
        assert any(text in finding for finding in found.findings), (text, found.findings)
    site.step(site.restoring.drop, DropInput(site=site.site))


@pytest.mark.parametrize("name", [LIVE, "rdb", "postgres", "scratch"])
def test_a_name_that_could_be_live_is_never_loaded_or_dropped(site: DatabaseSite, name: str) -> None:
    """Whatever the backup."""
    with pytest.raises(RestoreRefused):
        site.load(Entry(id="x", asset=f"db/{LIVE}", point=0, started=0, ended=0, size=0), name)
    with pytest.raises(RestoreRefused):
        site.step(site.restoring.drop, DropInput(site=site.site, names=(name,)))
    assert site.sql("SELECT count(*) FROM orders") == "20000"


def test_a_database_is_dropped_while_the_server_vacuums_it(site: DatabaseSite) -> None:
    """What was just loaded is vacuumed soon after, by a process that only a superuser may end."""
    name = "drill_equitya_vacuumed"
    site.as_superuser("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    site.as_superuser("SELECT pg_reload_conf()")
    site.sql(f"CREATE DATABASE {name} OWNER _rdb_superadmin", MAINTENANCE, ADMIN)
    slow = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_analyze_threshold = 1"
    rows = "SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n"
    site.sql(f"CREATE TABLE many (n, text) WITH ({slow}) AS {rows}", name, ADMIN)
    at_it = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND backend_type LIKE 'autovacuum%'"
    eventually(lambda: site.as_superuser(at_it) != "0", "the server vacuums it")

    assert site.step(site.restoring.drop, DropInput(site=site.site, names=(name,))).names == (name,)

    assert name not in site.databases_there()
