"""A database's backup: dumped from a node into the store, held against the store, then named by a manifest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from typing import Any

from scaleway.rdb.v1 import Permission, RdbV1API
from temporalio import activity

from activities.backup.carrying import Carrier, Ended, Transfer
from activities.backup.on_node import Reach, require_database
from activities.backup.store import BackupStore, entry_of
from activities.registry import Clouds
from blueprint.backup import contract, layout, sql, verification
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import AssetInput
from blueprint.backup.manifest import DatabaseContents, Manifest, Part, TableFacts
from blueprint.backup.site import DatabaseAsset
from blueprint.errors import BackupFailed, Damaged, EngineError, Gone, PermissionDenied, Refused
from transfer.files import DumpJob, Job

GIVEN_UP = 30.0
"""Seconds without its node after which a dump is begun on another one. The first may go on: nothing that it writes is
taken for a part of the second."""
TABLES = """
SELECT to_json(count(*)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"""


CLOSED = """
SELECT to_json(coalesce(string_agg(c.oid::regclass::text, ', '), ''))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))"""
GUARDED = """
SELECT json_build_object('tables', coalesce(string_agg(c.oid::regclass::text, ', '), ''),
                         'owners', coalesce(json_agg(DISTINCT pg_get_userbyid(c.relowner)), '[]'))
FROM pg_class c WHERE c.relkind = 'r' AND c.relrowsecurity AND row_security_active(c.oid)"""
"""Tables of which whoever asks sees some rows only: pg_dump refuses those, but from their owners."""
OPENED_WITHIN, PAUSE = 10.0, 1.0
"""Seconds until what the API grants has to be granted, and between two looks."""


class Databases:
    """The activity that backs a database up.

    Args:
        clouds: gives an environment's way to Scaleway and to its nodes.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.DATABASE.name, no_thread_cancel_exception=True)
    def database(self, input: AssetInput) -> Entry:
        """Dump a database into the store; the manifest comes last.

        Raises:
            Damaged: the store has not what was sent.
            BackupFailed: the dump is none, although it ended well.
            EngineError: see `Carrier.carry_out`.
        """
        site, began = input.site, activity.info().scheduled_time.timestamp()
        asset = require_database(site, input.asset.partition("/")[2])
        store = BackupStore(self._clouds, site)
        try:
            published = entry_of(store.manifest(asset.asset, input.id))
        except Gone:
            pass
        else:
            # The worker died right after that. Whatever keeps us from its files, the backup is there.
            with suppress(EngineError):
                reach = Reach.of(self._clouds, site, asset)
                Carrier(reach).clear_earlier(self._transfer(input, asset, reach, store))
            return published
        reach = Reach.of(self._clouds, site, asset)
        self._require_readable(reach, asset)
        carrier, transfer = Carrier(reach), self._transfer(input, asset, reach, store)
        ended = carrier.carry_out(transfer)
        contents = contents_of(ended)
        self._require_sound(contents, store, input, reach.ask(asset.name, TABLES))
        published = store.publish(_manifest(input, contents, ended.result, began))
        carrier.clear(transfer, ended.node)
        return published

    def _require_readable(self, reach: Reach, asset: DatabaseAsset) -> None:
        """See that the administrator can read everything. What users made is theirs; only the API can open it.

        Raises:
            Refused: something stays closed to it.
        """
        until = time.monotonic() + OPENED_WITHIN
        while (closed := _closed_to(reach, asset)) and time.monotonic() < until:
            self._clouds.cloud(reach.target).api(RdbV1API).set_privilege(
                instance_id=reach.server.id,
                database_name=asset.name,
                user_name=asset.user,
                permission=Permission.ALL,
            )
            time.sleep(PAUSE)
        if closed:
            remedy = f"as a superuser, or as their owners: GRANT SELECT on them TO {asset.user}"
            raise Refused(f"{asset.user} may not read {closed}", subject=asset.asset, remedy=remedy)
        guarded = reach.ask(asset.name, GUARDED)
        if guarded["tables"]:
            reach.sql(asset.name, sql.become_members(guarded["owners"]))
            guarded = reach.ask(asset.name, GUARDED)
        if tables := guarded["tables"]:
            remedy = f"as a superuser: ALTER ROLE {sql.name(asset.user)} BYPASSRLS"
            raise Refused(f"row-level security hides rows of {tables}", subject=asset.asset, remedy=remedy)

    def _transfer(self, input: AssetInput, asset: DatabaseAsset, reach: Reach, store: BackupStore) -> Transfer:
        server = reach.server

        def job() -> Job:
            return DumpJob(
                server.host,
                server.port,
                server.user,
                server.password,
                asset.name,
                recipients=input.opened.recipients,
                jobs=input.site.lanes,
            )

        def presign(method: str, name: str, token: str) -> str:
            archive, _, index = name.rpartition(".")
            return store.presign_put(
                layout.part(store.store, asset.asset, input.id, attempted(archive, token), int(index))
            )

        return Transfer(f"dump.{asset.name}", input.id, "dump", f"dump {asset.name}", job, presign, GIVEN_UP)

    def _require_sound(self, contents: DatabaseContents, store: BackupStore, input: AssetInput, tables: int) -> None:
        prefix = layout.data(store.store, input.asset, input.id)
        stored = {item.key: item.size for item in store.list(prefix)}
        sizes = {
            (part.archive, part.index): stored[key]
            for part in contents.parts
            if (key := layout.part(store.store, input.asset, input.id, part.archive, part.index)) in stored
        }
        subject = f"{input.asset} {input.id}"
        if wrong := verification.parts_missing(contents, sizes):
            raise Damaged("; ".join(wrong[:5]), subject=subject, remedy="back it up again; nothing was published")
        if wrong := verification.data_missing(contents, tables):
            raise BackupFailed("; ".join(wrong[:5]), subject=subject, remedy="see the node's journal; back it up again")


