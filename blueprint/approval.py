"""Approval of what a run would do: what is shown, which word counts, and what is kept of it. Pure."""

from __future__ import annotations

import json
import re
from typing import Literal

from blueprint.moments import moment
from blueprint.resource import Model

APPROVAL = "approval"
"""Key of the memo that holds the record, and the step that waits in search attributes and progress."""


class Proposal(Model):
    """What a run would do, as it was just found."""

    fingerprint: str
    """Equal for two proposals exactly if they would do the same."""
    text: str
    """Markdown for whoever decides."""
    obstacle: str = ""
    """Why it cannot be done as things are, whoever approves it; empty if it can."""


class Waiting(Model):
    """A proposal that waits for somebody's word."""

    environment: str
    """Such as "lssm-prod"."""
    operation: str
    """What the run is: apply, destroy or deploy."""
    proposal: Proposal
    """What was shown last."""
    by: str
    """Who asked for it."""
    link: str = ""
    """From where: the CI run's page."""
    until: float
    """Seconds since the epoch; nobody's word by then is a rejection."""
    others_only: bool = False
    """Whether whoever asked for it may not approve it."""
    changed: str = ""
    """Why the last approval did not count; empty if nobody has tried."""
    anew: bool = False
    """Whether something else was shown before: somebody may still be looking at that."""

    @property
    def trouble(self) -> str:
        """What it waits for, in a line."""
        return f"waits until {moment(self.until)} for somebody to approve or reject {self.proposal.fingerprint}"

    def details(self) -> str:
        """Markdown for a stranger: what would be done, for whom, until when, and exactly what to send."""
        approve = json.dumps({"by": "YOUR NAME", "reason": "", "fingerprint": self.proposal.fingerprint})
        asked = f"[{self.by}]({self.link})" if self.link else f"**{self.by}**"
        others = " Whoever asked for it may not approve it." if self.others_only else ""
        notes = [f"**The last approval did not count: {self.changed}.**\n"] if self.changed else []
        return "\n".join(
            [
                f"## Waiting for approval of this {self.operation} of `{self.environment}`",
                "",
                f"Asked for by {asked}. Nothing is changed before somebody approves it; without a word until "
                f"{moment(self.until)} it counts as rejected.{others}",
                "",
                "Choose, by *Send an Update*, or by `scaleway-infra approve` and `reject`:",
                "",
                "| update | data | what it does |",
                "|---|---|---|",
                f"| `approve` | `{approve}` | the plan is made once more, and if it still is this one, carried out |",
                '| `reject` | `{"by": "YOUR NAME", "reason": "..."}` | the run ends, and nothing was changed |',
                "",
                *notes,
                self.proposal.text,
            ]
        )


class ApprovalRecord(Model):
    """How a proposal was decided about."""

    decision: Literal["approved", "rejected", "timed out"]
    """The word, or that there was none."""
    by: str = ""
    """Whose word, as he gave it; empty if there was none."""
    reason: str = ""
    """Why."""
    at: float
    """When, seconds since the epoch."""
    fingerprint: str
    """Of what was shown."""

    def __str__(self) -> str:
        whose = f" by {self.by}" if self.by else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.decision}{whose} at {moment(self.at)}{why}"


def refusal(
    decision: Literal["approve", "reject"],
    waiting: Waiting | None,
    record: ApprovalRecord | None,
    by: str,
    reason: str,
    fingerprint: str = "",
) -> str:
    """Why somebody's word does not count; empty if it does.

    Args:
        decision: the word.
        waiting: what waits, if anything does.
        record: how it was decided already, if it was.
        by: whose word.
        reason: why.
        fingerprint: of what he has seen; if empty, the only one that has been shown so far.
    """
    if record:
        return f"there is nothing left to decide: {record}"
    if waiting is None:
        return "nothing waits for approval: either it is not needed, or the plan is still being made"
    if not by.strip():
        return f"{decision} needs to know who you are: " + 'send {"by": "your name", "reason": "..."}'
    if decision == "reject":
        return "" if reason.strip() else 'reject needs a reason: send {"by": "your name", "reason": "..."}'
    if waiting.others_only and same_person(by, waiting.by):
        return f"{waiting.by} asked for it, and somebody else has to approve it (approval.others_only)"
    shown = waiting.proposal.fingerprint
    if waiting.anew and not fingerprint:
        return f"something else was shown at first: approve needs the fingerprint of what is shown now, {shown}"
    if fingerprint and fingerprint != shown:
        return f"what is shown now is {shown}, not {fingerprint}: look at it, and approve that"
    return ""


def moved(before: Proposal, now: Proposal) -> str:
    """Why an approval of what was shown does not count for what would be done now; empty if it does."""
    if now.fingerprint != before.fingerprint:
        return (
            f"what would be done now ({now.fingerprint}) is not what was shown ({before.fingerprint}): "
            "something changed in between; look at what is shown now, and decide about that"
        )
    return f"it cannot be approved as things are: {now.obstacle}" if now.obstacle else ""


def same_person(one: str, other: str) -> bool:
    """Whether two names may be one person: "ann", "Ann (run 7)" and "ann@laptop" may, and so they count as it."""
    return _person(one) == _person(other)


def _person(name: str) -> str:
    return re.split(r"@|\s+\(run ", name.strip(), maxsplit=1)[0].strip().casefold()
