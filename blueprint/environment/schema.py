"""The JSON Schema of environment files, for editors, and for errors that say what would be right."""

from __future__ import annotations

import copy
import functools
import re
from typing import Any

from blueprint.environment.environment import Environment
from blueprint.environment.scalars import format_duration, format_size


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an environment file."""
    return copy.deepcopy(_schema())


def at(path: tuple[str | int, ...]) -> dict[str, Any]:
    """The schema of what a path leads to; empty if it leads nowhere. References are followed."""
    found: dict[str, Any] = _schema()
    for part in path:
        found = _child(_resolved(found), part)
    return _resolved(found)


def written(field: dict[str, Any], number: float) -> Any:
    """A number as people write it in a field: with its unit, if the field is a duration or a size."""
    pattern = str(field.get("anyOf"))
    if "ms|s|m|h|d" in pattern:
        return format_duration(number)
    return format_size(int(number)) if "MB|GB|TB" in pattern else number


@functools.cache
def _schema() -> dict[str, Any]:
    schema = Environment.model_json_schema(mode="validation")
    for definition in [schema, *schema["$defs"].values()]:
        _tidy(definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Environment file of scaleway-infra",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _tidy(definition: dict[str, Any]) -> None:
    """Makes a definition say what the models do: an empty section means defaults, durations and sizes have units."""
    definition.pop("title", None)
    for field in definition.get("properties", {}).values():
        field.pop("title", None)
        if isinstance(field.get("default"), int | float) and not isinstance(field["default"], bool):
            field["default"] = written(field, field["default"])
        if isinstance(field.get("default"), dict):
            field["default"] = {}
    _close(definition)
    if definition.get("type") == "object" and "required" not in definition:
        definition["type"] = ["object", "null"]


def _close(node: Any) -> None:
    """Refuses keys that fit no pattern: a mapping with `patternProperties` alone would let them pass."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        for child in node.values():
            _close(child)
    elif isinstance(node, list):
        for child in node:
            _close(child)


def _child(schema: dict[str, Any], part: str | int) -> dict[str, Any]:
    if isinstance(part, int):
        return dict(schema.get("items", {}))
    for candidate in [schema, *schema.get("anyOf", [])]:
        resolved = _resolved(candidate)
        if part in resolved.get("properties", {}):
            return dict(resolved["properties"][part])
        for pattern, child in resolved.get("patternProperties", {}).items():
            if re.search(pattern, str(part)):
                return dict(child)
        if isinstance(resolved.get("additionalProperties"), dict):
            return dict(resolved["additionalProperties"])
    return {}


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its reference, or the one reference among its alternatives, followed."""
    for candidate in [schema, *schema.get("anyOf", [])]:
        if "$ref" in candidate:
            return {**_schema()["$defs"][candidate["$ref"].rpartition("/")[2]], **_without_reference(schema)}
    return schema


def _without_reference(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
