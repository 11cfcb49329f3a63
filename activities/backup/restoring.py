"""What becomes of a restored database: it is checked, made harmless, dropped, or takes the place of the live one."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from temporalio import activity

from activities.backup.on_node import MAINTENANCE, Reach, require_database
from activities.backup.store import BackupStore
from activities.cloud import Cloud
from activities.registry import Clouds
from activities.ssh.nodes import is_to_end
from blueprint.backup import contract, scratch, sql, swap, verification
from blueprint.backup.contract import (
    DropInput,
    DropOutput,
    MaskInput,
    SwapInput,
    SwapOutput,
    VerifyInput,
    VerifyOutput,
)
from blueprint.backup.manifest import DatabaseContents
from blueprint.backup.mark import is_of, mark_in, moved, require_whole
from blueprint.backup.scratch import require_scratch
from blueprint.backup.site import BackupSite, DatabaseAsset
from blueprint.backup.swap import DatabaseFacts
from blueprint.backup.verification import Answer, RestoredFacts
from blueprint.errors import Busy, RestoreRefused, Retryable
from blueprint.resource import secret

CHECK_SECONDS = 60
"""That a question of the file may take."""
TRIES, PAUSE = 3, 1.0
"""Windows of a swap that are tried, and the seconds between: each keeps everybody out for some seconds."""

TABLES = """
SELECT json_build_object(
    'tables', (SELECT coalesce(json_object_agg(
                   n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname)), '{}')
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
    'extensions', (SELECT json_agg(extname) FROM pg_extension),
    'invalid', (SELECT coalesce(json_agg(indexrelid::regclass::text), '[]') FROM pg_index WHERE NOT indisvalid))"""


class Restoring:
    """The activities around a restored database.

    Args:
        clouds: gives an environment's way to Scaleway and to its nodes.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.VERIFY.name, no_thread_cancel_exception=True)
    def verify(self, input: VerifyInput) -> VerifyOutput:
        """Hold a restored database against its manifest and the file's assertions."""
        asset = require_database(input.site, input.asset.partition("/")[2])
        manifest = BackupStore(self._clouds, input.site).manifest(input.asset, input.id)
        if (contents := manifest.database) is None:
            raise RestoreRefused("is no database's backup", subject=f"{input.asset} {input.id}")
        reach = self._reach(input.on or input.site, asset.name)
        verdict = verification.judge(asset, contents, manifest.point, _facts(reach, input.database, asset, contents))
        return VerifyOutput(findings=verdict.findings, checked=verdict.checked)

    @activity.defn(name=contract.DROP.name, no_thread_cancel_exception=True)
    def drop(self, input: DropInput) -> DropOutput:
        """Drop scratch databases; those that do not exist are dropped already.

        Raises:
            RestoreRefused: a name could be a live one; nothing is dropped then.
        """
        for name in input.names:
            require_scratch(name, _live(input.site))
        dropped: list[str] = []
        for asset in {asset.instance: asset for asset in input.site.databases}.values():
            reach = self._reach(input.site, asset.name)
            found = _databases(reach)
            there = {each.name for each in found if not input.run or is_of(each.name, each.comment, input.run)}
            drills = (name for name in there if name.startswith(scratch.DRILL))
            for name in sorted(there.intersection(input.names or drills)):
                require_scratch(name, _live(input.site))
                reach.sql(MAINTENANCE, sql.dropped(name))
                dropped.append(name)
        return DropOutput(names=tuple(dropped))

    @activity.defn(name=contract.MASK.name, no_thread_cancel_exception=True)
    def mask(self, input: MaskInput) -> VerifyOutput:
        """Make a restored database harmless. Where that fails it is dropped: nothing unmasked stays.

        Raises:
            RestoreRefused: the name could be a live one.
        """
        require_scratch(input.restored, _live(input.on))
        statements = require_database(input.site, input.database).mask
        reach = self._reach(input.on, input.database)
        found = _databases(reach, [input.restored])
        if not found:
            return VerifyOutput(findings=(f"{input.restored} is not there any more",), checked=())
        mark = mark_in(found[0].comment)
        if mark and mark.state == "loading":
            require_whole(input.restored, found[0].comment)
        # In the same transaction: what is marked as harmless is, and it is made so once.
        done = [mark._replace(state="loaded").on(input.restored)] if mark else []
        due = () if mark and mark.state == "loaded" else (*statements, *done)
        failed = reach.together(input.restored, due) if due else None
        if failed is None:
            return VerifyOutput(findings=(), checked=(f"{len(statements)} statements of `mask`",) if statements else ())
        index, error = failed
        if isinstance(error, Retryable):
            raise error
        reach.sql(MAINTENANCE, sql.dropped(input.restored))
        return VerifyOutput(
            findings=(f"mask statement {index + 1}: {error.message}; {input.restored} was dropped",), checked=()
        )

    @activity.defn(name=contract.SWAP.name, no_thread_cancel_exception=True)
    def swap(self, input: SwapInput) -> SwapOutput:
        """Let a restored database take the place of the live one, which is kept under another name if there is one.

        Raises:
            RestoreRefused: a name could be a live one, the databases are not there, or somebody who is connected
                cannot be cut off. The live one is as it was then.
        """
        there = input.on or input.site
        for name in (input.restored, input.kept):
            require_scratch(name, _live(there))
        reach, why = self._reach(there, input.database), ""
        names = (input.database, input.restored, input.kept)
        for tried in range(TRIES):
            found = {database.name: database for database in _databases(reach, names)}
            if set(found) == {input.database} and moved(input.restored, found[input.database].comment):
                return SwapOutput(seconds=0.0, closed=0)
            due = swap.due(found, *names)
            if due == "move":
                _move(reach, found[input.restored], input.database)
                return SwapOutput(seconds=0.0, closed=0)
            if due == "done":
                reach.sql(MAINTENANCE, swap.opened(names))
                # Nobody knows how long the attempt took that did it.
                since = activity.info().scheduled_time.timestamp()
                return SwapOutput(seconds=round(time.time() - since, 3), closed=0)
            try:
                if answer := _swapped(
                    reach, self._clouds.cloud(there.target), found[input.database], found[input.restored], input.kept
                ):
                    return answer
            except Busy as error:
                why = error.message
            if is_to_end() or tried == TRIES - 1:
                break
            time.sleep(PAUSE)
        raise RestoreRefused(
            f"could not take the place of {input.database}, which is as it was: {why or 'another swap is under way'}",
            subject=input.restored,
            remedy="see in pg_stat_activity who is connected, end that, and repeat",
        )

    def _reach(self, site: BackupSite, database: str) -> Reach:
        return Reach.of(self._clouds, site, require_database(site, database))


