"""An environment that a test plans and changes step by step, without workflows."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

from activities.cloud import Cloud
from activities.lifecycle import NO_PARENT, Lifecycle, Parent, Scope
from activities.registry import LIFECYCLES
from blueprint.errors import FailedState, Gone, NotReady, Retryable
from blueprint.kinds import KINDS
from blueprint.plan import Change, Plan
from blueprint.planner import Wishes, make_destroy_plan, make_plan
from blueprint.resource import Observed, Resource, resolve_known
from tests.activities.conftest import declared

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds for which a step is tried again."""
PAUSE = 0.01


class Site:
    """The part of an environment that consists of some kinds.

    Args:
        cloud: the way to a local Scaleway.
        kinds: what is planned and looked at.
    """

    def __init__(self, cloud: Cloud, kinds: Collection[str]) -> None:
        self.kinds = [kind for kind in KINDS.values() if kind.name in kinds]
        self.lifecycles: Mapping[str, Lifecycle] = {kind.name: LIFECYCLES[kind.name](cloud) for kind in self.kinds}

    def resources(self, file: Mapping[str, Any]) -> dict[str, Resource]:
        """What a file asks for."""
        return {key: resource for key, resource in declared(file).items() if resource.kind in self.lifecycles}

    def look(self, file: Mapping[str, Any]) -> dict[str, list[Observed]]:
        """What exists, by kind."""
        names: dict[str, set[str]] = {kind.name: set() for kind in self.kinds}
        for resource in self.resources(file).values():
            names[resource.kind].add(resource.name)
        found: dict[str, list[Observed]] = {}
        for kind in self.kinds:
            parents = [Parent(i.id, i.name) for i in found[kind.parent]] if kind.parent else [NO_PARENT]
            scope = Scope(names=frozenset(names[kind.name]))
            objects = [item for parent in parents for item in self.lifecycles[kind.name].list(parent, scope)]
            found[kind.name] = [i for i in objects if i.ownership == "ours" or i.name in names[kind.name]]
        return found

    def one(self, file: Mapping[str, Any], key: str) -> Observed:
        """The object of one resource."""
        resource = self.resources(file)[key]
        (item,) = [item for item in self.look(file)[resource.kind] if item.name == resource.name]
        return item

    def plan(self, file: Mapping[str, Any], *, destroy: bool = False, adopt: tuple[str, ...] = ()) -> Plan:
        """What has to change."""
        objects = [item for items in self.look(file).values() for item in items]
        make = make_destroy_plan if destroy else make_plan
        return make("lssm-prod", self.resources(file).values(), objects, Wishes(adopt=adopt))

    def apply(self, file: Mapping[str, Any], *, destroy: bool = False, adopt: tuple[str, ...] = ()) -> Plan:
        """Plan and carry out, each step after those that it needs, once more whatever a retry can cure."""
        plan = self.plan(file, destroy=destroy, adopt=adopt)
        assert not plan.blocked, plan.blocked
        outputs: dict[str, dict[str, Any]] = dict(plan.outputs)
        changes = {change.key: change for change in plan.changes}
        done: set[str] = set()
        while len(done) < len(plan.steps):
            step = next(step for step in plan.steps if step.id not in done and done.issuperset(step.after))
            for key in step.changes:
                self._carry_out(step.action, changes[key], outputs)
            done.add(step.id)
        return plan

    def _carry_out(self, action: str, change: Change, outputs: dict[str, dict[str, Any]]) -> None:
        lifecycle, kind = self.lifecycles[change.kind], KINDS[change.kind]
        if action == "delete" or change.resource is None:
            assert change.observed
            item = change.observed
            persistently(lambda: ignoring_gone(lambda: lifecycle.delete(item)))
            if kind.lingers:
                persistently(lambda: gone(lifecycle, item))
            return
        resource = with_ids(change.resource, outputs)
        if action == "create":
            object_id = persistently(lambda: create_once(lifecycle, resource))
        else:
            assert change.observed
            item, object_id = change.observed, change.observed.id
            persistently(lambda: lifecycle.update(resource, item, change.differences))
        parent_id = resource.inputs.get("parent_id", "")
        made = Observed(
            kind=resource.kind, name=resource.name, id=object_id, parent_id=parent_id, inputs=resource.inputs
        )
        outputs[resource.key] = {"id": object_id}
        if kind.settles or kind.tells_more:
            outputs[resource.key] |= persistently(lambda: ready(lifecycle, made)).outputs


def with_ids(resource: Resource, outputs: Mapping[str, Mapping[str, Any]]) -> Resource:
    """The resource as a step gets it."""
    parent = {"parent_id": outputs[resource.parent]["id"]} if resource.parent else {}
    fields = resolve_known(resource.fields, outputs, resource.key)
    return resource.model_copy(update={"fields": fields, "inputs": resource.inputs | parent})


def create_once(lifecycle: Lifecycle, resource: Resource) -> str:
    """Find it or make it."""
    if not lifecycle.repeatable and (found := lifecycle.find(resource)):
        (item,) = found
        return item.id
    return lifecycle.create(resource)


def ready(lifecycle: Lifecycle, item: Observed) -> Observed:
    """The object, once it is usable."""
    found = lifecycle.read(item)
    if found.health == "failed":
        raise FailedState(f"ended in {found.status!r}", subject=item.name)
    if found.health == "pending":
        raise NotReady(f"is {found.status!r}", subject=item.name)
    return found


def gone(lifecycle: Lifecycle, item: Observed) -> None:
    """Nothing, once the object is gone."""
    try:
        lifecycle.read(item)
    except Gone:
        return
    raise NotReady("is still there", subject=item.name)


def ignoring_gone(call: Callable[[], object]) -> None:
    """Carry out a delete; what is gone already needs none."""
    try:
        call()
    except Gone:
        return


def persistently(call: Callable[[], T]) -> T:
    """Try again what a later attempt can cure, each time in an activity of that attempt."""
    deadline, scheduled = time.monotonic() + PATIENCE, datetime.now(UTC)
    for attempt in itertools.count(1):
        activity = ActivityEnvironment()
        activity.info = replace(activity.info, attempt=attempt, scheduled_time=scheduled)
        try:
            return activity.run(call)
        except Retryable:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
    raise AssertionError
