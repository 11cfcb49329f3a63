"""pydantic's findings, in the words of the file."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import ErrorDetails

from blueprint.environment.problems import Problem, listing, suggestion
from blueprint.environment.schema import at, written

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}

_BOUNDS = {"greater_than_equal": ("ge", "more"), "less_than_equal": ("le", "less")}

_MAY_HOLD_SECRETS = {"secrets", "api_key", "users", "credentials", "tokens", "recipients"}
"""Keys below which values are not repeated: what stands there by mistake may be a secret, and errors are logged."""


def problem(error: ErrorDetails) -> Problem:
    """A finding of pydantic as a problem of the file."""
    is_key = error["loc"][-1:] == ("[key]",)
    path = (*error["loc"][:-2], str(error["loc"][-2])) if is_key else error["loc"]
    return Problem(path, _message({**error, "loc": path}, is_key=is_key))


def _message(error: ErrorDetails, *, is_key: bool) -> str:
    kind, path, context = error["type"], error["loc"], error.get("ctx", {})
    hidden = not is_key and not _MAY_HOLD_SECRETS.isdisjoint(path)
    shown = "this" if hidden else _show(error["input"])
    if kind == "extra_forbidden":
        return f"unknown key; {suggestion(path[-1], list(at(path[:-1]).get('properties', {})))}"
    if kind == "missing":
        return f"required{_purpose(path)}"
    if kind == "literal_error":
        return f"{shown} is not known here; {suggestion(error['input'], _choices(at(path)))}"
    if kind in _BOUNDS:
        bound, direction = _BOUNDS[kind]
        return f"{shown} is out of bounds; {written(at(path), context[bound])} or {direction} fits"
    if kind in _EXPECTED:
        return _wrong_type(kind, error["input"], shown, is_key=is_key)
    if kind in {"too_short", "string_too_short"}:
        return f"empty; at least one is needed{_purpose(path)}"
    if kind in {"too_long", "string_too_long"}:
        return f"{len(error['input'])} are too many; {context['max_length']} at most fit"
    return error["msg"].replace(repr(error["input"]), "this") if hidden else error["msg"]


def _wrong_type(kind: str, value: Any, shown: str, *, is_key: bool) -> str:
    message = f"{shown} is {_type_word(value)}; {_EXPECTED[kind]} fits"
    if kind == "string_type" and isinstance(value, int | float) and shown != "this":
        return f'{message}: write "{shown}", in quotes'
    if kind in {"int_type", "bool_type"} and isinstance(value, str) and re.fullmatch(r"\d{1,4}|true|false", value):
        return f"{message}: write {value}, without quotes"
    if is_key:
        return f"the key {message}"
    return message


def _type_word(value: Any) -> str:
    words = ((bool, "true or false"), (int, "a number"), (float, "a number"), (str, "text"), (list, "a list"))
    if value is None:
        return "empty"
    return next((word for type_, word in words if isinstance(value, type_)), "a mapping")


def _show(value: Any) -> str:
    if value is None:
        return "this"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return "this"
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:76]}...'"


def _choices(field: dict[str, Any]) -> list[str]:
    found = [str(choice) for choice in [*field.get("enum", []), *([field["const"]] if "const" in field else [])]]
    for option in field.get("anyOf", []):
        found += [choice for choice in _choices(option) if choice not in found]
    return found


def _purpose(path: tuple[str | int, ...]) -> str:
    """What a field is for, and an example of it."""
    field = at(path)
    if "description" not in field:
        return ""
    about = re.split(r"\.(?:\s|$)", field["description"])[0]
    examples = field.get("examples")
    return f": {about}, such as {listing(_plain(example) for example in examples)}" if examples else f": {about}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{listing(_plain(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{listing(f'{key}: {_plain(item)}' for key, item in value.items())}}}"
    return str(value)
