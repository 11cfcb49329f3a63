"""The Temporal activities that only look: plan and inventory."""

from __future__ import annotations

from temporalio import activity

from activities.observation import observe
from activities.registry import Clouds
from blueprint import contract
from blueprint.contract import InventoryInput, InventoryOutput, PlanInput
from blueprint.environment import parse
from blueprint.graph import resources_of
from blueprint.plan import Plan
from blueprint.planner import Wishes, make_destroy_plan, make_plan


class Planning:
    """The activities that read what exists. They write nothing and take nobody's turn.

    Args:
        clouds: gives the lifecycles of an environment.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds

    @activity.defn(name=contract.PLAN.name, no_thread_cancel_exception=True)
    def plan(self, input: PlanInput) -> Plan:
        """Hold the file against what exists.

        Raises:
            EnvironmentFileError: the file does not make sense.
        """
        environment = parse(input.environment)
        resources = resources_of(environment)
        objects = observe(
            self._clouds.lifecycles(input.target), resources, refresh=input.refresh, progress=activity.heartbeat
        )
        allow_destroy = (*environment.allow_destroy, *input.allow_destroy)
        wishes = Wishes(adopt=input.adopt, allow_destroy=allow_destroy, replace=input.replace)
        make = make_destroy_plan if input.destroy else make_plan
        return make(input.target.environment, resources, objects, wishes)

    @activity.defn(name=contract.INVENTORY.name, no_thread_cancel_exception=True)
    def inventory(self, input: InventoryInput) -> InventoryOutput:
        """Everything that exists for an environment, and what is missing.

        Raises:
            EnvironmentFileError: the file does not make sense.
        """
        resources = resources_of(parse(input.environment))
        objects = observe(self._clouds.lifecycles(input.target), resources, refresh=True, progress=activity.heartbeat)
        found = {(item.kind, item.name) for item in objects}
        return InventoryOutput(
            objects=objects,
            keys={f"{resource.kind} {resource.name}": resource.key for resource in resources},
            missing=tuple(r.key for r in resources if (r.kind, r.name) not in found),
        )
