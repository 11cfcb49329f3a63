"""The Temporal activities that change something: create, update, delete, and waiting for what they began.

Nothing at Scaleway is idempotent, and a call that timed out may have happened. So a create looks first, adopts what
it finds, and returns at once; waiting is an activity of its own. Running any of these twice does what once
does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from temporalio import activity

from activities.boundary import attempt_may_have_happened
from activities.lifecycle import Lifecycle, require_usable
from activities.polling import poll
from activities.registry import Clouds
from blueprint import contract
from blueprint.contract import StepInput, StepOutput
from blueprint.errors import Ambiguous, EngineError, Gone, NotOurs, NotReady
from blueprint.kinds import KINDS
from blueprint.plan import Change
from blueprint.resource import Observed, Resource

LOOKUPS_AFTER_DOUBT = 3
"""How often to look for what an earlier attempt may have made, before making it again (reads lag behind writes)."""
LOOKUP_PAUSE = 1.0
"""Seconds between these."""


class Steps:
    """The activities that carry out the steps of a plan.

    Args:
        clouds: gives the lifecycles of an environment.
        sleep: how to pause; seconds in, nothing out.
    """

    def __init__(self, clouds: Clouds, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clouds = clouds
        self._sleep = sleep

    @activity.defn(name=contract.CREATE.name, no_thread_cancel_exception=True)
    def create(self, step: StepInput) -> StepOutput:
        """Make the objects of a step, or find that they are made."""
        lifecycle = self._lifecycle(step)
        resources = [_resource(change) for change in step.changes]
        if lifecycle.repeatable:
            ids = lifecycle.create_all(resources)
        else:
            ids = [self._create_once(lifecycle, resource) for resource in resources]
        return self._outputs(lifecycle, step, ids)

    @activity.defn(name=contract.UPDATE.name, no_thread_cancel_exception=True)
    def update(self, step: StepInput) -> StepOutput:
        """Make the objects of a step match their resources."""
        lifecycle = self._lifecycle(step)
        lifecycle.update_all(
            [_resource(change) for change in step.changes],
            [_observed(change) for change in step.changes],
            [change.differences for change in step.changes],
        )
        return self._outputs(lifecycle, step, [_observed(change).id for change in step.changes])

    @activity.defn(name=contract.DELETE.name, no_thread_cancel_exception=True)
    def delete(self, step: StepInput) -> StepOutput:
        """Remove the objects of a step; those that are gone already count as removed."""
        lifecycle = self._lifecycle(step)
        try:
            lifecycle.delete_all([_observed(change) for change in step.changes])
        except Gone:
            if len(step.changes) > 1:
                raise
        return StepOutput()

    @activity.defn(name=contract.WAIT_READY.name, no_thread_cancel_exception=True)
    def wait_ready(self, step: StepInput) -> StepOutput:
        """Wait until the objects of a step are usable, and tell what they say of themselves by then.

        Raises:
            FailedState: one ended in a state that it does not leave.
            NotReady: not yet; Temporal asks again.
        """
        lifecycle = self._lifecycle(step)
        return StepOutput(outputs=poll(partial(self._ready, lifecycle, step.changes), self._sleep))

    @activity.defn(name=contract.WAIT_GONE.name, no_thread_cancel_exception=True)
    def wait_gone(self, step: StepInput) -> StepOutput:
        """Wait until the objects of a step are no longer there.

        Raises:
            NotReady: one still is; Temporal asks again.
        """
        lifecycle = self._lifecycle(step)
        for change in step.changes:
            poll(partial(self._gone, lifecycle, change), self._sleep)
        return StepOutput()

    # -- create ------------------------------------------------------------------------------------------------

    def _create_once(self, lifecycle: Lifecycle, resource: Resource) -> str:
        looks = LOOKUPS_AFTER_DOUBT if attempt_may_have_happened() else 1
        for look in range(looks):
            if look:
                self._sleep(LOOKUP_PAUSE * self._clouds.pace)
            found = lifecycle.find(resource)
            if len(found) > 1:
                raise Ambiguous(
                    f"{len(found)} objects answer to {resource.name!r}: {', '.join(item.id for item in found)}",
                    subject=resource.key,
                    remedy="delete the wrong ones at Scaleway, then retry",
                )
            if found:
                return self._adopt(lifecycle, resource, found[0])
        return lifecycle.create(resource)

    def _adopt(self, lifecycle: Lifecycle, resource: Resource, item: Observed) -> str:
        if item.ownership == "foreign":
            raise NotOurs(
                f"{resource.name!r} exists, but was not made by us ({item.id})",
                subject=resource.key,
                remedy=f"`scaleway-infra apply --adopt {resource.key}` makes it ours; or rename or delete it",
            )
        if item.health == "failed" and KINDS[resource.kind].replace_failed:
            lifecycle.delete(item)
            return lifecycle.create(resource)
        return item.id

    # -- waiting -----------------------------------------------------------------------------------------------

    def _ready(self, lifecycle: Lifecycle, changes: Sequence[Change]) -> dict[str, dict[str, object]]:
        outputs = {}
        items = lifecycle.read_all([_observed(change) for change in changes])
        for change, item in zip(changes, items, strict=True):
            require_usable(change.key, item.health, item.status)
            outputs[change.key] = item.outputs | {"id": item.id}
        return outputs

    def _gone(self, lifecycle: Lifecycle, change: Change) -> None:
        try:
            item = lifecycle.read(_observed(change))
        except Gone:
            return
        raise NotReady(f"is still there ({item.status!r})", subject=change.key)

    # -- plumbing ----------------------------------------------------------------------------------------------

    def _lifecycle(self, step: StepInput) -> Lifecycle:
        return self._clouds.lifecycles(step.target)[step.changes[0].kind]

    def _outputs(self, lifecycle: Lifecycle, step: StepInput, ids: Sequence[str]) -> StepOutput:
        """What is known at once. A kind that settles tells the rest when it is ready; the others are read here."""
        outputs: dict[str, dict[str, object]] = {}
        for change, object_id in zip(step.changes, ids, strict=True):
            outputs[change.key] = {"id": object_id}
            if not KINDS[change.kind].settles and KINDS[change.kind].tells_more:
                parent = _resource(change).inputs.get("parent_id", "")
                item = Observed(kind=change.kind, name=change.name, id=object_id, parent_id=parent)
                outputs[change.key] |= lifecycle.read(item).outputs
        return StepOutput(outputs=outputs)


def _resource(change: Change) -> Resource:
    if change.resource is None:
        raise EngineError("the step has no resource", subject=change.key)
    return change.resource


def _observed(change: Change) -> Observed:
    if change.observed is None:
        raise EngineError("the step has no object", subject=change.key)
    return change.observed
