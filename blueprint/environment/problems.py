"""What can be wrong with an environment file, and how a reference that leads nowhere is reported."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong."""

    path: tuple[str | int, ...]
    """Where: keys and indexes from the top of the file."""
    message: str
    """What is wrong; what would be right."""

    @property
    def place(self) -> str:
        """The path as people write it: `dns.lssm.tech.records[2].type`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.path else self.message


def listing(words: Iterable[object]) -> str:
    """Words with commas between them."""
    return ", ".join(str(word) for word in words)


def suggestion(word: object, known: Collection[str]) -> str:
    """What was meant, or what there is to choose from."""
    if not known:
        return "nothing is declared there yet"
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]}?" if near else f"one of {listing(known)} fits"


def unknown(word: str, known: Collection[str], where: str) -> str:
    """The message about a name that is not among those that `where` has."""
    return f"{where} has no {word!r}; {suggestion(word, known)}"
