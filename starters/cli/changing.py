"""Commands that change an environment: apply and destroy."""

from __future__ import annotations

import sys

import click

from blueprint.contract import PlanInput
from blueprint.errors import Conflict, EngineError, Protected
from blueprint.plan import Plan
from blueprint.protection import is_protected
from starters.cli.exits import Exit, UsageRefused
from starters.cli.reading import adopt_option, destroy_option, refresh_option
from starters.cli.session import Loaded, Session, environment_argument, pass_session
from starters.cli.turns import approval_option, detach_option, in_turn, wait_for_turn, wait_option
from starters.cli.watch import patiently
from starters.origin import origin
from starters.render.plan_text import counted, plan_text
from workflows.messages import ChangeInput, ChangeOutput

yes_option = click.option("--yes", is_flag=True, help="Do not ask. Not enough in production.")
confirm_option = click.option("--confirm", metavar="ENV", help="The environment's name, instead of typing it.")
fingerprint_option = click.option("--fingerprint", metavar="HEX", help="Do exactly the plan that has this one.")


@click.command()
@environment_argument
@yes_option
@confirm_option
@fingerprint_option
@adopt_option
@destroy_option
@refresh_option
@wait_option
@approval_option
@detach_option
@pass_session
def apply(
    session: Session,
    environment: str,
    yes: bool,
    confirm: str | None,
    fingerprint: str | None,
    adopt: tuple[str, ...],
    allow_destroy: tuple[str, ...],
    refresh: bool,
    wait: bool,
    detach: bool,
) -> int:
    """Make what exists match the file.

    \b
    Examples: scaleway-infra apply stg --yes
              scaleway-infra apply prod --confirm prod
              scaleway-infra apply prod --fingerprint 656c7757cb3063b0
    """
    loaded = session.load(environment)
    request = loaded.request(adopt=adopt, allow_destroy=allow_destroy, refresh=refresh)
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=fingerprint, gated=True)
    return session.run(lambda: change(session, loaded, request, approval, wait=wait, detach=detach))


@click.command()
@environment_argument
@yes_option
@confirm_option
@fingerprint_option
@click.option(
    "--allow-destroy",
    multiple=True,
    metavar="KEY",
    help="Remove this protected object too (repeatable, globs).",
)
@wait_option
@approval_option
@detach_option
@pass_session
def destroy(
    session: Session,
    environment: str,
    yes: bool,
    confirm: str | None,
    fingerprint: str | None,
    allow_destroy: tuple[str, ...],
    wait: bool,
    detach: bool,
) -> int:
    """Remove everything of an environment, and prove it.

    Protected objects (databases, buckets, zones, secrets) are refused unless each is allowed by its key.

    \b
    Example: scaleway-infra destroy stg --yes --allow-destroy 'bucket.*' --allow-destroy 'database.*'
    """
    loaded = session.load(environment)
    request = loaded.request(destroy=True, allow_destroy=allow_destroy)
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=fingerprint, gated=True)
    return session.run(lambda: change(session, loaded, request, approval, wait=wait, detach=detach))


@click.command()
@environment_argument
@click.argument("node")
@yes_option
@confirm_option
@wait_option
@approval_option
@detach_option
@pass_session
def replace(
    session: Session, environment: str, node: str, yes: bool, confirm: str | None, wait: bool, detach: bool
) -> int:
    """Make a broken node anew, under its own name and with the environment's release.

    It leaves the pool first, and joins it again when it is healthy.

    \b
    Example: scaleway-infra replace prod lssm-prod-core-02 --confirm prod
    """
    loaded = session.load(environment)
    names = [name for role in loaded.environment.nodes for name in loaded.environment.node_names(role)]
    if node not in names:
        raise UsageRefused(f"{node} is no node of {environment}", remedy=f"one of {', '.join(names)} fits")
    request = loaded.request(replace=(node,))
    approval = Approval(session, loaded, yes=yes, confirm=confirm, fingerprint=None, gated=True)
    return session.run(lambda: change(session, loaded, request, approval, wait=wait, detach=detach))


