"""Objects that take one write at a time and need minutes after each: databases, caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from blueprint.errors import NotReady

Write = tuple[str, Callable[[], object]]
"""What changes, and the call that changes it."""


def write_next(writes: Iterable[Write]) -> None:
    """Carry out the first of the writes that an object still needs.

    The next attempt of the activity looks again what is needed, so that no thread waits meanwhile and nothing is lost
    with a worker.

    Raises:
        NotReady: more writes are needed once this one has settled.
    """
    first, *others = writes
    first[1]()
    if others:
        raise NotReady(f"{first[0]} changes; then {', '.join(what for what, _ in others)}")
