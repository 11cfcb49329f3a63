"""What a run's page in Temporal's UI says of it at the moment, for somebody who has never seen one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from blueprint.release.record import Origin
from workflows.messages import Phase, StepState

NOW: Mapping[Phase, str] = {
    "planning": "looking at what exists, and comparing it with the file; nothing is changed yet",
    "approval": "waiting until somebody approves it; nothing is changed before",
    "changing": "making what exists match the plan, each step once those that it needs are done",
    "proving": "looking whether anything is left",
    "preflight": "looking at what is there; nothing is changed yet",
    "preparing": "bringing the release to every node; no traffic notices",
    "migrating": "bringing the database to the release; the nodes still run the one before",
    "rolling": "letting the nodes run the release, one batch after the other",
    "rolling back": "bringing the nodes that were touched back to the release before",
    "backing up": "making backups; what is live is not touched",
    "drilling": "restoring backups into scratch places, to see whether they are good; what is live is not touched",
    "deleting": "deleting backups that no rule wants",
    "restoring": "restoring",
    "checking": "checking what was restored",
    "swapping": "letting what was restored take the place of what was live",
    "recording": "noting how it went",
    "done": "done",
    "failed": "failed",
}
"""What a run does in each phase."""
AGAIN = (
    "Once the cause is mended, it can be started again: *More Actions*, *Start Workflow Like This One*; or by the same "
    "command as before."
)
"""What to do about a run that has failed and left nothing half done."""

_RUNNING_SHOWN = 15
_NEXT_SHOWN = 8
_ENDED_SHOWN = 25
"""Steps of hundreds that are named, the latest ones of those that have ended."""
_ENDED: tuple[StepState, ...] = ("done", "failed", "skipped", "dropped")


def titled(what: str, origin: Origin) -> str:
    """A run in a line: what it is, who asked for it, and from where.

    Args:
        what: such as "apply of lssm-prod".
        origin: who and where from.
    """
    return f"**{what}**, asked for by {f'[{origin.by}]({origin.link})' if origin.link else origin.by}"


def described(
    title: str,
    phase: Phase,
    states: Mapping[str, StepState],
    times: Mapping[str, Sequence[float]],
    *,
    question: str = "",
    note: str = "",
    stopping: str = "",
) -> str:
    """A run in Markdown.

    Args:
        title: see `titled`.
        phase: what it is at.
        states: its steps, in order.
        times: when each began and, if it has, ended; seconds since the epoch.
        question: what waits for a person.
        note: what else there is to say.
        stopping: what happens if somebody cancels it.
    """
    going = phase not in ("done", "failed")
    counts = Counter(states.values())
    counted = ", ".join(
        f"{counts[state]} {state}" for state in ("parked", "running", "waiting", *_ENDED) if counts[state]
    )
    running = [step for step, state in states.items() if state == "running"]
    waiting = [step for step, state in states.items() if state == "waiting"]
    ended = [step for step, state in states.items() if state in _ENDED]
    latest = sorted(ended, key=lambda step: times[step][-1] if step in times else 0.0)[-_ENDED_SHOWN:]
    lines = [
        f"{title}: {NOW[phase]}.",
        question if going else "",
        note,
        _listed("Now", running, _RUNNING_SHOWN),
        _listed("Then", waiting, _NEXT_SHOWN),
        f"Steps: {counted}." if counted else "",
        "\n".join(f"- {states[step]}: `{step}`{_took(times.get(step, ()))}" for step in reversed(latest)),
        f"*Request Cancellation* stops it: {stopping}." if stopping and going else "",
    ]
    return "\n\n".join(line for line in lines if line)


def _listed(what: str, steps: Sequence[str], most: int) -> str:
    if not steps:
        return ""
    more = f" and {len(steps) - most} more" if len(steps) > most else ""
    return f"**{what}**: {_names(steps[:most])}{more}"


def _names(steps: Iterable[str]) -> str:
    return ", ".join(f"`{step}`" for step in steps)


def _took(times: Sequence[float]) -> str:
    return f", {times[1] - times[0]:.1f} s" if len(times) > 1 else ""
