"""What an archive's table of contents says, and in which steps a load makes it. Pure.

A load is not one pg_restore, since its user need not be a superuser: what only a superuser can make is left out, and
rights come after all objects have their owners, so that what the load lends itself meanwhile does not mix with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"^\d+; \d+ \d+ (?P<entry>.*)$")
_HEADER = re.compile(
    r"^-- (?:Data for )?Name: .*; Type: (?P<kind>[A-Z ]+); Schema: (?P<schema>.*); Owner: (?P<owner>.*)$"
)
_NEVER = ("SUBSCRIPTION", "COMMENT - EXTENSION")
"""A copy that subscribes would take the original's changes; an extension brings its comment along."""
_SUPERUSERS = ("EVENT TRIGGER", "COMMENT - EVENT TRIGGER", "PUBLICATION", "COMMENT - PUBLICATION")
"""Publications, since some need a superuser, and the list does not tell which."""
_LAST = ("ACL", "DEFAULT ACL", "MATERIALIZED VIEW DATA")
"""A materialized view is filled with its owner's rights."""
_NOBODY = "-"


@dataclass(frozen=True)
class Steps:
    """Lines of the table of contents, as `pg_restore --use-list` reads them.

    Attributes:
        schemas: they come first, since their owners may have to be let in.
        objects: everything else before the rights; `--section` divides it.
        rights: what was granted, and what needs it.
        left_out: what is not made, without numbers.
    """

    schemas: tuple[str, ...]
    objects: tuple[str, ...]
    rights: tuple[str, ...]
    left_out: tuple[str, ...]


def steps(listed: str, *, superuser: bool) -> Steps:
    """The steps for what `pg_restore --list` writes."""
    schemas, objects, rights, left_out = [], [], [], []
    for line in listed.splitlines():
        if not (found := _LINE.match(line)):
            continue
        entry = found["entry"]
        if _is(entry, _NEVER) or (not superuser and _is(entry, _SUPERUSERS)):
            left_out.append(entry)
        elif _is(entry, _LAST):
            rights.append(line)
        elif _is(entry, ("SCHEMA",)):
            schemas.append(line)
        else:
            objects.append(line)
    return Steps(tuple(schemas), tuple(objects), tuple(rights), tuple(left_out))


def _is(entry: str, kinds: Iterable[str]) -> bool:
    return any(entry.startswith(f"{kind} ") for kind in kinds)


@dataclass(frozen=True)
class Owners:
    """Who owns what.

    Attributes:
        roles: all of them, and those whose default privileges are set.
        of_schemas: owners of schemas.
        within: (schema, owner) of objects.
    """

    roles: frozenset[str]
    of_schemas: frozenset[str]
    within: frozenset[tuple[str, str]]


def owners(script: str) -> Owners:
    """The owners in what `pg_restore --schema-only --file=-` writes."""
    headers = [found for line in script.splitlines() if (found := _HEADER.match(line))]
    owned = [found for found in headers if found["owner"] != _NOBODY]
    return Owners(
        roles=frozenset(found["owner"] for found in owned),
        of_schemas=frozenset(found["owner"] for found in owned if found["kind"] == "SCHEMA"),
        within=frozenset((found["schema"], found["owner"]) for found in owned if found["schema"] != _NOBODY),
    )
