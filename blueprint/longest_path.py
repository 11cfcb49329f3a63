"""The longest path of a run: the chain of steps, each waiting for the one before, that took the longest themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blueprint.plan import Step


def longest_path(steps: Sequence[Step], seconds: Mapping[str, float]) -> float:
    """What the steps would have taken, had each begun the moment that those it needs were done.

    Args:
        steps: all of them.
        seconds: what each took; those that are not there took no time.
    """
    by_id = {step.id: step for step in steps}
    ends: dict[str, float] = {}

    def end(id: str) -> float:
        if id not in ends:
            begins = max((end(before) for before in by_id[id].after if before in by_id), default=0.0)
            ends[id] = begins + seconds.get(id, 0.0)
        return ends[id]

    return max(map(end, by_id), default=0.0)
