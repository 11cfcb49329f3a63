"""The site of database backups: one real machine, one real PostgreSQL with a database, and a bucket for its backups."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.backup.databases import Databases
from activities.backup.loading import Loading
from activities.backup.restoring import Restoring
from activities.backup.store import BackupStore
from activities.ssh.script import Script
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput, LoadInput, LoadOutput, OpenOutput, VerifyInput, VerifyOutput
from blueprint.backup.site import BackupSite, DatabaseAsset, Retention, SecretPlace, Store
from blueprint.errors import EngineError, Retryable
from blueprint.resource import secret
from emulator.real.machines.follower import Machines
from emulator.real.postgresql.client import Client, programs
from emulator.real.postgresql.server import socket_of
from tests.activities.conftest import TARGET
from tests.activities.ssh_site import INSTANCE, NODE, SECRETS, Behind
from tests.emulator.real.local import eventually, real_emulator

OBSTACLE = Machines(Path("/nowhere")).obstacle() or (None if programs() else "needs postgresql")
RDB = "/rdb/v1/regions/fr-par/instances"
ADMIN, USER, LIVE = "lssm_prod_admin", "equitya", "equitya"
PASSWORD = "S3cret-'pass"
"""With a quote, which must neither end the text of a statement nor reach a log."""
SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers, at timestamptz DEFAULT now(),
    note text);
CREATE TABLE migrations (id int PRIMARY KEY);
CREATE INDEX ON orders (at);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 100) n;
INSERT INTO orders (customer, note) SELECT 1 + n % 100, md5(n::text) FROM generate_series(1, 20000) n;
INSERT INTO migrations VALUES (1), (2);
"""


