"""A restored database takes the place of the live one, under clients that come back at once."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest

from activities.backup.on_node import MAINTENANCE, Reach
from blueprint.backup import swap
from blueprint.backup.contract import MaskInput, SwapInput, SwapOutput
from blueprint.errors import CommandFailed, RestoreRefused
from tests.activities.database_site import ADMIN, LIVE, OBSTACLE, USER, DatabaseSite, database_site
from tests.emulator.real.local import eventually

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSite]:
    """One machine and one server for all tests: each makes databases of its own."""
    with database_site(tmp_path_factory.mktemp("swap")) as made:
        yield made


def a_copy(site: DatabaseSite, name: str, note: str) -> None:
    """A database that an administrator restored, which differs from the live one."""
    site.sql(f"CREATE DATABASE {name} OWNER _rdb_superadmin", MAINTENANCE, ADMIN)
    site.sql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC", MAINTENANCE, ADMIN)
    site.sql(f"CREATE TABLE orders (note text); INSERT INTO orders VALUES ('{note}')", name, ADMIN)
    site.sql(f"GRANT USAGE ON SCHEMA public TO {USER}; GRANT SELECT ON orders TO {USER}", name, ADMIN)


def swapped(site: DatabaseSite, restored: str, kept: str) -> SwapOutput:
    """How a swap went."""
    request = SwapInput(site=site.site, database=LIVE, restored=restored, kept=kept)
    done: SwapOutput = site.step(site.restoring.swap, request)
    return done


class Clients:
    """Clients of the live database that come back at once when they are cut off."""

    def __init__(self, site: DatabaseSite, number: int = 3) -> None:
        self._site = site
        self._over = threading.Event()
        self.seen: set[str] = set()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        command, env = self._site.command()
        while not self._over.is_set():
            with subprocess.Popen(
                [*command, "-c", "SELECT note FROM orders ORDER BY note LIMIT 1", "-c", "SELECT pg_sleep(4)"],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as asking:
                assert asking.stdout
                self.seen.add(asking.stdout.readline().strip())


def test_names_are_swapped_under_clients_that_come_back(site: DatabaseSite) -> None:
    """Who may connect goes along, the kept one is closed to users, and the way back is the same."""
    before = site.sql("SELECT note FROM orders ORDER BY note LIMIT 1")
    site.sql(f"ALTER DATABASE {LIVE} SET search_path = public, pg_temp", MAINTENANCE, ADMIN)
    site.sql(f"ALTER ROLE {USER} IN DATABASE {LIVE} SET work_mem = '7MB'")
    a_copy(site, "restore_equitya_1", "restored")
    with Clients(site) as clients:
        eventually(lambda: before in clients.seen, "clients are there")
        done = swapped(site, "restore_equitya_1", "before_equitya_1")
        eventually(lambda: "restored" in clients.seen, "clients are there again")

    assert done.closed >= 1
    assert 0 < done.seconds < 10
    assert "restore_equitya_1" not in site.databases_there()
    assert site.sql("SHOW search_path") == "public, pg_temp"
    assert site.sql("SHOW work_mem") == "7MB"
    assert "permission denied for database" in site.sql("SELECT 1", "before_equitya_1")
    assert site.sql("SELECT count(*) FROM orders", "before_equitya_1", ADMIN) == "20000"
    refused = site.sql("SELECT 1 FROM pg_database WHERE NOT datallowconn AND NOT datistemplate", MAINTENANCE, ADMIN)
    assert refused == ""

    again = swapped(site, "restore_equitya_1", "before_equitya_1")
    assert again.closed == 0

    swapped(site, "before_equitya_1", "before_equitya_2")
    assert site.sql("SELECT note FROM orders ORDER BY note LIMIT 1") == before
    assert "permission denied for database" in site.sql("SELECT 1", "before_equitya_2")


def test_a_swap_that_was_broken_off_is_taken_up(site: DatabaseSite) -> None:
    """Whatever is closed is opened; somebody who cannot be cut off stops it, and the live one is as it was."""
    a_copy(site, "restore_equitya_3", "third")
    site.sql(f"ALTER DATABASE {LIVE} ALLOW_CONNECTIONS false", MAINTENANCE, ADMIN)
    assert "not currently accepting" in site.sql("SELECT 1")

    swapped(site, "restore_equitya_3", "before_equitya_3")

    assert site.sql("SELECT note FROM orders") == "third"
    site.sql("ALTER DATABASE before_equitya_3 ALLOW_CONNECTIONS false", MAINTENANCE, ADMIN)
    swapped(site, "restore_equitya_3", "before_equitya_3")
    assert site.sql("SELECT count(*) FROM orders", "before_equitya_3", ADMIN) == "20000"
    swapped(site, "before_equitya_3", "before_equitya_4")


def test_a_swap_that_fails_in_its_window_opens_the_live_database_again(site: DatabaseSite) -> None:
    """By the node itself: nobody may be left to do it."""
    reach = Reach.of(site.clouds, site.site, site.asset)
    live = swap.DatabaseFacts(name=LIVE, owner="_rdb_superadmin")
    steps = {"closing": swap.closing(live), "window": "SELECT 1/0;", "opening": swap.opened([LIVE])}
    with pytest.raises(CommandFailed, match="division by zero"):
        reach.script("swap", MAINTENANCE, users=[], passwords=[], restored="", ending="", **steps)
    assert site.sql("SELECT count(*) FROM orders") == "20000"


@pytest.mark.parametrize(
    ("restored", "kept"),
    [(LIVE, "before_x"), ("restore_equitya_9", "rdb"), ("customers", "before_x"), ("restore_nowhere", "before_x")],
)
def test_a_name_that_could_be_live_is_refused(site: DatabaseSite, restored: str, kept: str) -> None:
    """And one that is not there."""
    with pytest.raises(RestoreRefused):
        swapped(site, restored, kept)
    assert site.sql("SELECT count(*) FROM orders") == "20000"


def test_a_restored_database_is_made_harmless_or_goes(site: DatabaseSite) -> None:
    """In one transaction; a command to psql is none to the server."""
    for name in ("restore_masked_1", "restore_masked_2"):
        a_copy(site, name, "secret")
    here = site.changed(mask=("UPDATE orders SET note = 'x'", "SELECT count(*) FROM orders; "))
    request = MaskInput(site=here, database=LIVE, restored="restore_masked_1", on=site.site)
    found = site.step(site.restoring.mask, request)
    assert (found.findings, found.checked) == ((), ("2 statements of `mask`",))
    assert site.sql("SELECT note FROM orders", "restore_masked_1", ADMIN) == "x"

    here = site.changed(mask=("UPDATE orders SET note = 'x'", "\\! touch /tmp/masked"))
    request = MaskInput(site=here, database=LIVE, restored="restore_masked_2", on=site.site)
    found = site.step(site.restoring.mask, request)
    assert found.findings[0].startswith("mask statement 2: syntax error")
    assert "restore_masked_2" not in site.databases_there()
    assert site.step(site.restoring.mask, request).findings == ("restore_masked_2 is not there any more",)
