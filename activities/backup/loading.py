"""A backup of a database, loaded into one that is made for it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import cached_property

from scaleway.rdb.v1 import RdbV1API
from temporalio import activity

from activities.backup.carrying import Carrier, Transfer
from activities.backup.on_node import MAINTENANCE, Reach, require_database
from activities.backup.store import BackupStore
from activities.cloud import pages
from activities.registry import Clouds
from activities.secret_store import remember
from blueprint.backup import contract, layout, ownership, sql
from blueprint.backup.contract import LoadInput, LoadOutput
from blueprint.backup.manifest import DatabaseContents, Manifest
from blueprint.backup.mark import Mark, making
from blueprint.backup.ownership import Ownership, RoleFacts
from blueprint.backup.scratch import require_scratch
from blueprint.backup.site import BackupSite, DatabaseAsset
from blueprint.errors import RestoreRefused, SecretMissing
from blueprint.resource import secret
from transfer.files import Archive, Job, LoadJob, Part

PATIENCE = 120.0
"""Seconds without a sign of the worker after which a load ends by itself."""
GIVEN_UP = PATIENCE + 15.0
"""Seconds without its node after which a load is begun on another one: only one at a time may fill the database."""
_OF_NO_USE = "COMMENT - EXTENSION"
"""Start of what nobody misses in a restored database."""
OWNER = """
SELECT to_json(coalesce((
    SELECT pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1), ''))"""
CLOSING = """
SELECT format('REVOKE ALL ON DATABASE %I FROM %I CASCADE', datname, rolname)
FROM pg_database, aclexplode(datacl) AS granted JOIN pg_roles ON pg_roles.oid = granted.grantee
WHERE {chosen} AND grantee <> datdba AND rolname <> current_user
GROUP BY datname, rolname \\gexec
"""
SCHEMAS = """
SELECT coalesce(json_agg(nspname), '[]') FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"""


class Loading:
    """The activity that loads a backup.

    Args:
        clouds: gives an environment's way to Scaleway and to its nodes.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.LOAD.name, no_thread_cancel_exception=True)
    def load(self, input: LoadInput) -> LoadOutput:
        """Restore a backup into a database that is made for it.

        Raises:
            RestoreRefused: the name could be a live one or is another restore's, or nobody can own what is restored.
            Damaged: a part is missing, or not what was written.
            EngineError: see `Carrier.carry_out`.
        """
        began, there = activity.info().scheduled_time.timestamp(), input.on or input.site
        require_scratch(input.into, [database.name for database in there.databases])
        asset = require_database(there, input.asset.partition("/")[2])
        store = BackupStore(self._clouds, input.site)
        manifest = store.manifest(input.asset, input.id)
        if (contents := manifest.database) is None:
            raise RestoreRefused("is no database's backup", subject=f"{input.asset} {input.id}")
        reach = Reach.of(self._clouds, there, asset)
        carrier, made = Carrier(reach), _Made(self._clouds, input, asset, reach, contents)
        transfer = Transfer(
            name=f"load.{input.into}",
            run=made.run,
            verb="load",
            what=f"load {input.into}",
            job=lambda: made.job(self._identity(input.site, manifest)),
            presign=lambda _, name, token: store.presign_get(part_key(store, input, contents, name)),
            given_up=GIVEN_UP,
        )
        left_out: tuple[str, ...] = ()
        if made.loaded():
            # By an attempt that ended before it could clear the node.
            carrier.clear_earlier(transfer)
        else:
            ended = carrier.carry_out(transfer)
            left_out = tuple(entry for entry in ended.result["left_out"] if not entry.startswith(_OF_NO_USE))
            made.finish()
            carrier.clear(transfer, ended.node)
        seconds = round(time.time() - began, 3)
        return LoadOutput(bytes=contents.raw_bytes, seconds=seconds, left_out=left_out)

    def _identity(self, site: BackupSite, manifest: Manifest) -> str:
        place = manifest.key or site.key
        return identity_in(self._clouds.cloud(site.target).secrets.reveal(secret(place.path, place.name)))


