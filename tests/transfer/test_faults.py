"""Whatever breaks, a transfer ends well, or failed with the reason; never well without being whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from bench.transfers import BUCKET, Bucket, Cluster, Transfer, dump_job, identity, load_job, until
from transfer.files import JOB, RESULT, URLS

Make = Callable[[str], str]
Sign = Callable[[str, str], str]
PART_SIZE = 200_000
ROWS = "CREATE TABLE {} AS SELECT i, md5(i::text) FROM generate_series(1, 60000) AS i;"
MANY_ROWS = "CREATE TABLE {} AS SELECT i, sha512(i::text::bytea) FROM generate_series(1, 200000) AS i;"
"""More than fits into the pipes of a lane that stands still."""


@pytest.fixture
def full(server: Cluster, database: Make) -> str:
    """A database whose archives have several parts each."""
    name = database("app")
    server.sql(ROWS.format("one") + ROWS.format("two"), name)
    return name


@pytest.fixture
def large(server: Cluster, database: Make) -> str:
    """A database that no dump comes to the end of while its driver is away."""
    name = database("app")
    server.sql(MANY_ROWS.format("one") + ROWS.format("two"), name)
    return name


@pytest.fixture
def dumped(server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path) -> dict[str, Any]:
    """A dump of it."""
    with Transfer(tmp_path / "dumped", dump_job(server, full, [keys[0]], part_size=PART_SIZE), sign) as dump:
        return dump.result()


def failed(transfer: Transfer, code: str, *words: str) -> None:
    """It ends, says why, leaves no result and no secret behind, and none of its programs."""
    children = [child for child in relatives(transfer) if child.is_running()]
    progress = transfer.wait()
    assert (progress["state"], progress["code"]) == ("failed", code), progress["message"]
    assert [word for word in words if word not in progress["message"]] == []
    assert not (transfer.folder / RESULT).exists()
    left = [path.name for path in transfer.folder.rglob("*") if path.is_file()]
    assert [name for name in left if name in (JOB, "identity") or name.endswith((".list", ".dump"))] == []
    assert not (transfer.folder / URLS).exists()
    assert psutil.wait_procs(children, timeout=10)[1] == []


def relatives(transfer: Transfer) -> list[psutil.Process]:
    """The programs that it runs now."""
    try:
        return psutil.Process(transfer.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def program(transfer: Transfer, name: str) -> psutil.Process:
    """One that it runs, as soon as there is one."""
    found: list[psutil.Process] = []

    def look() -> bool:
        # Others come to their end while one looks.
        for child in relatives(transfer):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name() == name and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
        return bool(found)

    until(look, f"no {name}")
    return found[0]


def stands(transfer: Transfer) -> None:
    """Wait until its lanes wait for URLs, with data in every pipe."""
    until(lambda: transfer.progress().get("raw_bytes", 0) > 2 * PART_SIZE, "no data flows")


def put_faults(store: Bucket, *faults: dict[str, Any]) -> None:
    """What goes wrong from now on."""
    requests.put(f"{store.api}/_emulator/faults", json={"faults": faults}, timeout=10).raise_for_status()


def test_bursts_of_503_and_resets_are_outlived(
    server: Cluster, store: Bucket, database: Make, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Lost answers too: a part that is stored twice is the same part."""
    kinds = ("unavailable", "throttled", "reset", "response_lost")
    faults = [
        {"operation": f"S3 {verb}Object", "kind": kind, "count": 2, "skip": 3 * number}
        for verb in ("Put", "Get")
        for number, kind in enumerate(kinds)
    ]
    two = database("app")
    put_faults(store, *faults)
    try:
        with Transfer(tmp_path / "dump", dump_job(server, full, [keys[0]], part_size=PART_SIZE), sign) as dump:
            told = dump.result()
        with Transfer(tmp_path / "load", load_job(server, two, keys[1], told), sign) as load:
            load.result()
        struck = requests.get(f"{store.api}/_emulator/faults", timeout=10).json()["faults"]
    finally:
        put_faults(store)

    assert [fault["fired"] for fault in struck] == [2] * len(faults)
    count = "SELECT count(*), sum(i), md5(string_agg(md5, '' ORDER BY i)) FROM two"
    assert server.sql(count, two) == server.sql(count, full)


