"""The plan: what has to change so that what exists is what the file says. Pure: resources and objects in, plan out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any, Literal

from blueprint.resource import Model, Observed, Resource

SCHEMA_VERSION = "1.0"
"""Of `plan --output json`. The minor part grows with additions, the major one with anything that breaks a reader."""

Action = Literal["create", "update", "replace", "delete", "adopt", "await", "held", "conflict"]
"""What happens to one object:

create, update, replace (delete, then create), delete: as in Terraform
adopt     an object made by hand becomes ours: it gets our tag, and its fields the file's values
await     it is on its way already, from an earlier run: only waited for
held      it would be deleted or replaced, but protection holds it
conflict  it stands in the way and is not ours, or a person has to look at it: the plan cannot be applied
"""

StepAction = Literal["create", "update", "delete", "await"]
"""What one step does: a replace is a delete and a create, an adoption is an update."""

MUTATING: tuple[Action, ...] = ("create", "update", "replace", "delete", "adopt")


class Difference(Model):
    """One declared value that is not what exists."""

    path: str
    """Field, with the keys below it: "health_check.path"."""
    old: Any = None
    """What exists."""
    new: Any = None
    """What the file says; UNKNOWN if it depends on another step."""


class Change(Model):
    """What happens to one object."""

    key: str
    """The resource's key; "<kind>.<name>" of an object that no resource asks for."""
    kind: str
    """As in `Resource.kind`."""
    name: str
    """As in `Resource.name`."""
    action: Action
    """See `Action`."""
    why: str = ""
    """Reason of a replace, held or conflict, and of a delete."""
    differences: tuple[Difference, ...] = ()
    """Of an update, replace or adopt."""
    resource: Resource | None = None
    """What should exist; None for a delete."""
    observed: Observed | None = None
    """What exists, without its fields; None for a create."""


class Step(Model):
    """One unit of work: one or more changes carried out in one go, once all steps in `after` are done."""

    id: str
    """"create vpc.main": unique in the plan."""
    action: StepAction
    """What is done to every member."""
    changes: tuple[str, ...]
    """Keys of the changes."""
    after: tuple[str, ...] = ()
    """Ids of the steps that must be done first."""
    serial: str = ""
    """Steps of equal, non-empty value run one after the other."""
    until: Literal["ready", "gone"] | None = None
    """What is waited for after the call; None where the API is done when it answers."""
    vouches: bool = False
    """Whether it says that the steps before it are done: dropped if one of them was skipped."""


class Plan(Model):
    """Everything that would happen, and in what order."""

    environment: str
    """"<org>-<env>"."""
    destroy: bool = False
    """Whether this plan removes the environment."""
    changes: tuple[Change, ...] = ()
    """In order of their keys; what stays as it is is in `kept`."""
    kept: tuple[str, ...] = ()
    """Keys of the resources that exist as declared."""
    steps: tuple[Step, ...] = ()
    """The order of work."""
    outputs: dict[str, dict[str, Any]] = {}
    """Outputs of existing objects that the changes refer to, by resource key."""

    @property
    def pending(self) -> bool:
        """Whether applying the plan would write anything."""
        return any(change.action in MUTATING for change in self.changes)

    @property
    def blocked(self) -> tuple[Change, ...]:
        """The conflicts: while there is one, the plan cannot be applied."""
        return tuple(change for change in self.changes if change.action == "conflict")

    def counts(self) -> dict[str, int]:
        """Number of changes by action, with `keep`."""
        counted = Counter(change.action for change in self.changes)
        return {"keep": len(self.kept)} | {action: counted[action] for action in sorted(counted)}

    def fingerprint(self) -> str:
        """16 hexadecimal digits that are equal for two plans exactly if they would do the same.

        What an object says of itself beyond its id does not count, nor does the order of work.
        """
        essence = {
            "environment": self.environment,
            "destroy": self.destroy,
            "changes": [
                {
                    "key": change.key,
                    "action": change.action,
                    "differences": [difference.model_dump(mode="json") for difference in change.differences],
                    "resource": change.resource.model_dump(mode="json") if change.resource else None,
                    "id": change.observed.id if change.observed else None,
                }
                for change in self.changes
                if change.action != "await"
            ],
        }
        canonical = json.dumps(essence, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
