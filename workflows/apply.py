"""Apply: what exists becomes what the file says."""

from __future__ import annotations

from temporalio import workflow

from workflows.approval import Approvable
from workflows.change import ChangeRun, Steerable
from workflows.messages import ChangeInput, ChangeOutput


@workflow.defn(name="Apply")
class Apply(Steerable, Approvable):
    """Plan, compare with what was approved, wait for approval where the file wants it, carry out."""

    run_state: ChangeRun

    @workflow.init
    def __init__(self, input: ChangeInput) -> None:
        self.run_state = ChangeRun(input)

    @workflow.run
    async def run(self, input: ChangeInput) -> ChangeOutput:
        """Bring the environment to what its file says.

        Raises:
            ApplicationError: plan_out_of_date, conflict, rejected or aborted.
        """
        plan = await self.run_state.approved(await self.run_state.plan())
        output = await self.run_state.carry_out(plan)
        self.run_state.end(output)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return output