def test_a_url_that_has_expired_is_asked_for_anew(
    server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Each part's first URL is no good."""
    seen: set[str] = set()

    def stale_first(method: str, part: str) -> str:
        url = sign(method, part)
        if part in seen:
            return url
        seen.add(part)
        return url.replace("X-Amz-Date=20", "X-Amz-Date=19").replace("Signature=", "Signature=0")

    with Transfer(tmp_path / "dump", dump_job(server, full, [keys[0]], part_size=PART_SIZE), stale_first) as dump:
        told = dump.result()

    assert sum(len(archive["parts"]) for archive in told["archives"]) > 4


@pytest.mark.parametrize("damage", ["corrupted", "truncated", "longer", "missing"])
def test_a_damaged_part_is_named_and_never_fed(
    server: Cluster,
    store: Bucket,
    database: Make,
    dumped: dict[str, Any],
    sign: Sign,
    keys: tuple[str, str],
    tmp_path: Path,
    damage: str,
) -> None:
    """The second one of an archive of rows."""
    two = database("app")
    key = f"{tmp_path.name}/data-001.0001"
    body = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    if damage == "missing":
        store.client.delete_object(Bucket=BUCKET, Key=key)
    else:
        flipped = body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]
        other = {"corrupted": flipped, "truncated": body[:-1], "longer": body + b"x"}[damage]
        store.client.put_object(Bucket=BUCKET, Key=key, Body=other)

    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign) as load:
        failed(load, "part_damaged", "data-001.0001")


