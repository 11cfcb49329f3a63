"""From changes to steps: what has to be done before what, what shares one call, what must not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

from blueprint.kinds import KINDS
from blueprint.plan import Change, Step, StepAction


def steps_for(changes: Iterable[Change]) -> tuple[Step, ...]:
    """The steps that carry out the changes.

    A resource is made or changed after everything it needs. An object goes after everything that holds on to it has
    gone or has been changed to let go. A replace is both, the removal first. A seal comes after every removal of what
    it vouches for, which would break it. What may take another one's place comes after that one's removal or change.

    Steps at the start of long chains come first in the tuple: of many that could begin at once, these must not wait.
    """
    wanted = {change.key: change for change in changes}
    parts = [part for change in wanted.values() for part in _parts(change)]
    after = _edges(wanted)
    batches = list(_batches(parts, after, wanted))
    step_of = {part: _step_id(batch) for batch in batches for part in batch}
    steps = [
        Step(
            id=_step_id(batch),
            action=batch[0][0],
            changes=tuple(key for _, key in batch),
            after=tuple(sorted({step_of[before] for part in batch for before in after[part]})),
            serial=_turn(batch[0][0], wanted[batch[0][1]]),
            until=_until(batch[0][0], wanted[batch[0][1]]),
            vouches=batch[0][0] != "delete" and KINDS[wanted[batch[0][1]].kind].vouches,
        )
        for batch in batches
    ]
    return tuple(_longest_chain_first(steps))


def _longest_chain_first(steps: Sequence[Step]) -> list[Step]:
    followers: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for before in step.after:
            followers[before].append(step.id)

    @cache
    def length(step: str) -> int:
        return 1 + max((length(follower) for follower in followers[step]), default=0)

    return sorted(steps, key=lambda step: -length(step.id))


Part = tuple[StepAction, str]
"""One thing done to one change: an action and the change's key."""


def _parts(change: Change) -> Iterator[Part]:
    match change.action:
        case "replace":
            yield "delete", change.key
            yield "create", change.key
        case "adopt":
            yield "update", change.key
        case "create" | "update" | "delete" | "await":
            yield change.action, change.key
        case "held" | "conflict":
            pass


def _serial(change: Change) -> str:
    group = KINDS[change.kind].serial
    return f"{group}:{change.name.split('/', 1)[0]}" if group else ""


def _turn(action: StepAction, change: Change) -> str:
    return change.kind if action == "update" and KINDS[change.kind].updates_in_turn else _serial(change)


def _until(action: StepAction, change: Change) -> Literal["ready", "gone"] | None:
    """Part of the plan, and so of a run's history: a run that is parked goes on as it began under newer code."""
    kind = KINDS[change.kind]
    if action == "delete":
        return "gone" if kind.lingers else None
    return "ready" if kind.settles or action == "await" else None


def _step_id(batch: list[Part]) -> str:
    action, key = batch[0]
    return f"{action} {key}" if len(batch) == 1 else f"{action} {key} and {len(batch) - 1} more"


def _edges(changes: dict[str, Change]) -> dict[Part, set[Part]]:
    """What each part has to wait for."""
    parts = [part for change in changes.values() for part in _parts(change)]
    made = {key: (action, key) for action, key in parts if action != "delete"}
    removed: dict[str, Part] = {
        change.observed.id: ("delete", change.key)
        for change in changes.values()
        if change.observed and change.action in ("delete", "replace")
    }
    after: dict[Part, set[Part]] = {part: set() for part in parts}
    for change in changes.values():
        for part in _parts(change):
            if part[0] != "delete" and change.resource:
                after[part].update(made[key] for key in change.resource.dependencies() if key in made)
            if part[0] != "delete" and KINDS[change.kind].vouches:
                vouched = change.name.rsplit("/", 1)[1]
                after[part].update(p for p in parts if p[0] == "delete" and KINDS[changes[p[1]].kind].seal == vouched)
        if change.action == "replace":
            after["create", change.key].add(("delete", change.key))
        for removal in _removals_that_wait_for(change, removed, changes):
            after[removal].add(next(_parts(change)))
    for action, key in parts:
        if KINDS[changes[key].kind].makes_way:
            after[action, key].update(_vacating(action, changes[key], parts, changes))
        if action == "delete":
            outlived = KINDS[changes[key].kind].outlives
            after[action, key].update(
                part for part in parts if part[0] == "delete" and changes[part[1]].kind in outlived
            )
    return after


def _removals_that_wait_for(change: Change, removed: dict[str, Part], changes: dict[str, Change]) -> Iterator[Part]:
    """The removals that cannot happen before this change has made its object let go."""
    if not change.observed or change.action not in ("delete", "replace", "update", "adopt"):
        return
    for used in change.observed.uses:
        removal = removed.get(used)
        if removal is None:
            continue
        # An update cannot come before the removal half of a replace: it needs what the other half makes.
        if change.action in ("delete", "replace") or changes[removal[1]].action == "delete":
            yield removal


def _vacating(action: StepAction, change: Change, parts: list[Part], changes: dict[str, Change]) -> Iterator[Part]:
    """What gives up a place that this part may want: removals, and for a creation changes too."""
    first = {"update": ("delete",), "create": ("delete", "update")}.get(action, ())
    for part in parts:
        other = changes[part[1]]
        if part[0] in first and (other.kind, _serial(other)) == (change.kind, _serial(change)):
            yield part


def _batches(parts: list[Part], after: dict[Part, set[Part]], changes: dict[str, Change]) -> Iterator[list[Part]]:
    """Parts that one call can carry out together: same action, same parent, waiting for the same things."""
    groups: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        action, key = part
        change = changes[key]
        if KINDS[change.kind].batch == 1:
            yield [part]
        else:
            group = (action, change.kind, _serial(change), frozenset(after[part]))
            groups.setdefault(group, []).append(part)
    for group_parts in groups.values():
        size = KINDS[changes[group_parts[0][1]].kind].batch
        for start in range(0, len(group_parts), size):
            yield group_parts[start : start + size]
