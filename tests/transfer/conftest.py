"""One PostgreSQL server and one bucket for all of these tests; each test has databases and keys of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.transfers import Bucket, Cluster, bucket, cluster, identity, missing

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """PostgreSQL, with the roles of a managed instance."""
    if trouble := missing():
        pytest.skip(trouble)
    folder = tmp_path_factory.mktemp("postgresql")
    # The server's own user must be let through.
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    with cluster(folder / "server", max_connections="40") as running:
        running.sql(ROLES)
        yield running


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket of a local Scaleway."""
    with bucket(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture(scope="session")
def keys() -> tuple[str, str]:
    """A pair of age's keys: the public and the secret one."""
    return identity()


@pytest.fixture
def database(server: Cluster) -> Callable[[str], str]:
    """Makes an empty database with this owner, as a managed instance makes it; its name."""

    def make(owner: str) -> str:
        name = f"db{next(_NUMBERS)}"
        server.sql(f'CREATE DATABASE {name} OWNER "{owner}"; REVOKE ALL ON DATABASE {name} FROM PUBLIC')
        return name

    return make


@pytest.fixture
def sign(store: Bucket, tmp_path: Path) -> Callable[[str, str], str]:
    """Presigns a part's URL, under a prefix of the test's own."""
    return lambda method, part: store.url(method, f"{tmp_path.name}/{part}")


PASSWORD = "it's \\ secret"
ROLES = """
CREATE ROLE _rdb_superadmin;
CREATE ROLE admin LOGIN CREATEDB CREATEROLE PASSWORD 'it''s \\ secret';
GRANT _rdb_superadmin TO admin;
CREATE ROLE app LOGIN PASSWORD 'app';
CREATE ROLE "Odd owner" LOGIN PASSWORD 'odd';
CREATE ROLE reader;
GRANT app, "Odd owner" TO admin;
"""
