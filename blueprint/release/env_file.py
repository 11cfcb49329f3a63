"""The env file, pure: what its placeholders stand for, and how values are written so that systemd reads them back.

A value of the environment file becomes a list of parts, which is JSON and holds no secret:

    "postgresql://"                                        text
    {"$ref": "rdb_instance.main", "output": "address"}     an output of another resource, until it is known
    {"$secret": "/lssm/prod", "name": "..."}               a secret's place, until the file is written
    {"url": <one of these>}                                quoted for a URL
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_FORMS = re.compile(
    r"""(?P<source>node|postgresql|redis|sqs)\.(?P<output>[a-z]+)
      | (?P<kind>queue|bucket):(?P<key>[a-z0-9-]+/[a-z0-9-]+)
      | secret:(?P<secret>[a-z0-9-]+)(?::(?P<field>[A-Za-z0-9_-]+))?""",
    re.VERBOSE,
)
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "node": ("name", "address"),
    "postgresql": ("address", "port"),
    "redis": ("address", "port"),
    "sqs": ("endpoint",),
}
"""What can be asked of whom."""
_NEEDS_ESCAPE = re.compile(r'(["\\$`])')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters for which systemd ignores the whole variable (systemd.exec(5)): controls, but for tab and newline."""


class Placeholder(NamedTuple):
    """One `${...}`."""

    source: str
    """`node`, `postgresql`, `redis`, `sqs`, `queue`, `bucket` or `secret`."""
    name: str
    """The output, key or secret that is meant."""
    field: str = ""
    """Key in a secret that holds JSON."""
    for_url: bool = False
    """Whether the value is quoted for a URL."""


def pieces(template: str) -> Iterator[str | Placeholder]:
    """The text and the placeholders of a value, in order.

    Raises:
        ValueError: a placeholder is none of the language.
    """
    for number, piece in enumerate(_PLACEHOLDER.split(template)):
        if number % 2:
            yield _placeholder(piece)
        elif "${" in piece:
            raise ValueError("${ begins a placeholder; the brace that ends it is missing")
        elif piece:
            yield piece


def has_secret(template: str) -> bool:
    """Whether a value has a secret in it."""
    return any(isinstance(piece, Placeholder) and piece.source == "secret" for piece in pieces(template))


def _placeholder(text: str) -> Placeholder:
    inner, bar, filter_name = text.partition("|")
    form = _FORMS.fullmatch(inner)
    if not form or (bar and filter_name != "url"):
        raise ValueError(f"${{{text}}} stands for nothing; docs/environment.md lists what can stand there")
    url = bool(bar)
    if form["secret"]:
        return Placeholder("secret", form["secret"], form["field"] or "", url)
    if form["kind"]:
        return Placeholder(form["kind"], form["key"], for_url=url)
    if form["output"] not in OUTPUTS[form["source"]]:
        known = " and ".join(f"${{{form['source']}.{output}}}" for output in OUTPUTS[form["source"]])
        raise ValueError(f"${{{text}}} stands for nothing; there is {known}")
    return Placeholder(form["source"], form["output"], for_url=url)


def compose(parts: Sequence[Any]) -> str:
    """The value of parts whose references and secrets have been replaced by what they stand for."""
    return "".join(quote(compose([part["url"]]), safe="") if isinstance(part, Mapping) else str(part) for part in parts)


def secrets_of(values: Mapping[str, Sequence[Any]]) -> set[str]:
    """Names of the secrets that variables are made of."""
    found = set()
    for parts in values.values():
        for part in parts:
            inner = part.get("url", part) if isinstance(part, Mapping) else part
            if isinstance(inner, Mapping) and "$secret" in inner:
                found.add(inner["name"])
    return found


def render(values: Mapping[str, str]) -> str:
    """The file's text. Always in double quotes: systemd and a shell read those alike.

    Raises:
        ValueError: a value has a control character, with which systemd would ignore the variable.
    """
    for name, value in values.items():
        if _CONTROL.search(value):
            raise ValueError(f"the value of {name} has a control character; systemd would ignore the variable")
    return "".join(f'{name}="{_escaped(value)}"\n' for name, value in values.items())


def _escaped(value: str) -> str:
    return _NEEDS_ESCAPE.sub(r"\\\1", value)
