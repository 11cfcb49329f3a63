"""What workflows and activities say to each other, and by which names. Neither imports the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from blueprint.plan import Change, Plan
from blueprint.resource import Model, Observed

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


TASK_QUEUE = "scaleway-infra"
"""Where workers listen."""
DRIFT_WORKFLOW = "Drift"
"""Type of the workflow that looks for drift: a schedule starts it too."""

ENVIRONMENT_ATTRIBUTE = "Environment"
OPERATION_ATTRIBUTE = "Operation"
STARTED_BY_ATTRIBUTE = "StartedBy"
COMMIT_ATTRIBUTE = "CommitSha"
"""Search attributes by which runs and schedules are found; `workflows.identity` says what they hold."""


def look_id(operation: str, environment: str, unique: str) -> str:
    """Workflow id of what only reads: it takes nobody's turn."""
    return f"{operation}/{environment}/{unique}"


def freeze_id(environment: str) -> str:
    """Workflow id of the run that is an environment's freeze, with `by`, `reason` and `until` in its memo."""
    return f"freeze/{environment}"


@dataclass(frozen=True)
class ActivityType(Generic[I, O]):
    """An activity as a workflow sees it: a name, what goes in, what comes out."""

    name: str
    takes: type[I]
    gives: type[O]


class Target(Model):
    """Which environment, and where it lives."""

    org: str
    """Organization in names: "lssm"."""
    env: str
    """Environment in names: "prod"."""
    region: str
    """"fr-par"."""
    zone: str
    """"fr-par-1"."""
    project_id: str = ""
    """Scaleway project; the worker's default project if empty."""

    @property
    def environment(self) -> str:
        """In names, tags and workflow ids: lssm-prod."""
        return f"{self.org}-{self.env}"


class PlanInput(Model):
    """What a plan is made of."""

    target: Target
    environment: dict[str, Any]
    """The environment file, parsed but not validated."""
    destroy: bool = False
    """Plan the removal of everything that is ours."""
    adopt: tuple[str, ...] = ()
    """Keys, or globs, of objects made by hand that become ours."""
    allow_destroy: tuple[str, ...] = ()
    """Keys, or globs, of protected objects that may go, besides those that the file names."""
    replace: tuple[str, ...] = ()
    """Servers that are made anew, each by its key or by its own name."""
    refresh: bool = False
    """Read buckets and queues one by one, instead of trusting the seal."""


class StepInput(Model):
    """One step of a plan, with every reference resolved."""

    target: Target
    step: str
    """Id of the step."""
    changes: tuple[Change, ...]
    """One, or as many as the kind takes in a call."""


class StepOutput(Model):
    """What the objects of a step can tell, by resource key."""

    outputs: dict[str, dict[str, Any]] = {}


class InventoryInput(Model):
    """Which objects to look up."""

    target: Target
    environment: dict[str, Any]
    """The environment file, parsed but not validated."""


class InventoryOutput(Model):
    """Everything that exists for an environment."""

    objects: tuple[Observed, ...]
    """Ours, and foreign ones that stand under our names."""
    keys: dict[str, str] = {}
    """Resource keys by "<kind> <name>"."""
    missing: tuple[str, ...] = ()
    """Keys of resources that do not exist."""


PLAN = ActivityType("plan", PlanInput, Plan)
INVENTORY = ActivityType("inventory", InventoryInput, InventoryOutput)
CREATE = ActivityType("create", StepInput, StepOutput)
UPDATE = ActivityType("update", StepInput, StepOutput)
DELETE = ActivityType("delete", StepInput, StepOutput)
WAIT_READY = ActivityType("wait_ready", StepInput, StepOutput)
WAIT_GONE = ActivityType("wait_gone", StepInput, StepOutput)
