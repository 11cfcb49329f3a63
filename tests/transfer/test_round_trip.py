"""What has been dumped and loaded is what there was: rows, owners, rights and everything between."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import newer_client
from bench.transfers import BUCKET, Bucket, Cluster, Transfer, dump_job, identity, load_job
from tests.transfer.conftest import PASSWORD
from tests.transfer.nasty import COMMON, SUPERUSERS

Make = Callable[[str], str]
Sign = Callable[[str, str], str]
ADMIN: dict[str, Any] = {"user": "admin", "password": PASSWORD}
PART_SIZE = 300_000


def content(server: Cluster, database: str) -> list[str]:
    """All of a database as text, in which only random marks differ between two dumps."""
    command = ["pg_dump", "--format=plain"]
    told = subprocess.run(command, env=server.environment(database), capture_output=True, text=True, check=True)
    return [line for line in told.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def without(lines: list[str], *names: str) -> list[str]:
    """Lines that name none of these."""
    return [line for line in lines if not any(name in line for name in names)]


def test_a_superuser_gets_everything_back(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """In parts smaller than the archives; the result tells what there was."""
    one, two = database("app"), database("app")
    server.sql(COMMON + SUPERUSERS, one)
    server.sql(f"ALTER DATABASE {one} SET work_mem = '5MB'")

    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]], part_size=PART_SIZE), sign) as dump:
        dumped = dump.result()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign) as load:
        loaded = load.result()

    assert content(server, two) == content(server, one)
    assert [entry for entry in loaded["left_out"] if "EXTENSION" not in entry] == []
    assert loaded["raw_bytes"] == dumped["raw_bytes"] == load.progress()["raw_bytes"]
    rows = {f"{table['schema']}.{table['name']}": table["rows"] for table in dumped["tables"]}
    assert rows["public.users"] == 9002
    assert rows["public.nothing"] == 3
    assert rows["public.events_2023"] + rows["public.events 2024 rest"] == 12000
    assert None not in rows.values()
    assert set(dumped["database"]["owners"]) == {"app", "Odd owner"}
    assert dumped["database"]["settings"] == [": work_mem=5MB"]
    assert {"schema": "public", "name": "lone", "last_value": 10} in dumped["database"]["sequences"]
    assert 'CREATE ROLE "Odd owner"' in dumped["roles"]
    assert "PASSWORD" not in dumped["roles"]
    alone = {table for archive in dumped["archives"] if archive["name"] != "schema" for table in archive["tables"]}
    assert {"public.users", '"Odd schema.x"."Odd ""name"" $*?|[a].b\'c"', '"Odd schema.x"."ODD"'} <= alone
    assert any(len(archive["parts"]) > 1 for archive in dumped["archives"])


def test_a_newer_client_compresses_by_itself(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Than the server, too; and it loads what an older one has dumped."""
    if not (newer := newer_client.path(tmp_path / "newer")):
        pytest.skip("needs root and debootstrap, for newer clients")
    one, two, three = (database("app") for _ in range(3))
    server.sql(COMMON, one)

    for number, (target, path) in enumerate([(two, newer), (three, "")]):
        with Transfer(tmp_path / f"dump{number}", dump_job(server, one, [keys[0]]), sign, path) as dump:
            dumped = dump.result()
        assert {archive["zstd"] for archive in dumped["archives"]} == {not path}
        with Transfer(tmp_path / f"load{number}", load_job(server, target, keys[1], dumped), sign, newer) as load:
            assert load.result()["pg_restore_version"] > "16"
        assert content(server, target) == content(server, one)


def test_a_newer_client_s_errors_are_told(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """It sets what an older server does not know, and goes on; it does not go on after anything else."""
    if not (newer := newer_client.path(tmp_path / "newer")):
        pytest.skip("needs root and debootstrap, for newer clients")
    one, two = database("app"), database("app")
    server.sql("CREATE FUNCTION known() RETURNS int LANGUAGE sql AS 'SELECT 1'", one)
    server.sql("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 9)", one)
    server.sql("CREATE FUNCTION known() RETURNS int LANGUAGE sql AS 'SELECT 2'", two)
    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]]), sign, newer) as dump:
        dumped = dump.result()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign, newer) as load:
        progress = load.wait()
    assert (progress["state"], progress["code"]) == ("failed", "load_failed"), progress["message"]
    assert 'function "known" already exists' in progress["message"]


