"""An instance of PostgreSQL, spoken to from a node of its environment: the private network is nowhere else."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scaleway.rdb.v1 import RdbV1API

from activities.cloud import Cloud, pages
from activities.registry import Clouds
from activities.ssh.connections import Outcome
from activities.ssh.nodes import Nodes, on_any
from activities.ssh.script import Script, Value, load
from blueprint.backup.site import BackupSite, DatabaseAsset
from blueprint.contract import Target
from blueprint.errors import (
    Busy,
    CommandFailed,
    EngineError,
    FailedState,
    Gone,
    PermissionDenied,
    Refused,
    RestoreRefused,
    Unavailable,
)
from blueprint.resource import secret

T = TypeVar("T")
PACKAGE = "activities.backup"
MAINTENANCE = "rdb"
"""The database that every instance is made with: where one asks for the others."""
NO_PSQL = 127
UNCONNECTED = 2
"""Exit codes of the scripts: there is no psql, and it has lost its server or never found it."""

_SAID = re.compile(r"(?:ERROR|FATAL): +([0-9A-Z]{5}): (.*)")
_PASSING = {"55006", "55P03", "57014", "40001", "40P01"}
_NOT_THERE = re.compile('FATAL:  database ".*" does not exist')
_LOST = {"57P01", "57P02", "57P03", "53300", "53400", "08006"}


@dataclass(frozen=True)
class Server:
    """Where an instance is, and as whom one logs in there."""

    instance: str
    """Its name, for people."""
    id: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    version: str = ""
    """Major version."""


def server_of(cloud: Cloud, asset: DatabaseAsset) -> Server:
    """The instance of a database, and its administrator.

    Raises:
        Gone: there is no such instance, or it has no private endpoint.
        SecretMissing: nobody knows the administrator's password.
    """
    instance = instance_of(cloud, asset.instance)
    private = next((each for each in instance.endpoints if each.private_network and each.ip), None)
    if private is None:
        raise Gone("has no private endpoint", subject=asset.instance, remedy="apply the environment file")
    password = cloud.secrets.reveal(secret(asset.password.path, asset.password.name))
    version = instance.engine.rpartition("-")[2]
    return Server(asset.instance, instance.id, private.ip, private.port, asset.user, password, version)


def instance_of(cloud: Cloud, name: str) -> Any:
    """The instance of that name, as the API tells it.

    Raises:
        Gone: there is none.
    """
    fetch = cloud.api(RdbV1API).list_instances
    for instance in pages(fetch, "instances", project_id=cloud.project_id, name=name):
        if instance.name == name:
            return instance
    raise Gone("there is no such instance", subject=name, remedy="apply the environment file")


def require_database(site: BackupSite, name: str) -> DatabaseAsset:
    """The database that the environment's file has.

    Raises:
        RestoreRefused: it has none of that name.
    """
    asset = site.database(name)
    if asset is None:
        raise RestoreRefused(f"{site.target.environment} has no database of that name", subject=name)
    return asset


@dataclass(frozen=True)
class Reach:
    """A server, and the nodes from which it is reached."""

    nodes: Nodes
    target: Target
    names: tuple[str, ...]
    """Of the nodes, the preferred one first."""
    server: Server

    @classmethod
    def of(cls, clouds: Clouds, site: BackupSite, asset: DatabaseAsset) -> Reach:
        """The server of a database.

        Raises:
            Gone: see `server_of`.
        """
        return cls(clouds.nodes, site.target, site.nodes, server_of(clouds.cloud(site.target), asset))

    def sql(self, database: str, statements: str) -> tuple[str, ...]:
        """Have psql carry out statements, as the administrator. Returns the lines that it answers.

        Args:
            database: where.
            statements: whatever psql reads.

        Raises:
            Busy: somebody else holds what it needs, for now.
            Gone: there is no such database.
            Unavailable: the server does not answer, or was lost.
            Refused: the administrator may not.
            CommandFailed: the server says no.
        """
        return self.script("psql", database, sql=statements)

    def ask(self, database: str, query: str) -> Any:
        """The one value, in JSON, that a query gives."""
        (line,) = self.sql(database, query + ";")
        return json.loads(line)

    def script(self, name: str, database: str, **parameters: Value) -> tuple[str, ...]:
        """Run one of the scripts that speak to a database. Returns its lines; it raises as `sql`."""
        outcome = self._outcome(name, database, "", **parameters)
        if outcome.status:
            raise _failure(outcome, f"{self.server.instance}/{database}")
        return tuple(line for line in outcome.output if line)

    def each(self, database: str, statements: Sequence[str], options: str) -> list[tuple[bool, str]]:
        """Carry out statements, each by itself: whether it did, and what it answered.

        Args:
            options: the server's settings for them, as in PGOPTIONS.
        """
        outcome = self._outcome("each", database, options, statements=statements)
        told = (line.split(" ") for line in outcome.output)
        return [(status == "0", base64.b64decode(text).decode(errors="replace").strip()) for _, status, text in told]

    def together(self, database: str, statements: Sequence[str]) -> tuple[int, EngineError] | None:
        """Carry out statements in one transaction: the index of the one that failed, and why; None if none did."""
        outcome = self._outcome("together", database, "", statements=statements)
        if not outcome.status:
            return None
        return int(outcome.output[-1]) if outcome.output else 0, _failure(outcome, f"{self.server.instance}/{database}")

    def on_any(self, call: Callable[[str], T], names: Sequence[str] = ()) -> T:
        """What a call gives at the first node that can be reached.

        Args:
            call: takes a node's name.
            names: the nodes; all if empty.

        Raises:
            SshUnreachable: none can.
        """
        return on_any(call, names or self.names)

    def _outcome(self, script: str, database: str, options: str, **parameters: Value) -> Outcome:
        server = self.server
        made = load(
            PACKAGE,
            "connection",
            script,
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=database,
            options=options,
            **parameters,
        )
        return self.on_any(lambda name: self._run(name, made))

    def _run(self, name: str, script: Script) -> Outcome:
        return self.nodes.run(self.target, name, script, ok=(0, 1, UNCONNECTED, 3, NO_PSQL))


def _failure(outcome: Outcome, subject: str) -> EngineError:
    """What psql's exit code and words stand for."""
    if outcome.status == NO_PSQL:
        return Refused("the node has no psql", subject=subject, remedy="apt-get install postgresql-client on it")
    state, why = next((match.groups() for match in map(_SAID.search, outcome.tail.splitlines()) if match), ("", ""))
    words = why or next((line for line in outcome.tail.splitlines() if "FATAL" in line), "") or outcome.tail
    if state in _PASSING or "concurrently updated" in words:
        return Busy(words, subject=subject)
    if "authentication failed" in words or "permission denied for database" in words:
        return PermissionDenied(
            words, subject=subject, remedy="see that the administrator's password is the one in Secret Manager"
        )
    if outcome.status == UNCONNECTED and _NOT_THERE.search(words):
        return Gone(words, subject=subject, remedy="apply the environment file, which makes it, empty; then restore it")
    if state in _LOST or outcome.status == UNCONNECTED:
        return Unavailable(f"the server does not answer: {words}", subject=subject)
    if state == "42501":
        return Refused(words, subject=subject, remedy="let the administrator do it: GRANT it the role that may")
    if state == "53100":
        return FailedState(words, subject=subject, remedy="give the instance a larger volume")
    return CommandFailed(words, subject=subject)
