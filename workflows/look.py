"""Plan, drift, status and releases: they only read, and take nobody's turn."""

from __future__ import annotations

from temporalio import workflow

from blueprint import contract
from blueprint.contract import DRIFT_WORKFLOW, InventoryInput, InventoryOutput, PlanInput
from blueprint.plan import Plan
from blueprint.release import contract as release
from blueprint.release.contract import FactsInput
from blueprint.release.decision import plan_deploy
from workflows.calls import look
from workflows.messages import DriftOutput, ReleaseInput, ReleaseLook


@workflow.defn(name="Plan")
class PlanEnvironment:
    """What an apply would do."""

    @workflow.run
    async def run(self, input: PlanInput) -> Plan:
        """Look, and hold the file against it."""
        return await look(contract.PLAN, input, f"plan of {input.target.environment}")


@workflow.defn(name=DRIFT_WORKFLOW)
class Drift:
    """What differs from the file, every declared detail read."""

    @workflow.run
    async def run(self, input: PlanInput) -> DriftOutput:
        """Look at everything, and say what is not as declared."""
        request = input.model_copy(update={"refresh": True})
        plan = await look(contract.PLAN, request, f"drift of {input.target.environment}")
        workflow.set_current_details(f"{len(plan.changes)} objects differ from the file")
        return DriftOutput(plan=plan)


@workflow.defn(name="Status")
class Status:
    """What exists."""

    @workflow.run
    async def run(self, input: InventoryInput) -> InventoryOutput:
        """Look at everything."""
        return await look(contract.INVENTORY, input, f"inventory of {input.target.environment}")


@workflow.defn(name="Releases")
class Releases:
    """What is on the nodes, and, for a ref, what a deploy of it would do."""

    @workflow.run
    async def run(self, input: ReleaseInput) -> ReleaseLook:
        """Look at every node and the pool."""
        request = FactsInput(site=input.site, ref=input.ref)
        facts = await look(release.FACTS, request, f"nodes of {input.site.target.environment}")
        plan = plan_deploy(facts, input.site.app, force=input.force) if facts.commit else None
        return ReleaseLook(facts=facts, plan=plan)
