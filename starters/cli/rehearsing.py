"""`rehearse`: a release, on this computer, under load, before it is one in production."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import click

from blueprint.errors import EngineError
from starters.cli.exits import Exit, UsageRefused
from starters.cli.session import Session, environment_argument, pass_session
from starters.rehearsal import Rehearsal, Traffic


class RehearsalFailed(EngineError):
    """The release did not go through, or somebody noticed it."""

    code = "rehearsal_failed"


@click.command()
@environment_argument
@click.option("--ref", required=True, help="Branch, tag or commit to deploy under load.")
@click.option("--from", "before", metavar="REF", help="What runs before; the first parent of --ref if left out.")
@click.option("--repository", metavar="PATH", help="Take the application from here, instead of from `app.repository`.")
@click.option("--nodes", type=click.IntRange(min=1), help="How many, instead of what the file says.")
@click.option("--rate", type=float, default=200.0, show_default=True, help="Requests per second.")
@click.option("--sockets", type=int, default=200, show_default=True, help="WebSockets held open.")
@click.option("--jobs", type=float, default=1.0, show_default=True, help="Jobs per second put on the queue.")
@click.option("--latency", type=float, default=0.05, show_default=True, help="Factor on Scaleway's real delays.")
@pass_session
def rehearse(
    session: Session,
    environment: str,
    ref: str,
    before: str | None,
    repository: str | None,
    nodes: int | None,
    rate: float,
    sockets: int,
    jobs: float,
    latency: float,
) -> int:
    """Deploy a release on this computer, under load, and report what users would have noticed.

    The environment is made on the local Scaleway: real systemd machines behind a real load balancer. Needs Linux and
    root. Secrets that people provide are made up.

    \b
    Example: scaleway-infra rehearse prod --ref main
    """
    loaded = session.load(environment)
    app = loaded.environment.app
    if app is None:
        remedy = "docs/environment.md says what it is"
        raise UsageRefused("the file has no `app`", subject=environment, remedy=remedy)
    changes = {"nodes": {app.nodes: {**loaded.data["nodes"][app.nodes], "count": nodes}}} if nodes else {}
    with tempfile.TemporaryDirectory(prefix="scaleway-infra-rehearsal-") as folder:
        rehearsal = Rehearsal(
            Path(folder),
            loaded.data,
            repository or app.repository,
            latency=latency,
            say=lambda line: session.stderr.print(line),
            changes=changes,
        )
        with rehearsal:
            traffic = Traffic(rate=rate, sockets=sockets, jobs=jobs)
            return _rehearse(session, rehearsal, ref, before or rehearsal.parent_of(ref), traffic)


def _rehearse(session: Session, rehearsal: Rehearsal, ref: str, before: str, traffic: Traffic) -> int:
    name = rehearsal.name
    session.stderr.print(f"Watch it in the Temporal UI: {rehearsal.endpoints.temporal_ui_url}")
    _step(rehearsal, "apply", name, "--yes")
    _step(rehearsal, "deploy", name, "--ref", before, "--yes")
    with rehearsal.load(traffic) as load:
        deployed = rehearsal.run("deploy", name, "--ref", ref, "--yes", check=False).returncode == Exit.DONE
        seen = load.end()
    session.console.print(load.printed, markup=False)
    if session.is_json:
        session.print_json({"released": deployed, "report": seen.model_dump(mode="json")})
    if not deployed:
        raise RehearsalFailed("the release did not go through", subject=ref, remedy="see above why")
    if seen.failed:
        raise RehearsalFailed("users would have noticed", subject=ref, remedy="see above what failed")
    return Exit.DONE


def _step(rehearsal: Rehearsal, *arguments: str) -> None:
    try:
        rehearsal.run(*arguments)
    except subprocess.CalledProcessError as error:
        raise RehearsalFailed(
            f"`{' '.join(arguments)}` ended with {error.returncode}", remedy="see above why"
        ) from None
