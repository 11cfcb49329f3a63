"""Commands that change nothing: validate, schema, plan, drift, status, graph."""

from __future__ import annotations

import click

from blueprint.backup.health import AssetHealth
from blueprint.backup.site_of import backup_site
from blueprint.contract import InventoryInput
from blueprint.environment.schema import json_schema
from blueprint.errors import EngineError, HealthUnknown
from blueprint.graph import in_dependency_order, resources_of
from blueprint.health.contract import HealthOutput
from blueprint.health.site_of import health_site
from blueprint.plan import Plan
from blueprint.plan_markdown import plan_markdown
from starters.backups import backups
from starters.cli.exits import Exit
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.watch import patiently
from starters.engine import Engine
from starters.health import health
from starters.releases import records
from starters.render.backup_text import assets_text
from starters.render.graph import by_plan, mermaid
from starters.render.health_text import health_table
from starters.render.plan_json import plan_json
from starters.render.plan_text import plan_text
from starters.render.release_text import release_record_text
from starters.render.status_table import status_json, status_table

adopt_option = click.option(
    "--adopt",
    multiple=True,
    metavar="KEY",
    help="Make an object made by hand ours (repeatable, globs).",
)
destroy_option = click.option(
    "--allow-destroy", multiple=True, metavar="KEY", help="Let a protected object go (repeatable, globs)."
)
refresh_option = click.option("--refresh", is_flag=True, help="Read every bucket and queue, not only what changed.")
detailed_option = click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if changes are pending.")


@click.command()
@environment_argument
@pass_session
def validate(session: Session, environment: str) -> None:
    """Check an environment file, without any network.

    \b
    Example: scaleway-infra validate prod
    """
    resources = in_dependency_order(resources_of(session.load(environment).environment))
    if session.is_json:
        session.print_json({"valid": True, "resources": [resource.key for resource in resources]})
    else:
        session.console.print(f"{environment} is valid: {len(resources)} resources.")


@click.command()
@pass_session
def schema(session: Session) -> None:
    """Print the JSON Schema of environment files, for editors."""
    session.print_json(json_schema())


@click.command()
@environment_argument
@adopt_option
@destroy_option
@refresh_option
@detailed_option
@click.option("--destroy", is_flag=True, help="Plan the removal of everything instead.")
@click.option("--markdown", is_flag=True, help="Print it for a pull request.")
@pass_session
def plan(
    session: Session,
    environment: str,
    adopt: tuple[str, ...],
    allow_destroy: tuple[str, ...],
    refresh: bool,
    detailed_exitcode: bool,
    destroy: bool,
    markdown: bool,
) -> int:
    """Show what an apply would do.

    \b
    Examples: scaleway-infra plan prod
              scaleway-infra plan prod --markdown > comment.md
              scaleway-infra --output json plan prod --detailed-exitcode
    """
    request = session.load(environment).request(
        adopt=adopt, allow_destroy=allow_destroy, refresh=refresh, destroy=destroy
    )

    async def main() -> Plan:
        engine = await session.engine()
        return await patiently(session, engine, engine.plan(request), f"planning {environment}")

    found = session.run(main)
    if session.is_json:
        session.print_json(plan_json(found))
    elif markdown:
        click.echo(plan_markdown(found))
    else:
        session.console.print(plan_text(found))
    return Exit.CHANGES if detailed_exitcode and found.changes else Exit.DONE


@click.command()
@environment_argument
@detailed_option
@pass_session
def drift(session: Session, environment: str, detailed_exitcode: bool) -> int:
    """Show what differs from the file, every declared detail read; nothing else counts."""
    request = session.load(environment).request(refresh=True)

    async def main() -> Plan:
        engine = await session.engine()
        return (await patiently(session, engine, engine.drift(request), f"looking at {environment}")).plan

    found = session.run(main)
    if session.is_json:
        session.print_json(plan_json(found))
    elif found.changes:
        session.console.print(plan_text(found))
    else:
        session.console.print(f"No drift: {len(found.kept)} resources are as declared.")
    return Exit.CHANGES if detailed_exitcode and found.changes else Exit.DONE


