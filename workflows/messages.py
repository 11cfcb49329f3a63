"""What goes into and comes out of workflows, their updates and their queries."""

from __future__ import annotations

from typing import Any, Literal

from blueprint.approval import ApprovalRecord, Waiting
from blueprint.backup.site import BackupSite
from blueprint.contract import PlanInput
from blueprint.environment.approval import Approval
from blueprint.plan import Plan
from blueprint.release.contract import Site
from blueprint.release.decision import ReleasePlan
from blueprint.release.facts import FreezeFacts, ReleaseFacts
from blueprint.release.record import Origin
from blueprint.resource import Model


class ChangeInput(Model):
    """What an apply or a destroy works on."""

    request: PlanInput
    """What the plan is made of."""
    fingerprint: str | None = None
    """Of the plan that was approved; another plan is refused. None: whatever the plan says is done."""
    origin: Origin | None = None
    """Who asked for it, and from where; None: whoever started the run."""


class ChangeOutput(Model):
    """How an apply or a destroy ended."""

    counts: dict[str, int]
    """Changes by action, with `keep`."""
    fingerprint: str
    """Of the plan that ran."""
    skipped: tuple[str, ...] = ()
    """Steps that an operator skipped."""
    held: tuple[str, ...] = ()
    """Keys of objects that protection held."""
    outputs: dict[str, dict[str, Any]] = {}
    """Outputs of what was made or changed, by resource key."""
    approval: ApprovalRecord | None = None
    """Whose word it waited for; None if for nobody's."""


class SkipInput(Model):
    """Which parked step to skip, and why."""

    step: str = ""
    """Id of the step, as the current details name it; the only one that is parked if empty."""
    reason: str = ""
    """For the record."""


class AbortInput(Model):
    """Why the run ends here."""

    reason: str = ""
    """For the record."""


class ApproveInput(Model):
    """Somebody's yes to what the run would do."""

    by: str = ""
    """Who says so."""
    reason: str = ""
    """For the record."""
    fingerprint: str = ""
    """Of what he has seen: refused if something else is shown by now. Empty: there has been one only."""


class RejectInput(Model):
    """Somebody's no to what the run would do."""

    by: str = ""
    """Who says so."""
    reason: str = ""
    """For the record, and for whoever asked for the run."""


class Decided(Model):
    """What an operator's word did."""

    steps: tuple[str, ...]
    """The steps it was about."""


StepState = Literal["waiting", "running", "parked", "done", "failed", "skipped", "dropped"]
"""failed: it went wrong, and the run deals with that. dropped: not begun, because the run was cancelled or aborted, or
because what it needs was skipped."""


class StepProgress(Model):
    """One step, seen from outside."""

    id: str
    """As in the plan."""
    state: StepState = "waiting"
    """See `StepState`."""
    started: float | None = None
    """Seconds since the epoch."""
    ended: float | None = None
    """Seconds since the epoch."""
    trouble: str = ""
    """Why it is parked."""


Phase = Literal[
    "planning",
    "approval",
    "changing",
    "proving",
    "preflight",
    "preparing",
    "migrating",
    "rolling",
    "rolling back",
    "backing up",
    "drilling",
    "deleting",
    "restoring",
    "checking",
    "swapping",
    "recording",
    "done",
    "failed",
]


class Progress(Model):
    """A run, seen from outside."""

    phase: Phase = "planning"
    """What it is at."""
    fingerprint: str = ""
    """Of the plan, once there is one."""
    steps: tuple[StepProgress, ...] = ()
    """Every step of the plan."""
    approval: Waiting | None = None
    """What waits for approval; None if nothing does."""

    @property
    def parked(self) -> tuple[StepProgress, ...]:
        """The steps that wait for an operator."""
        return tuple(step for step in self.steps if step.state == "parked")


class DriftOutput(Model):
    """What a look for drift found."""

    plan: Plan
    """What an apply would do about it, with every detail read."""


class ReleaseInput(Model):
    """What a deploy or a rollback works on."""

    site: Site
    """The application."""
    ref: str = ""
    """For a deploy: branch, tag or commit. For a rollback: the start of a release's commit; the one before if empty."""
    force: bool = False
    """Whether refusals that can be overruled are."""
    origin: Origin
    """Who asked for it."""
    backup: BackupSite | None = None
    """For a deploy: what is backed up before it migrates; nothing if None."""
    reason: str = ""
    """For a rollback: what is wrong with the release that goes."""
    approval: Approval | None = None
    """For a deploy: whose word it waits for; for nobody's if None."""


class ReleaseLook(Model):
    """What a look at the application's releases found."""

    facts: ReleaseFacts
    """Nodes, pool, freeze, commit."""
    plan: ReleasePlan | None = None
    """What a deploy of the ref would do; None if no ref was asked for."""


class FreezeInput(Model):
    """Why nothing is to be deployed."""

    freeze: FreezeFacts
    """Who, why, until when."""