def _closed_to(reach: Reach, asset: DatabaseAsset) -> str:
    """What the administrator may not read, in words; empty if there is nothing."""
    try:
        return str(reach.ask(asset.name, CLOSED))
    except PermissionDenied:
        return f"the database {asset.name}"


def attempted(archive: str, token: str) -> str:
    """The name of an archive in the store, from the program's: no other attempt writes to it."""
    return f"{archive}-{token}"


def contents_of(ended: Ended) -> DatabaseContents:
    """What a dump says of itself, as a manifest has it."""
    told = ended.result
    database: dict[str, Any] = told["database"]
    archives = {attempted(each["name"], ended.token): each for each in told["archives"]}
    return DatabaseContents(
        parts=tuple(
            Part(archive=name, index=part["index"], size=part["size"], sha256=part["sha256"])
            for name, each in archives.items()
            for part in each["parts"]
        ),
        archives={name: tuple(each["tables"]) for name, each in archives.items()},
        raw={name: each["raw_bytes"] for name, each in archives.items()},
        zstd=any(each["zstd"] for each in told["archives"]),
        tables=tuple(
            TableFacts(name=f"{table['schema']}.{table['name']}", rows=table["rows"], bytes=table["bytes"])
            for table in told["tables"]
        ),
        raw_bytes=told["raw_bytes"],
        database_bytes=database["database_bytes"],
        server_version=database["server_version"],
        client_version=told["pg_dump_version"],
        extensions=tuple(sorted(database["extensions"])),
        owners=tuple(database["owners"]),
        roles=told["roles"],
        lsn=database["lsn"],
        encoding=database["encoding"],
        collation=database["collate"],
        ctype=database["ctype"],
    )


def _manifest(input: AssetInput, contents: DatabaseContents, told: Mapping[str, Any], began: float) -> Manifest:
    now = time.time()
    return Manifest(
        id=input.id,
        asset=input.asset,
        environment=input.site.target.environment,
        point=datetime.fromisoformat(told["database"]["snapshot_time"]).timestamp(),
        started=began,
        ended=now,
        size=sum(part.size for part in contents.parts),
        commit=input.opened.commit,
        reason=input.reason,
        by=input.by,
        engine=metadata.version("scaleway-infra"),
        key=input.site.key,
        recipients=input.opened.recipients,
        locked_until=now + input.opened.locked_for if input.opened.locked_for else 0.0,
        database=contents,
    )