def test_a_dump_that_lost_its_last_part_is_not_taken_for_whole(
    server: Cluster, database: Make, dumped: dict[str, Any], sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Whoever edits the list of parts is found out by the ends of the streams."""
    two = database("app")
    for archive in dumped["archives"]:
        if archive["name"] == "data-001":
            archive["parts"].pop()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign) as load:
        failed(load, "pipe_broken")


def test_a_foreign_key_opens_nothing(
    server: Cluster, database: Make, dumped: dict[str, Any], sign: Sign, tmp_path: Path
) -> None:
    """And says that it is the key."""
    with Transfer(tmp_path / "load", load_job(server, database("app"), identity()[1], dumped), sign) as load:
        failed(load, "wrong_identity")


@pytest.mark.parametrize("name", ["pg_dump", "zstd", "age"])
def test_a_program_that_is_killed_is_named(
    server: Cluster, large: str, sign: Sign, keys: tuple[str, str], tmp_path: Path, name: str
) -> None:
    """In whatever place of the pipe it is."""
    with Transfer(tmp_path / "dump", dump_job(server, large, [keys[0]], part_size=PART_SIZE), sign) as dump:
        dump.leave()
        stands(dump)
        program(dump, name).kill()
        dump.come_back()
        failed(dump, "dump_failed" if name == "pg_dump" else "pipe_broken", f"{name} ended with signal 9")


@pytest.mark.parametrize("name", ["pg_restore", "zstd", "age"])
def test_a_program_of_a_load_that_is_killed_is_named(
    server: Cluster,
    database: Make,
    dumped: dict[str, Any],
    keys: tuple[str, str],
    sign: Sign,
    tmp_path: Path,
    name: str,
) -> None:
    """While the lanes wait for their next parts."""
    with Transfer(tmp_path / "load", load_job(server, database("app"), keys[1], dumped), sign) as load:
        load.withhold(lambda part: part[-4:] >= "0002")
        until(lambda: load.progress().get("step") == "data", "no data flows")
        program(load, name).kill()
        load.withhold(lambda part: False)
        failed(load, "load_failed" if name == "pg_restore" else "pipe_broken", f"{name} ended with signal 9")


@pytest.mark.parametrize("kill", [False, True])
def test_a_server_that_restarts_ends_the_dump(
    tmp_path: Path, keys: tuple[str, str], sign: Sign, server: Cluster, kill: bool
) -> None:
    """Its snapshot is gone; a dump that went on with another one would be of two moments."""
    other = Cluster(server.folder.parent / f"other{kill}", {})
    other.make()
    other.start()
    try:
        other.sql(MANY_ROWS.format("one"))
        with Transfer(tmp_path / "dump", dump_job(other, "postgres", [keys[0]], part_size=PART_SIZE), sign) as dump:
            dump.leave()
            stands(dump)
            other.stop(kill=kill)
            other.start()
            dump.come_back()
            failed(dump, "server_lost")
    finally:
        other.stop()


def test_a_driver_may_be_away(server: Cluster, large: str, sign: Sign, keys: tuple[str, str], tmp_path: Path) -> None:
    """The dump waits for it, and nobody truncates a table meanwhile."""
    with Transfer(tmp_path / "dump", dump_job(server, large, [keys[0]], part_size=PART_SIZE), sign) as dump:
        dump.leave()
        stands(dump)
        with pytest.raises(AssertionError, match="lock timeout"):
            server.sql("SET lock_timeout = '50ms'; TRUNCATE two", large)
        dump.come_back()
        dump.result()


def test_a_driver_that_stays_away_is_given_up(
    server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Nothing is left on the node, and the database is let go of."""
    job = dump_job(server, full, [keys[0]], part_size=PART_SIZE, patience=1.0)
    with Transfer(tmp_path / "dump", job, sign) as dump:
        dump.leave()
        failed(dump, "driver_lost")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name <> 'psql'"
    until(lambda: server.sql(sessions.format(full)) == "0", "sessions are left")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_program_outlives_it(
    server: Cluster, large: str, sign: Sign, keys: tuple[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """Asked to stop, it says that it was stopped; killed, it cannot."""
    with Transfer(tmp_path / "dump", dump_job(server, large, [keys[0]], part_size=PART_SIZE), sign) as dump:
        dump.leave()
        stands(dump)
        children = relatives(dump)
        assert {child.name() for child in children} >= {"pg_dump", "zstd", "age", "psql"}
        os.kill(dump.process.pid or 0, number)
        if number == signal.SIGTERM:
            failed(dump, "stopped")
        assert psutil.wait_procs(children, timeout=10)[1] == []


def test_an_old_client_is_refused(
    server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Before anything else happens."""
    path = stub(tmp_path, "pg_dump", 'echo "pg_dump (PostgreSQL) 9.6.24"')
    with Transfer(tmp_path / "dump", dump_job(server, full, [keys[0]]), sign, path) as dump:
        failed(dump, "client_too_old", "9.6.24", "postgresql-client-15")


def test_a_dump_of_nothing_is_no_dump(
    server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Whatever the exit code says."""
    path = stub(tmp_path, "pg_dump", '[ "$1" != --version ] || echo "pg_dump (PostgreSQL) 99.1"')
    with Transfer(tmp_path / "dump", dump_job(server, full, [keys[0]]), sign, path) as dump:
        failed(dump, "dump_failed", "wrote nothing")


def test_a_tool_that_is_missing_is_named(
    server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Before anything else happens."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("psql", "pg_dump", "pg_dumpall", "zstd", "setpriv", "stdbuf"):
        (tools / name).symlink_to(shutil.which(name) or "")
    with Transfer(tmp_path / "dump", dump_job(server, full, [keys[0]]), sign, str(tools)) as dump:
        failed(dump, "tool_missing", "age")


def stub(folder: Path, name: str, script: str) -> str:
    """A PATH in which a program does this instead."""
    path = folder / "stubs" / name
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"{path.parent}:{os.environ['PATH']}"


def test_a_bucket_that_is_not_there_refuses(
    server: Cluster, store: Bucket, full: str, keys: tuple[str, str], tmp_path: Path
) -> None:
    """At once, and not after many attempts."""
    with Transfer(
        tmp_path / "dump",
        dump_job(server, full, [keys[0]]),
        lambda method, part: store.url(method, part).replace(f"/{BUCKET}/", "/nowhere/"),
    ) as dump:
        failed(dump, "store_refused", "NoSuchBucket")


def test_a_wrong_password_is_said(
    server: Cluster, full: str, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """And is not called a lost server."""
    with Transfer(tmp_path / "dump", dump_job(server, full, [keys[0]], user="app", password="no"), sign) as dump:
        failed(dump, "not_permitted")


def test_a_database_with_tables_is_left_alone(
    server: Cluster, full: str, dumped: dict[str, Any], sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """A load never writes into what is in use."""
    with Transfer(tmp_path / "load", load_job(server, full, keys[1], dumped), sign) as load:
        failed(load, "not_empty", "public.one")
    assert server.sql("SELECT count(*) FROM one", full) == "60000"


def test_an_owner_who_does_not_exist_is_named(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Before anything is made."""
    one, two = database("app"), database("app")
    server.sql("CREATE ROLE passing; CREATE TABLE t (a int); ALTER TABLE t OWNER TO passing", one)
    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]]), sign) as dump:
        told = dump.result()
    server.sql("DROP OWNED BY passing; DROP ROLE passing", one)
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], told), sign) as load:
        failed(load, "role_missing", "passing")
