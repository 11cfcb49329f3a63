"""Commands for workers: run one, list versions, let new runs begin on one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table

from blueprint.moments import moment
from starters import worker_versions
from starters.cli.exits import Exit
from starters.cli.session import Session, pass_session
from starters.worker_versions import Version, explained
from workflows.versioning import build_id_from, deployment_name


@click.group()
def worker() -> None:
    """Run a worker; list its versions, and say which one new runs begin on.

    \b
    In this terminal:  scaleway-infra worker run
    Under systemd:     deploy/scaleway-infra-worker@.service, an instance for each version:
                       systemctl enable --now scaleway-infra-worker@0.2.0
    In compose:        docker-compose.temporal.yml has one; several: up --detach --scale worker=2

    Workers have a version if TEMPORAL_DEPLOYMENT_NAME or TEMPORAL_WORKER_BUILD_ID is set for them, as the unit does.
    A run then ends on the version that it began with. To replace a version:

    \b
      1. start workers of the new one beside those of the old one
      2. scaleway-infra worker promote       new runs begin on the new one
      3. scaleway-infra worker versions      once the old one has no runs, stop its workers

    Without a version any worker goes on with any run: replace it in place, if the new code replays what is under way.
    """


@worker.command()
def run() -> None:
    """Run a worker in the foreground. `python -m worker --help` lists its settings."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "worker"])


@worker.command()
@pass_session
def versions(session: Session) -> int:
    """List the versions that Temporal knows; ends with 1 if runs wait for a worker that is not there."""

    async def main() -> int:
        found = await worker_versions.versions(await session.engine(), deployment_name(os.environ))
        good, words, remedy = explained(found)
        if session.is_json:
            session.print_json([asdict(version) for version in found])
        else:
            if found:
                session.console.print(_table(found))
            session.console.print(words if good else f"{words}\n  -> {remedy}")
        return Exit.DONE if good else Exit.FAILED

    return session.run(main)


@worker.command()
@click.argument("build_id", required=False)
@pass_session
def promote(session: Session, build_id: str | None) -> None:
    """Let new runs begin on a version: BUILD_ID, or that of the code that this command is part of.

    Runs under way stay where they are. The same command with the old version goes back.
    """
    chosen = build_id or build_id_from(os.environ)

    async def main() -> None:
        engine = await session.engine()
        await worker_versions.promote(engine, deployment_name(os.environ), chosen)
        session.stderr.print(f"New runs begin on {chosen}.")

    session.run(main)


def _table(found: Sequence[Version]) -> Table:
    table = Table("version", "is", "since", "runs", "workers", box=None, pad_edge=False, header_style="bold")
    for version in found:
        since = moment(version.since) if version.since else ""
        table.add_row(version.build_id, version.status, since, str(version.runs), str(version.workers))
    return table