@click.command()
@environment_argument
@click.option("--live", is_flag=True, help="Ask what users would ask instead: DNS, TLS, HTTP, queues, databases.")
@pass_session
def status(session: Session, environment: str, live: bool) -> int:
    """Show what exists, how it is, and where; with --live, whether it works, as the health schedule sees it.

    \b
    Examples: scaleway-infra status prod
              scaleway-infra status prod --live     exits with 1 if a check fails
    """
    loaded = session.load(environment)
    if live:
        return _live(session, loaded)
    request = InventoryInput(target=loaded.target, environment=loaded.data)

    async def main() -> None:
        engine = await session.engine()
        found = await patiently(session, engine, engine.status(request), f"looking at {environment}")
        kept = await records(engine, loaded.target, most=1)
        assets, trouble = await _assets(session, engine, loaded)
        if session.is_json:
            shown = {"releases": [record.model_dump(mode="json") for record in kept]}
            shown |= {"backups": [item.model_dump(mode="json") for item in assets]}
            session.print_json(status_json(found) | shown)
            return
        session.console.print(status_table(found, session.console.width))
        for record in kept:
            session.console.print(release_record_text(record))
        if assets:
            session.console.print()
            session.console.print(assets_text(assets))
        if trouble:
            session.console.print(f"\nBackups cannot be told: {trouble}", style="red")
        if running := await engine.current(loaded.target):
            session.console.print(f"\nA change is running: {running.link}")

    session.run(main)
    return Exit.DONE


def _live(session: Session, loaded: Loaded) -> int:
    site = health_site(loaded.environment, loaded.target)

    async def main() -> HealthOutput:
        engine = await session.engine()
        return await patiently(session, engine, health(engine, site), f"asking {loaded.environment.env}")

    try:
        found = session.run(main)
    except HealthUnknown as error:
        # What could be checked is worth more than ever; for programs there is one document, the error.
        if error.details and not session.is_json:
            session.console.print(health_table(HealthOutput.model_validate(error.details[0]).checks))
        raise
    if session.is_json:
        session.print_json({"checks": [check.model_dump(mode="json") for check in found.checks]})
    else:
        session.console.print(health_table(found.checks))
    return Exit.FAILED if found.down else Exit.DONE


async def _assets(session: Session, engine: Engine, loaded: Loaded) -> tuple[tuple[AssetHealth, ...], str]:
    """How everything is that is backed up, or why that cannot be told: the rest of the status does not depend on it."""
    site = backup_site(loaded.environment, loaded.target)
    if site is None:
        return (), ""
    try:
        return (await patiently(session, engine, backups(engine, site), "reading the backups")).assets, ""
    except EngineError as error:
        return (), str(error)


@click.command()
@environment_argument
@click.option("--plan", "colour", flag_value="plan", help="Colour by what an apply would do.")
@click.option("--state", "colour", flag_value="state", help="Colour by how each object is.")
@pass_session
def graph(session: Session, environment: str, colour: str | None) -> None:
    """Print the resource graph as a Mermaid flow chart.

    \b
    Example: scaleway-infra graph prod --plan > prod.mmd
    """
    loaded = session.load(environment)
    resources = resources_of(loaded.environment)

    async def states() -> dict[str, str]:
        engine = await session.engine()
        if colour == "plan":
            request = loaded.request()
            return by_plan(await patiently(session, engine, engine.plan(request), f"planning {environment}"))
        inventory = InventoryInput(target=loaded.target, environment=loaded.data)
        found = await patiently(session, engine, engine.status(inventory), f"looking at {environment}")
        known = {found.keys.get(f"{item.kind} {item.name}"): item.health for item in found.objects}
        return {key: health for key, health in known.items() if key} | dict.fromkeys(found.missing, "missing")

    click.echo(mermaid(resources, session.run(states) if colour else {}), nl=False)
