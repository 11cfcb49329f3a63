"""What must not go: protected objects, and what they need or hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableMapping

from blueprint.kinds import KINDS
from blueprint.plan import Change
from blueprint.resource import Observed, Resource

REMEDY = "name it in `allow_destroy` to let it go"
"""What whoever wants a protected object gone has to do."""


def is_protected(kind: str, item: Observed | None = None, resource: Resource | None = None) -> bool:
    """Whether an object is protected: by its kind, by its own tag, or by what the file says of it."""
    return KINDS[kind].protected or bool(item and item.protected) or bool(resource and resource.protected)


def hold_what_stays_with_it(changes: MutableMapping[str, Change]) -> None:
    """What a held object uses or is in cannot go, and what it holds is not to be emptied out of it.

    Args:
        changes: by key; a delete of such an object becomes held, a replace becomes a conflict.
    """
    by_id: dict[str, list[str]] = defaultdict(list)
    by_parent: dict[str, list[str]] = defaultdict(list)
    for key, change in changes.items():
        if change.observed:
            by_parent[change.observed.parent_id].append(key)
            if not change.observed.is_part:
                by_id[change.observed.id].append(key)
    held = [change for change in changes.values() if change.action == "held"]
    while held:
        holder = held.pop()
        for key, why in _staying_with(holder, by_id, by_parent):
            change = changes[key]
            if change.action == "replace":
                why = f"would be replaced ({change.why}), but it is {why}, which stays"
                changes[key] = change.model_copy(update={"action": "conflict", "why": why})
            elif change.action == "delete":
                changes[key] = change.model_copy(update={"action": "held", "why": why})
                held.append(changes[key])


def _staying_with(
    holder: Change, by_id: Mapping[str, list[str]], by_parent: Mapping[str, list[str]]
) -> Iterator[tuple[str, str]]:
    """Keys of what is tied to an object, each with what ties it."""
    if item := holder.observed:
        for used in item.uses:
            yield from ((key, f"used by {holder.key}") for key in by_id.get(used, ()))
        yield from ((key, f"around {holder.key}") for key in by_id.get(item.parent_id, ()))
        if not item.is_part:
            yield from ((key, f"in {holder.key}") for key in by_parent.get(item.id, ()))
