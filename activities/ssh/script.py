"""What a node is told to do: a shell script with its parameters, sent over standard input."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

Value = str | int | float | Sequence[str]

COMMAND = "bash -s"
"""All that the process list of a node shows."""


@dataclass(frozen=True)
class Script:
    """A bash script. Its standard output is its result, its standard error what people read."""

    name: str
    """How the log calls it."""
    text: str
    """Its lines."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    """Shell variables that it begins with; a sequence becomes an array."""
    data: bytes = b""
    """What it finds on its own standard input."""

    def rendered(self) -> bytes:
        """What bash reads.

        It runs nothing before it has read all of a group, so a connection that breaks on the way runs nothing at all.
        Bash takes no more from a pipe than it understands: the data behind the group is left to the script.
        """
        assignments = "".join(f"{name}={_quoted(value)}\n" for name, value in self.parameters.items())
        return f"{{\n{assignments}{self.text}\nexit\n}}\n".encode() + self.data


def load(package: str, *names: str, **parameters: Value) -> Script:
    """A script from the folder `scripts` of a package, after those that it builds upon.

    Args:
        package: "activities.release".
        names: files without ".sh", in order; the last one is the script itself.
        parameters: see `Script`.
    """
    folder = files(package).joinpath("scripts")
    text = "\n".join(folder.joinpath(f"{name}.sh").read_text() for name in names)
    return Script(name=names[-1], text=text, parameters=parameters)


def _quoted(value: Value) -> str:
    if isinstance(value, str):
        return shlex.quote(value)
    if isinstance(value, int | float):
        return str(value)
    return f"({' '.join(shlex.quote(part) for part in value)})"
