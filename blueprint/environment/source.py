"""YAML as environment files use it.

Booleans and numbers are those of YAML 1.2, as in editors: `on`, `0644` and `2027-01-31` are text. A key given twice is
an error, not a silent choice. Every value knows its line.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from blueprint.environment.problems import Problem


class _Loader(yaml.SafeLoader):
    """A safe loader with YAML 1.2's idea of scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("tag:yaml.org,2002:float", r"-?(0|[1-9][0-9]*)\.[0-9]+", "-0123456789"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), [*_first, ""] if "\0" in _first else [*_first])


class Source:
    """The text of a file, read.

    Args:
        text: YAML.

    Attributes:
        data: the plain data; None if `problems` is not empty.
        problems: syntax errors and keys given twice.
    """

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.problems: list[Problem] = []
        self._lines: dict[tuple[str | int, ...], int] = {}
        self._surveyed: set[int] = set()
        try:
            loader = _Loader(text)
        except yaml.reader.ReaderError as error:
            self.problems.append(Problem((), f"not text: {error.reason} at character {error.position}"))
            return
        try:
            node = loader.get_single_node()
            if node is not None:
                self._survey(node, ())
            if not self.problems:
                self.data = None if node is None else loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            self.problems.append(_syntax_error(error))
        finally:
            loader.dispose()

    def line(self, path: tuple[str | int, ...]) -> int:
        """The line of what a path leads to, or of the innermost part of it that is there."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _survey(self, node: yaml.Node, path: tuple[str | int, ...]) -> None:
        """Notes the lines of keys; of what an anchor repeats only the first time, for it may repeat itself."""
        self._lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._surveyed:
            return
        self._surveyed.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self._survey(child, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, child in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if name in seen and name != "<<":
                    where = (*path, name)
                    self.problems.append(
                        Problem(where, f"given twice, on lines {seen[name]} and {line}; one of them must go")
                    )
                seen[name] = line
                self._lines[(*path, name)] = line
                self._survey(child, (*path, name))


def _syntax_error(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}: column {mark.column + 1}: " if mark else ""
    return Problem((), f"{where}not YAML: {error.problem}; look at the indentation, colons and quotes there and above")