def _live(site: BackupSite) -> list[str]:
    return [database.name for database in site.databases]


def _move(reach: Reach, restored: DatabaseFacts, name: str) -> None:
    """Give a restored database a name that nobody has. Who may connect is for `apply` to say."""
    require_whole(restored.name, restored.comment)
    swap.require_mine([restored], reach.server.user)
    reach.sql(MAINTENANCE, f"ALTER DATABASE {sql.name(restored.name)} RENAME TO {sql.name(name)};\n")


def _swapped(reach: Reach, cloud: Cloud, live: DatabaseFacts, restored: DatabaseFacts, kept: str) -> SwapOutput | None:
    """Swap, unless an earlier attempt is faster."""
    # The administrator may end others' connections from now on, as far as the server lets it say so.
    roles = (live.owner, restored.owner, "pg_signal_backend")
    reach.sql(MAINTENANCE, sql.become_members(dict.fromkeys(roles)))
    names = (live.name, restored.name, kept)
    swap.require_mine(_databases(reach, names), reach.server.user)
    require_whole(restored.name, restored.comment)
    reach.sql(MAINTENANCE, ";\n".join([*swap.carried_over(live, restored), ""]))
    users = _on_their_own(reach, cloud, swap.grantees(live))
    answered = reach.script(
        "swap",
        MAINTENANCE,
        closing=swap.closing(live),
        users=list(users),
        passwords=list(users.values()),
        restored=restored.name,
        ending=swap.ending(live),
        window=swap.window(live, restored.name, kept),
        opening=swap.opened(names),
    )
    if not answered:
        return None
    told = json.loads(answered[-1])
    return SwapOutput(seconds=round(told["seconds"], 3), closed=told["closed"])


def _on_their_own(reach: Reach, cloud: Cloud, users: Sequence[str]) -> dict[str, str]:
    """Those of these users whose sessions the administrator may not end, with the passwords that Secret Manager has."""
    filled, names = cloud.secrets.filled(cloud.names.secret_path), cloud.names
    query = f"""
        SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles
        WHERE rolname = ANY ({sql.texts(users)}) AND NOT {swap.MAY_END}"""
    return {
        user: cloud.secrets.reveal(secret(names.secret_path, names.postgresql_secret(user)))
        for user in reach.ask(MAINTENANCE, query)
        if names.postgresql_secret(user) in filled
    }


def _databases(reach: Reach, names: Sequence[str] = ()) -> list[DatabaseFacts]:
    """Databases of a server; all if no names are given."""
    chosen = f"datname = ANY ({sql.texts(names)})" if names else "NOT datistemplate"
    told = reach.ask(MAINTENANCE, swap.LOOK.replace("{chosen}", chosen))
    return [DatabaseFacts.model_validate(each) for each in told]


def _facts(reach: Reach, database: str, asset: DatabaseAsset, contents: DatabaseContents) -> RestoredFacts:
    told = reach.ask(database, TABLES)
    tables: dict[str, str] = told["tables"]
    migrations = verification.present(asset.migrations, tables) if asset.migrations else None
    counted = {table.name for table in contents.tables if table.rows is not None} | (
        {migrations} if migrations else set()
    )
    counts = [
        f"SELECT json_build_array({sql.text(name)}, count(*)) FROM ONLY {tables[name]};\n"
        for name in sorted(counted & tables.keys())
    ]
    rows = dict(json.loads(line) for line in reach.sql(database, "".join(counts))) if counts else {}
    newest, questions = asset.newest, [check.sql for check in asset.checks]
    newest_in = verification.present(newest.table, tables) if newest else None
    if newest and newest_in:
        questions.append(f"SELECT extract(epoch FROM max({sql.name(newest.column)})) FROM {tables[newest_in]}")
    options = f"-c default_transaction_read_only=on -c statement_timeout={CHECK_SECONDS}s"
    answers = [
        Answer(value=text) if answered else Answer(error=text)
        for answered, text in (reach.each(database, questions, options) if questions else ())
    ]
    return RestoredFacts(
        tables=tuple(tables),
        rows=rows,
        newest=answers.pop() if newest_in else None,
        extensions=tuple(told["extensions"] or ()),
        invalid_indexes=tuple(told["invalid"]),
        answers={check.name: answer for check, answer in zip(asset.checks, answers, strict=True)},
    )
