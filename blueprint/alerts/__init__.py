"""The engine's own alert rules: files in Prometheus' form, with the environment's name as the only variable.

A ruler sees the metrics of its own data source only. What nodes and the engine send is in a custom one, what Scaleway's
products send in Scaleway's; so each folder here is named after the origin of the data source that its rules belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, NamedTuple, get_args

import yaml

from blueprint.names import Names

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


def texts(names: Names, origin: Origin) -> list[str]:
    """The files of an environment, in order: what `promtool check rules` reads."""
    return [text.replace("${environment}", names.stem).replace("${env}", names.env) for text in _TEXTS[origin]]


def groups(names: Names) -> list[Group]:
    """Every group of an environment's rules."""
    return [
        Group(origin, group["name"], rules_of(group))
        for origin in ORIGINS
        for text in texts(names, origin)
        for group in yaml.safe_load(text)["groups"]
    ]


def rules_of(group: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rules of a group as a file or a ruler has it, by the alert's or the recorded series' name."""
    named = {rule.get("alert") or rule["record"]: rule for rule in group["rules"]}
    return {
        name: {key: value for key, value in rule.items() if key not in ("alert", "record")}
        for name, rule in named.items()
    }