class DatabaseSite(Behind):
    """`lssm-prod` with a node, a database that its user has filled, and a bucket for backups.

    Attributes:
        api: the local Scaleway.
        site: what is backed up.
        store: where to.
    """

    def __init__(self, api: Any, folder: Path) -> None:
        super().__init__(api, folder)
        self.api = api
        server = self.server(NODE)["id"]
        self.call("POST", f"{INSTANCE}/servers/{server}/action", {"action": "poweron"})
        self.instance = self.made_instance("db-lssm-prod", ADMIN, self.network)
        key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
        self.recipient = next(line for line in key.splitlines() if "public key" in line).rpartition(" ")[2]
        for name, value in (
            ("backup-key", key),
            ("postgresql-lssm-prod-admin", PASSWORD),
            (f"postgresql-{USER}", PASSWORD),
        ):
            self.secret(name, value)
        self.site = BackupSite(
            target=TARGET,
            nodes=(NODE,),
            store=Store(bucket="lssm-prod-backup", region=TARGET.region, prefix="lssm-prod"),
            key=SecretPlace(path="/lssm/prod", name="backup-key"),
            databases=(
                DatabaseAsset(
                    name=LIVE,
                    instance="db-lssm-prod",
                    user=ADMIN,
                    password=SecretPlace(path="/lssm/prod", name="postgresql-lssm-prod-admin"),
                ),
            ),
            retention=Retention(last=3, daily=0, weekly=0, monthly=0, yearly=0, least_good=0, drilled_within=1e9),
            late_after=1e6,
            smallest=0.0,
        )
        self.store = BackupStore(self.clouds, self.site)
        self.store.s3.create_bucket(Bucket=self.site.store.bucket)
        self.databases, self.loading = Databases(self.clouds), Loading(self.clouds)
        self.restoring = Restoring(self.clouds)
        self._ids = 0
        self.sql(SCHEMA, user=USER)
        eventually(self._lets_us_in, "the node lets us in")

    # -- what is there -----------------------------------------------------------------------------------------

    def secret(self, name: str, value: str, path: str = "/lssm/prod") -> None:
        """A secret, with a value."""
        self.call("POST", SECRETS, {"name": name, "path": path, "project_id": self.cloud.project_id})
        self.cloud.secrets.store(path, name, value)

    def reveal(self, name: str) -> str:
        """Its value."""
        return self.cloud.secrets.reveal(secret("/lssm/prod", name))

    @property
    def asset(self) -> DatabaseAsset:
        """The database."""
        return self.site.databases[0]

    def changed(self, **changes: Any) -> BackupSite:
        """The site, with other assertions on its database."""
        return self.site.model_copy(update={"databases": (self.asset.model_copy(update=changes),)})

    def command(self, database: str = LIVE, user: str = USER, instance: Any = None) -> tuple[list[str], dict[str, str]]:
        """A psql, and its environment."""
        [endpoint] = (instance or self.instance)["endpoints"]
        env = {"PGHOST": endpoint["ip"], "PGPORT": str(endpoint["port"]), "PGUSER": user, "PGPASSWORD": PASSWORD}
        return ["psql", "--no-psqlrc", "-qAtX"], {"PATH": os.environ["PATH"], "PGDATABASE": database, **env}

    def sql(self, text: str, database: str = LIVE, user: str = USER, instance: Any = None) -> str:
        """What a user is answered; the error if there is one."""
        command, env = self.command(database, user, instance)
        done = subprocess.run([*command, "-c", text], env=env, capture_output=True, text=True, timeout=60, check=False)
        return (done.stdout or done.stderr).strip()

    def sql_file(self, text: str) -> str:
        """The first line that the administrator is answered to what psql reads as a file."""
        command, env = self.command("rdb", ADMIN)
        done = subprocess.run([*command, "-f", "-"], env=env, input=text, capture_output=True, text=True, check=True)
        return done.stdout.partition("\n")[0]

    def as_superuser(self, text: str) -> str:
        """What the server answers to those who run it."""
        [endpoint] = self.instance["endpoints"]
        return asyncio.run(Client(socket_of(self.instance["id"]), endpoint["port"]).sql(text))

    def databases_there(self) -> set[str]:
        """Names of all databases of the server."""
        return set(self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate").split())

    def on_node(self, text: str) -> str:
        """What a script on the node prints."""
        return "\n".join(self.clouds.nodes.run(TARGET, NODE, Script("test", f"set -e\n{text}")).output)

    def units(self) -> str:
        """Transfers on the node, and what they left there."""
        listed = "systemctl list-units --all --plain --no-legend 'scaleway-infra-*'"
        return self.on_node(f"{listed}; ls -d /run/scaleway-infra/*.* 2>/dev/null | grep -v pyz || true")

    def keys(self, prefix: str = "") -> list[str]:
        """What is in the store."""
        return [item.key for item in self.store.list(prefix)]

    # -- steps -------------------------------------------------------------------------------------------------

    def next_id(self) -> str:
        """Of another backup run."""
        self._ids += 1
        return f"20261126T1430{self._ids:02d}Z-3f2a"

    def asset_input(self, id: str = "", site: BackupSite | None = None) -> AssetInput:
        """A backup of the database to make."""
        opened = OpenOutput(recipients=(self.recipient,))
        return AssetInput(site=site or self.site, asset=self.asset.asset, id=id or self.next_id(), opened=opened)

    def step(self, call: Callable[[Any], Any], argument: Any, at: datetime | None = None, node: str = "") -> Any:
        """One attempt of an activity, as Temporal begins it.

        Args:
            node: that an earlier attempt has told of.
        """
        environment = ActivityEnvironment()
        details = [{"node": node}] if node else []
        scheduled = at or datetime.now(UTC)
        environment.info = replace(environment.info, scheduled_time=scheduled, heartbeat_details=details)
        return environment.run(call, argument)

    def backed_up(self, id: str = "", site: BackupSite | None = None) -> Entry:
        """A backup, whatever it takes that a retry can cure."""
        request = self.asset_input(id, site)
        deadline = time.monotonic() + 60
        while True:
            try:
                entry: Entry = self.step(self.databases.database, request)
            except Retryable:
                if time.monotonic() > deadline:
                    raise
            else:
                return entry

    def load(self, entry: Entry, into: str, site: BackupSite | None = None, **more: Any) -> LoadOutput:
        """A backup in a database of its own."""
        request = LoadInput(site=site or self.site, asset=entry.asset, id=entry.id, into=into, **more)
        done: LoadOutput = self.step(self.loading.load, request)
        return done

    def verify(self, entry: Entry, database: str, site: BackupSite | None = None, **more: Any) -> VerifyOutput:
        """What is found in it."""
        request = VerifyInput(site=site or self.site, asset=entry.asset, id=entry.id, database=database, **more)
        done: VerifyOutput = self.step(self.restoring.verify, request)
        return done

    def _lets_us_in(self) -> bool:
        try:
            self.on_node("true")
        except EngineError:
            return False
        return True

    def made_instance(self, name: str, admin: str, network: str) -> Any:
        """An instance with the database and its user."""
        body = {
            "name": name,
            "engine": "PostgreSQL-16",
            "node_type": "DB-DEV-S",
            "volume_type": "sbs_5k",
            "volume_size": 10_000_000_000,
            "user_name": admin,
            "password": PASSWORD,
            "init_endpoints": [{"private_network": {"private_network_id": network, "ipam_config": {}}}],
        }
        path = f"{RDB}/{self.call('POST', RDB, body)['id']}"
        eventually(lambda: self.call("GET", path)["status"] == "ready", "ready")
        made = self.call("GET", path)
        self.call("POST", f"{path}/databases", {"name": LIVE})
        self.call("POST", f"{path}/users", {"name": USER, "password": PASSWORD, "is_admin": False})
        self.call("PUT", f"{path}/privileges", {"database_name": LIVE, "user_name": USER, "permission": "all"})
        eventually(lambda: self.sql("SELECT 1", instance=made) == "1", "the user gets in")
        return made


@contextmanager
def database_site(folder: Path) -> Iterator[DatabaseSite]:
    """A node, a database and a store, for as long as the context lasts."""
    with real_emulator(folder) as api:
        made = DatabaseSite(api, folder)
        try:
            yield made
        finally:
            made.clouds.nodes.close()
