"""Steps that wait for an operator: retry, skip or abort, from the Temporal UI and the CLI alike."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from temporalio import workflow

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
        workflow.logger.error("step %s is parked: %s", step, trouble, extra={"step": step})
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
        return self._decide("retry", self._undecided)

    def skip(self, input: SkipInput) -> Decided:
        """One parked step counts as done, whatever the world looks like: the only one, if none is named."""
        return self._decide("skip", (input.step,) if input.step else self._undecided)

    def abort(self, input: AbortInput) -> Decided:
        """No further step begins; what runs comes to its end, then the run fails with the reason."""
        self.aborted = input.reason or "no reason given"
        return Decided(steps=tuple(self.parked))

    def close(self) -> None:
        """Nobody is asked any more: the run is cancelled."""
        self._closed = True

    def refusal(self, decision: Decision, step: str = "") -> str:
        """Why a decision makes no sense; empty if it does.

        Args:
            decision: what somebody says.
            step: about which parked step; about all, or the only one, if empty.
        """
        if self.aborted is not None:
            return f"the run is ending already: {self.aborted}"
        waiting = self._undecided
        names = ", ".join(repr(name) for name in waiting)
        if not waiting:
            return "no step is parked: there is nothing to decide"
        if step and step not in waiting:
            return f"{step!r} is not parked; parked: {names}"
        if decision == "skip" and not step and len(waiting) > 1:
            return f"several steps are parked: say which one, {_named(waiting[0])}; parked: {names}"
        about = (step,) if step else waiting
        if pointless := [name for name in about if decision not in self._choices[name]]:
            others = " or ".join(f"`{choice}`" for choice in self._choices[pointless[0]])
            return f"{pointless[0]!r} cannot be decided by `{decision}`: send {others}"
        return ""

    def details(self) -> str:
        """Markdown for a stranger: what happened, for whom it waits, and what each choice means."""
        if self.aborted is not None:
            return f"**An operator ends it**: {self.aborted}. What runs comes to its end, nothing else begins."
        if not self.parked:
            return ""
        turn = workflow.info().workflow_id
        lines = [
            "## Waiting for an operator",
            "",
            "This does not go on by itself, however often it is tried. Nothing is lost: what does not need it goes on "
            "meanwhile, and the run waits.",
            "",
        ]
        lines += [f"- **`{step}`**: {trouble}" for step, trouble in self.parked.items()]
        lines += [
            "",
            "Mend the cause, then choose, by *More Actions*, *Send an Update*, or in a terminal: "
            f"`scaleway-infra runs retry {turn}`, and so on{_which(self.parked)}.",
            "",
        ]
        for choices, steps in self._questions():
            if len(steps) < len(self.parked):
                lines += [f"For {', '.join(f'`{step}`' for step in steps)}:", ""]
            lines += ["| update | data | what it does |", "|---|---|---|"]
            several = len(self.parked) > 1
            lines += [_row(choice, meaning, steps[0], several) for choice, meaning in choices.items()]
            lines.append("")
        return "\n".join(lines[:-1])

    @property
    def _undecided(self) -> tuple[str, ...]:
        return tuple(step for step in self.parked if step not in self._decisions)

    def _questions(self) -> list[tuple[Mapping[Decision, str], list[str]]]:
        """What can be said, with the steps that it can be said of."""
        questions: list[tuple[Mapping[Decision, str], list[str]]] = []
        for step in self.parked:
            for choices, steps in questions:
                if choices == self._choices[step]:
                    steps.append(step)
                    break
            else:
                questions.append((self._choices[step], [step]))
        return questions

    def _decide(self, decision: Decision, steps: tuple[str, ...]) -> Decided:
        self._decisions.update(dict.fromkeys(steps, decision))
        return Decided(steps=steps)

    def _unpark(self, step: str) -> None:
        del self.parked[step], self._choices[step]
        self._show()

    def _show(self) -> None:
        show_blocked(next(iter(self.parked), None))


def _row(choice: Decision, meaning: str, step: str, several: bool) -> str:
    """A choice as a line of a table: the data that it needs, if any, and what could be added."""
    data = "none" if choice == "retry" else 'none, or `{"reason": "..."}`'
    if choice == "skip" and several:
        data = f"`{_named(step)}`"
    return f"| `{choice}` | {data} | {meaning} |"


def _which(parked: Collection[str]) -> str:
    return f"; of several, `skip` takes one: `--step '{next(iter(parked))}'`" if len(parked) > 1 else ""


def _named(step: str) -> str:
    return json.dumps({"step": step, "reason": "..."}, ensure_ascii=False)


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
