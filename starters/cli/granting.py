"""The command that prints what the engine's own key has to be allowed."""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import click

from blueprint.environment import Environment
from blueprint.environment.loader import available
from blueprint.permissions import Rule, needed, rules_of
from starters.cli.exits import UsageRefused
from starters.cli.session import Session, environment_names, pass_session

NAME = "scaleway-infra"
"""Of the application and of its policy."""


@click.command("iam-policy")
@click.argument("environments", metavar="[ENV]...", nargs=-1, shell_complete=lambda c, p, i: environment_names(i))
@pass_session
def iam_policy(session: Session, environments: tuple[str, ...]) -> None:
    """Print the narrowest policy for the worker's API key, of these environments, or of all files.

    With `--output json`, before the command: the body of Scaleway's create_policy. It is for an application of its own;
    nothing is changed at Scaleway.
    """
    names = environments or tuple(available(session.directory))
    if not names:
        raise UsageRefused(f"no environment file in {session.directory}/")
    rules = api_rules([session.load(name).environment for name in names])
    if session.is_json:
        session.print_json({"name": NAME, "description": f"Runs {', '.join(names)}", "rules": rules})
        return
    for rule in rules:
        where = " ".join(rule.get("project_ids") or [f"organization {rule['organization_id']}"])
        click.echo(f"# {where}: {', '.join(rule['permission_set_names'])}")
    click.echo("\n".join(scw_commands(rules)))


def api_rules(environments: Iterable[Environment]) -> list[dict[str, Any]]:
    """Rules as Scaleway's create_policy takes them: one for each project, and one for the organization.

    Ids that neither a file nor SCW_* names are left as variables for a shell.
    """
    sets: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    organization = os.environ.get("SCW_DEFAULT_ORGANIZATION_ID") or "$SCW_DEFAULT_ORGANIZATION_ID"
    default = os.environ.get("SCW_DEFAULT_PROJECT_ID") or "$SCW_DEFAULT_PROJECT_ID"
    for environment in environments:
        for rule in needed(environment):
            project = rule.project_id or environment.project_id or default
            where = organization if rule.scope == "organization" else project
            sets[rule.scope, where].update(rule.permission_sets)
    return [
        _api_rule(rule, where) for (_, where), names in sorted(sets.items(), reverse=True) for rule in rules_of(names)
    ]


def scw_commands(rules: Iterable[dict[str, Any]]) -> list[str]:
    """Lines for a shell that make the application, its policy and its key with Scaleway's own tool."""
    arguments = []
    for number, rule in enumerate(rules):
        for index, name in enumerate(rule["permission_set_names"]):
            arguments.append(f"rules.{number}.permission-set-names.{index}={name}")
        for index, project in enumerate(rule.get("project_ids", [])):
            arguments.append(f"rules.{number}.project-ids.{index}={project}")
        if "organization_id" in rule:
            arguments.append(f"rules.{number}.organization-id={rule['organization_id']}")
    name = shlex.quote(NAME)
    return [
        f"application=$(scw iam application create name={name} -o template='{{{{.ID}}}}')",
        " \\\n  ".join([f"scw iam policy create name={name} application-id=$application", *arguments]),
        f"scw iam api-key create application-id=$application description={name}",
    ]


def _api_rule(rule: Rule, where: str) -> dict[str, Any]:
    place = {"organization_id": where} if rule.scope == "organization" else {"project_ids": [where]}
    return {"permission_set_names": list(rule.permission_sets), **place}