def test_an_administrator_gives_objects_back_to_their_owners(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Without being a superuser, also to owners that it is no member of and who may create nothing in the schema."""
    one, two = database("_rdb_superadmin"), database("_rdb_superadmin")
    server.sql(COMMON, one)
    # As the products of the cloud do: default privileges of a role that the administrator is not in.
    server.sql(
        "CREATE ROLE outsider; ALTER DEFAULT PRIVILEGES FOR ROLE outsider GRANT SELECT ON TABLES TO reader;"
        "CREATE TABLE outside (a int); ALTER TABLE outside OWNER TO outsider; GRANT SELECT ON outside TO admin",
        one,
    )
    members = "SELECT roleid::regrole, member::regrole FROM pg_auth_members ORDER BY 1, 2"
    before = server.sql(members)

    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]], **ADMIN), sign) as dump:
        dumped = dump.result()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped, **ADMIN), sign) as load:
        load.result()

    assert content(server, two) == content(server, one)
    assert server.sql(members) == before
    assert server.sql(f"SELECT datacl FROM pg_database WHERE datname = '{two}'").count("=") == 1


def test_what_only_a_superuser_can_make_is_left_out_and_said(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Event triggers and publications; the rest is restored."""
    one, two = database("_rdb_superadmin"), database("_rdb_superadmin")
    server.sql(
        "GRANT ALL ON SCHEMA public TO app; SET ROLE app; CREATE TABLE t AS SELECT 1 AS a;"
        "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$; RESET ROLE;"
        "CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION on_ddl(); CREATE PUBLICATION p FOR ALL TABLES",
        one,
    )
    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]]), sign) as dump:
        dumped = dump.result()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped, **ADMIN), sign) as load:
        loaded = load.result()

    assert [entry.split(" - ")[0] for entry in loaded["left_out"]] == ["PUBLICATION", "EVENT TRIGGER"]
    assert server.sql("SET ROLE app; SELECT a FROM t", two) == "1"


def test_without_owners_all_belongs_to_the_role(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """As a copy for another environment needs it, whose roles are others."""
    one, two = database("app"), database("app")
    server.sql('CREATE TABLE t (a int); ALTER TABLE t OWNER TO "Odd owner"; GRANT SELECT ON t TO reader', one)
    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]]), sign) as dump:
        dumped = dump.result()
    options = {**ADMIN, "owners": False, "privileges": False, "role": "app"}
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped, **options), sign) as load:
        load.result()

    assert server.sql("SELECT tableowner FROM pg_tables WHERE tablename = 't'", two) == "app"
    assert server.sql("SELECT relacl IS NULL FROM pg_class WHERE relname = 't'", two) == "t"


def test_a_person_can_restore_by_hand(
    server: Cluster, store: Bucket, database: Make, sign: Sign, tmp_path: Path
) -> None:
    """`cat parts | age -d -i key | zstd -d | pg_restore`, with either of the recipients' keys."""
    one, two = database("app"), database("app")
    server.sql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 60000) AS i", one)
    first, second = identity(), identity()
    job = dump_job(server, one, [first[0], second[0]], part_size=PART_SIZE)
    with Transfer(tmp_path / "dump", job, sign) as dump:
        dumped = dump.result()
    for (_, secret), archive in zip((first, second), dumped["archives"], strict=True):
        keyfile = tmp_path / "key"
        keyfile.write_text(secret)
        whole = b""
        for part in archive["parts"]:
            key = f"{tmp_path.name}/{archive['name']}.{part['index']:04d}"
            body = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert (len(body), hashlib.sha256(body).hexdigest()) == (part["size"], part["sha256"])
            whole += body
        pipe = f"age -d -i {keyfile} | zstd -dc | pg_restore --exit-on-error -d {two}"
        subprocess.run(["bash", "-o", "pipefail", "-c", pipe], input=whole, env=server.environment(two), check=True)

    assert content(server, two) == content(server, one)


def test_a_dump_is_of_one_moment(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path
) -> None:
    """Rows that come and go while lanes run are in all tables or in none."""
    one, two = database("app"), database("app")
    tables = [f"t{number}" for number in range(6)]
    for table in tables:
        server.sql(
            f"CREATE TABLE {table} AS SELECT 0 AS i, repeat(md5(n::text), 8) FROM generate_series(1, 4000) n", one
        )
    writes = "".join(f"INSERT INTO {table} VALUES (:n, '');" for table in tables)
    script = tmp_path / "writes.sql"
    script.write_text(f"\\set n random(1, 1000000000)\nBEGIN;{writes}COMMIT;\n")
    bench = ["pgbench", "-n", "-T", "30", "-f", str(script)]
    with subprocess.Popen(bench, env=server.environment(one), stdout=subprocess.DEVNULL) as writer:
        try:
            with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]], part_size=PART_SIZE), sign) as dump:
                dumped = dump.result()
        finally:
            writer.kill()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign) as load:
        load.result()

    sums = {server.sql(f"SELECT count(*), sum(i) FROM {table}", two) for table in tables}
    assert len(sums) == 1
    assert {table["rows"] for table in dumped["tables"]} == {int(next(iter(sums)).split("|")[0])}


@pytest.mark.parametrize("level", [1, 6])
def test_an_empty_database_is_a_dump_too(
    server: Cluster, database: Make, sign: Sign, keys: tuple[str, str], tmp_path: Path, level: int
) -> None:
    """It has a schema, of nothing."""
    one, two = database("app"), database("app")
    with Transfer(tmp_path / "dump", dump_job(server, one, [keys[0]], level=level), sign) as dump:
        dumped = dump.result()
    with Transfer(tmp_path / "load", load_job(server, two, keys[1], dumped), sign) as load:
        load.result()

    assert [archive["name"] for archive in dumped["archives"]] == ["schema"]