class _Made:
    """The database that gets the backup."""

    def __init__(
        self, clouds: Clouds, input: LoadInput, asset: DatabaseAsset, reach: Reach, contents: DatabaseContents
    ) -> None:
        self._input = input
        self._asset = asset
        self._reach = reach
        self._contents = contents
        self._elsewhere = input.on is not None and input.on.target != input.site.target
        self._cloud = clouds.cloud((input.on or input.site).target)
        self.run = input.run or input.id
        """Of the restore."""
        self._whole = Mark(self.run, "unmasked" if self._elsewhere else "loaded")

    def loaded(self) -> bool:
        """Whether an earlier attempt has come to its end."""
        into = sql.text(self._input.into)
        query = f"SELECT to_json(shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = {into}"
        marks = {str(self._whole), str(Mark(self.run, "loaded"))}
        return any(json.loads(line) in marks for line in self._reach.sql(MAINTENANCE, query + ";\n"))

    def job(self, identity: str) -> Job:
        """Make it anew, empty, and say what goes into it."""
        chosen = self._ownership()
        self._make(chosen)
        server = self._as_maker(chosen).server
        return LoadJob(
            server.host,
            server.port,
            server.user,
            server.password,
            self._input.into,
            identity=identity,
            archives=archives_of(self._contents),
            owners=chosen.owners,
            privileges=chosen.privileges,
            role=chosen.role,
            jobs=self._input.site.lanes,
            patience=PATIENCE,
        )

    def finish(self) -> None:
        """Let users do in it what they may do in the live one, where the dump's own grants could not be kept.

        The administrator, who checks it, may do all. From then on it is loaded.
        """
        chosen = self._ownership()
        if not chosen.privileges:
            self._grant(chosen)
        if self._elsewhere:
            # Until it is masked nobody else gets in; a swap gives it who may connect to the live one.
            self._reach.sql(MAINTENANCE, CLOSING.replace("{chosen}", f"datname = {sql.text(self._input.into)}"))
        self._reach.sql(MAINTENANCE, f"{self._whole.on(self._input.into)};\n")

    def _grant(self, chosen: Ownership) -> None:
        fetch, into = self._cloud.api(RdbV1API).list_privileges, self._input.into
        told = pages(fetch, "privileges", instance_id=self._reach.server.id, database_name=self._asset.name)
        admin, maker = self._asset.user, self._as_maker(chosen)
        privileges = [(each.user_name, str(each.permission)) for each in told if each.user_name != admin]
        statements = ownership.grants(into, [*privileges, (admin, "all")], maker.ask(into, SCHEMAS))
        maker.sql(into, "".join(f"{statement};\n" for statement in statements))

    def _make(self, chosen: Ownership) -> None:
        contents, into, facts = self._contents, sql.name(self._input.into), self._facts
        options = f"OWNER {sql.name(facts.database_owner)} " if facts.database_owner in facts.memberships else ""
        if contents.encoding:
            collate, ctype = sql.text(contents.collation), sql.text(contents.ctype or contents.collation)
            options += f"ENCODING {sql.text(contents.encoding)} LC_COLLATE {collate} LC_CTYPE {ctype}"
        due, *_ = self._reach.sql(MAINTENANCE, making(self._input.into, self.run, options))
        if due != "make":
            why = (
                "is loaded by now: another attempt was faster"
                if due == "loaded"
                else "is there, and not of this restore"
            )
            raise RestoreRefused(why, subject=self._input.into, remedy="choose another name, or drop that database")
        if maker := chosen.user or chosen.role:
            grantable = f"TO {sql.name(maker)} WITH GRANT OPTION;\n"
            self._reach.sql(
                self._input.into,
                # It stays a member: whoever restores once restores again.
                (sql.become_members([maker]) if chosen.role else "")
                + f"GRANT ALL ON DATABASE {into} {grantable}GRANT ALL ON SCHEMA public {grantable}",
            )

    def _as_maker(self, chosen: Ownership) -> Reach:
        """The server, as the user sees it whose everything is."""
        if not chosen.user:
            return self._reach
        names = self._cloud.names
        password = self._cloud.secrets.reveal(secret(names.secret_path, names.postgresql_secret(chosen.user)))
        return replace(self._reach, server=replace(self._reach.server, user=chosen.user, password=password))

    def _ownership(self) -> Ownership:
        names = self._cloud.names
        filled = self._cloud.secrets.filled(names.secret_path)
        known = [role for role in self._facts.roles if names.postgresql_secret(role) in filled]
        return ownership.choose(self._contents.owners, self._facts, known, elsewhere=self._elsewhere)

    @cached_property
    def _facts(self) -> RoleFacts:
        live, reach = self._asset.name, self._reach
        needed = ownership.needed_roles(self._contents.owners, self._asset.user)
        # What it could become a member of is tried, and undone.
        query = f"""
            SELECT json_build_object(
                'roles', (SELECT json_agg(rolname) FROM pg_roles),
                'memberships', (SELECT json_agg(rolname) FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')),
                'database_owner', (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {sql.text(live)}))"""
        (line,) = reach.sql(MAINTENANCE, f"BEGIN;\n{sql.become_members(needed)}{query};\nROLLBACK;\n")
        told = json.loads(line)
        owner = reach.ask(live, OWNER) if told["database_owner"] else ""
        return RoleFacts(
            admin=self._asset.user,
            roles=told["roles"],
            memberships=told["memberships"],
            owner=owner or (live if live in told["roles"] else ""),
            database_owner=told["database_owner"] or "",
        )


def part_key(store: BackupStore, input: LoadInput, contents: DatabaseContents, name: str) -> str:
    """Where a part is, from the name that the program has for it."""
    archive, _, index = name.rpartition(".")
    kept = next(each for each in contents.archives if program_name(each) == archive)
    return layout.part(store.store, input.asset, input.id, kept, int(index))


def program_name(archive: str) -> str:
    """What the program calls an archive: without what tells attempts apart."""
    return archive.rpartition("-")[0]


def archives_of(contents: DatabaseContents) -> tuple[Archive, ...]:
    """A backup's archives, as the program that loads them has them."""
    return tuple(
        Archive(
            program_name(name),
            tables,
            tuple(
                Part(part.index, part.size, part.sha256)
                for part in sorted(contents.parts, key=lambda part: part.index)
                if part.archive == name
            ),
            contents.raw.get(name, 0),
            zstd=contents.zstd,
        )
        for name, tables in contents.archives.items()
    )


def identity_in(value: str) -> str:
    """The secret key in what `age-keygen` wrote.

    Raises:
        SecretMissing: there is none.
    """
    found = next((line.strip() for line in value.splitlines() if line.startswith("AGE-SECRET-KEY-")), None)
    if found is None:
        raise SecretMissing(
            "is no age identity", remedy="restore the version of that secret that begins AGE-SECRET-KEY-"
        )
    return remember(found)
