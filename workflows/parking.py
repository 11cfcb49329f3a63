"""Steps that wait for an operator: retry, skip or abort, from the Temporal UI and the CLI alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.identity import BLOCKED_STEP, NEEDS_OPERATOR
from workflows.messages import AbortInput, Decided, SkipInput

Decision = Literal["retry", "skip", "abort"]
CHOICES: Mapping[Decision, str] = {
    "retry": "every parked step tries again: mend the cause first",
    "skip": "the step counts as done; what needs it is parked or dropped",
    "abort": "no further step begins; another apply can go on from here later",
}
"""What each decision does, unless a step says otherwise."""
LONGEST_KEYWORD = 255
"""Characters of a keyword that PostgreSQL and SQLite take in Temporal's search attributes."""


@dataclass
class Parking:
    """The parked steps of a run and what was decided about them.

    Attributes:
        parked: what happened, by step.
        aborted: the operator's reason, once the run is to end.
    """

    parked: dict[str, str] = field(default_factory=dict)
    aborted: str | None = None
    _decisions: dict[str, Decision] = field(default_factory=dict)
    _choices: dict[str, Mapping[Decision, str]] = field(default_factory=dict)
    _closed: bool = False

    def park(self, step: str, trouble: str, choices: Mapping[Decision, str] = CHOICES) -> None:
        """From now on the step waits, and everybody can see why, and what each choice means for it."""
        self.parked[step] = trouble
        self._choices[step] = choices
        workflow.logger.error("step %s is parked: %s", step, trouble)
        self._show()

    async def decision(self, step: str, patience: timedelta | None = None) -> Decision:
        """Wait until somebody decides about a parked step, or the run is cancelled.

        Args:
            step: which.
            patience: longest wait; for as long as it takes if None.

        Raises:
            TimeoutError: nobody has decided within the patience.
        """
        try:
            await workflow.wait_condition(
                lambda: step in self._decisions or self.aborted is not None or self._closed,
                timeout=patience,
                timeout_summary=f"until somebody decides about {step}"[:200],
            )
        except TimeoutError:
            self._unpark(step)
            raise
        decision = self._decisions.pop(step, "abort")
        self._unpark(step)
        return decision

    def retry(self) -> Decided:
        """Every parked step tries again."""
        return self._decide("retry", tuple(self.parked))

    def skip(self, input: SkipInput) -> Decided:
        """One parked step counts as done, whatever the world looks like."""
        return self._decide("skip", (input.step,))

    def abort(self, input: AbortInput) -> Decided:
        """No further step begins; what runs comes to its end, then the run fails with the reason."""
        self.aborted = input.reason
        return Decided(steps=tuple(self.parked))

    def close(self) -> None:
        """Nobody is asked any more: the run is cancelled."""
        self._closed = True

    def require_parked(self, step: str | None = None) -> None:
        """Validator: refuse a decision about nothing.

        Raises:
            ApplicationError: no step, or not this one, is parked.
        """
        if not self.parked:
            raise ApplicationError("no step is parked: there is nothing to decide", type="nothing_parked")
        if step is not None and step not in self.parked:
            names = ", ".join(repr(name) for name in self.parked)
            raise ApplicationError(f"{step!r} is not parked; parked: {names}", type="not_parked")

    def details(self) -> str:
        """Markdown for a stranger: what happened and what each choice means."""
        if not self.parked:
            return ""
        lines = ["## Waiting for an operator", ""]
        for step, trouble in self.parked.items():
            lines += [f"- **`{step}`**: {trouble}"]
        first = next(iter(self.parked))
        choices = self._choices[first]
        lines += [
            "",
            "Nothing else is lost: steps that do not need these go on. Choose, by *Send an Update* or by the CLI:",
            "",
            "| update | data | what it does |",
            "|---|---|---|",
            f"| `retry` | none | {choices['retry']} |",
            f'| `skip` | `{{"step": "{first}", "reason": "..."}}` | {choices["skip"]} |',
            f'| `abort` | `{{"reason": "..."}}` | {choices["abort"]} |',
        ]
        return "\n".join(lines)

    def _decide(self, decision: Decision, steps: tuple[str, ...]) -> Decided:
        self._decisions.update(dict.fromkeys(steps, decision))
        return Decided(steps=steps)

    def _unpark(self, step: str) -> None:
        del self.parked[step], self._choices[step]
        self._show()

    def _show(self) -> None:
        show_blocked(next(iter(self.parked), None))


def show_blocked(step: str | None) -> None:
    """In search attributes too: those are seen even while no worker is there to answer.

    Args:
        step: the first one that waits for an operator; None if none does.
    """
    workflow.upsert_search_attributes(
        [
            NEEDS_OPERATOR.value_set(step is not None),
            BLOCKED_STEP.value_set(step[:LONGEST_KEYWORD]) if step else BLOCKED_STEP.value_unset(),
        ]
    )