class Approval:
    """Whether this plan may be carried out, and how that was said.

    Args:
        session: where to ask.
        loaded: the environment.
        yes: `--yes` was given.
        confirm: what `--confirm` was given.
        fingerprint: what `--fingerprint` was given.
        gated: the run itself waits for approval if the environment is protected: nobody is asked twice.
    """

    def __init__(
        self,
        session: Session,
        loaded: Loaded,
        *,
        yes: bool,
        confirm: str | None,
        fingerprint: str | None,
        gated: bool = False,
    ) -> None:
        self._session = session
        self._name = loaded.environment.env
        self._production = loaded.environment.production
        self._yes = yes
        self._gated = gated and loaded.environment.approval is not None
        self.fingerprint = fingerprint
        if confirm is not None and confirm != self._name:
            raise UsageRefused(f"--confirm {confirm} is not the environment's name", remedy=f"--confirm {self._name}")
        self._confirmed = confirm is not None
        if yes and self._production and not (self._confirmed or fingerprint or self._gated):
            raise UsageRefused("--yes is not enough for a production environment", remedy=f"add --confirm {self._name}")

    @property
    def given(self) -> bool:
        """Whether nobody needs to be asked."""
        said = self._confirmed or self.fingerprint is not None or (self._yes and not self._production)
        return said or self._gated

    def ask(self) -> bool:
        """Ask in the terminal.

        Raises:
            UsageRefused: there is none.
        """
        if not sys.stdin.isatty():
            way = f"--confirm {self._name}" if self._production else "--yes"
            raise UsageRefused("nobody can be asked here", remedy=f"add {way}, or --fingerprint with an approved plan")
        if self._production:
            return bool(click.prompt(f"Type {self._name} to go on", default="", show_default=False) == self._name)
        return click.confirm("Go on?")


async def change(
    session: Session, loaded: Loaded, request: PlanInput, approval: Approval, *, wait: bool, detach: bool
) -> int:
    """Show the plan, have it approved, start it, follow it.

    Raises:
        EngineError: it was refused, or failed.
    """
    engine = await session.engine()
    name = loaded.environment.env
    if wait:
        # Before the plan is made: what runs now changes what there is to plan.
        await wait_for_turn(session, engine, loaded)
    fingerprint = approval.fingerprint
    if fingerprint is None:
        plan = await patiently(session, engine, engine.plan(request), f"planning {name}")
        if not session.is_json:
            session.console.print(plan_text(plan))
        if refused := refusal_of(plan):
            raise refused
        if not plan.steps:
            if session.is_json:
                show_output(session, ChangeOutput(counts=plan.counts(), fingerprint=plan.fingerprint()))
            return Exit.DONE
        if not approval.given and not approval.ask():
            session.stderr.print("Nothing was changed.")
            return Exit.FAILED
        fingerprint = plan.fingerprint()
    approved = ChangeInput(request=request, fingerprint=fingerprint, origin=origin())
    begin = engine.destroy if request.destroy else engine.apply
    output = await in_turn(session, engine, loaded, lambda: begin(approved), wait=wait, detach=detach)
    if output is not None:
        show_output(session, output)
    return Exit.DONE


def refusal_of(plan: Plan) -> EngineError | None:
    """Why a plan cannot be carried out, or None."""
    if plan.blocked:
        names = ", ".join(item.key for item in plan.blocked)
        return Conflict(f"conflicts stand in the way: {names}", subject=plan.environment)
    held = [item for item in plan.changes if item.action == "held"]
    if not plan.destroy or not held:
        return None
    protected = [item.key for item in held if is_protected(item.kind, item.observed)]
    listed = "".join(f"\n  {key}" for key in protected)
    return Protected(
        f"{len(protected)} protected objects would stay, "
        f"and {len(held) - len(protected)} that go only with them:{listed}",
        subject=plan.environment,
        remedy=f"allow each that may go: --allow-destroy {protected[0]} ..., or by a glob: --allow-destroy 'bucket.*'",
    )


def show_output(session: Session, output: ChangeOutput) -> None:
    """How an apply or a destroy ended."""
    if session.is_json:
        session.print_json(output.model_dump(mode="json"))
        return
    session.console.print("Done:", counted(output.counts, done=True))
    if output.approval:
        session.console.print(str(output.approval), soft_wrap=True, markup=False)
    for step in output.skipped:
        session.console.print(f"Skipped by an operator: {step}")
    for key in output.held:
        session.console.print(f"Held by protection: {key}")
