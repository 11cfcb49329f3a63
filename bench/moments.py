"""Moments of a deploy: where in its steps something is to happen, chosen from an undisturbed one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workflows.messages import Progress

RECORDING = "recording"
"""What follows the last step: marks, and old releases that go. Progress shows it as a phase."""


@dataclass(frozen=True)
class Stretch:
    """A step of the undisturbed deploy.

    Attributes:
        step: its id.
        seconds: how long it took.
    """

    step: str
    seconds: float


@dataclass(frozen=True)
class Moment:
    """When something is to happen.

    Attributes:
        step: id of a step.
        after: seconds from the step's beginning.
    """

    step: str
    after: float = 0.0

    def __str__(self) -> str:
        return f"{self.step} +{self.after:.1f} s"

    def due(self, progress: Progress) -> float | None:
        """Seconds since the epoch at which it is there; None while that cannot be told."""
        if self.step == RECORDING:
            ends = [step.ended for step in progress.steps if step.ended is not None]
            return max(ends) + self.after if progress.phase in (RECORDING, "done") and ends else None
        began = next((step.started for step in progress.steps if step.id == self.step), None)
        return None if began is None else began + self.after


def stretches(progress: Progress, ended: float) -> tuple[Stretch, ...]:
    """What an undisturbed deploy consisted of, in order.

    Args:
        progress: of the deploy, at its end.
        ended: when it ended, seconds since the epoch.
    """
    steps = sorted((step.started, step.ended, step.id) for step in progress.steps if step.started and step.ended)
    last = max(end for _, end, _ in steps)
    return (*(Stretch(name, end - start) for start, end, name in steps), Stretch(RECORDING, ended - last))


def spread(stretches: Iterable[Stretch], count: int) -> tuple[Moment, ...]:
    """So many moments: one in every step, and more in those that last; some steps only if there are more of them."""
    found = list(stretches)
    if count < len(found):
        found = [found[(2 * number + 1) * len(found) // (2 * count)] for number in range(count)]
    shares = dict.fromkeys(found, 1)
    for _ in range(count - len(found)):
        widest = max(found, key=lambda stretch: stretch.seconds / (shares[stretch] + 1))
        shares[widest] += 1
    return tuple(
        Moment(stretch.step, stretch.seconds * (2 * number + 1) / (2 * share))
        for stretch, share in shares.items()
        for number in range(share)
    )
