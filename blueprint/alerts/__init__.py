"""The engine's own alert rules: files in Prometheus' form, with the environment's name as a variable.

A rule with `each` asks the same of everything of that sort that the environment's file makes one expect, with variables
of its own; where that is nothing, the rule is not there.

A ruler sees the metrics of its own data source only. What nodes and the engine send is in a custom one, what Scaleway's
products send in Scaleway's; so each folder here is named after the origin of the data source that its rules belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, Literal, NamedTuple, get_args

import yaml

from blueprint.alerts.expected import Expected, expected
from blueprint.environment import Environment

Origin = Literal["custom", "scaleway"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)


class Group(NamedTuple):
    """Rules that are evaluated one after the other."""

    origin: Origin
    """Of the data source whose metrics they are about."""
    name: str
    rules: dict[str, dict[str, Any]]
    """By the alert's name: `expr`, and what else a rule of Prometheus has."""


# Read when the module is: a workflow may open no file.
_TEXTS: Mapping[Origin, tuple[str, ...]] = {
    origin: tuple(
        file.read_text()
        for file in sorted(files(__package__).joinpath(origin).iterdir(), key=lambda file: file.name)
        if file.name.endswith(".yaml")
    )
    for origin in ORIGINS
}


def groups(environment: Environment) -> list[Group]:
    """Every group of an environment's rules that has any."""
    names, wanted = environment.names, expected(environment)
    found = [
        Group(origin, group["name"], _asked(rules_of(group), wanted))
        for origin in ORIGINS
        for text in _TEXTS[origin]
        for group in yaml.safe_load(text.replace("${environment}", names.stem).replace("${env}", names.env))["groups"]
    ]
    return [group for group in found if group.rules]


def _asked(
    rules: Mapping[str, dict[str, Any]], wanted: Mapping[Expected, Sequence[Mapping[str, str]]]
) -> dict[str, dict[str, Any]]:
    """The rules that ask for something, each in one expression."""
    found = {}
    for name, rule in rules.items():
        if not (each := rule.pop("each", None)):
            found[name] = rule
        elif wanted[each]:
            expressions = [Template(rule["expr"]).substitute(variables) for variables in wanted[each]]
            found[name] = rule | {"expr": " or ".join(expressions)}
    return found


def rules_of(group: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rules of a group as a file or a ruler has it, by the alert's or the recorded series' name."""
    named = {rule.get("alert") or rule["record"]: rule for rule in group["rules"]}
    return {
        name: {key: value for key, value in rule.items() if key not in ("alert", "record")}
        for name, rule in named.items()
    }
