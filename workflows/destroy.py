"""Destroy: nothing of ours remains, and it is proven."""

from __future__ import annotations

from temporalio import workflow

from blueprint import contract
from blueprint.errors import LeftOver
from workflows.approval import Approvable
from workflows.calls import look
from workflows.change import ChangeRun, Steerable
from workflows.details import AGAIN
from workflows.failures import failure
from workflows.messages import ChangeInput, ChangeOutput


@workflow.defn(name="Destroy")
class Destroy(Steerable, Approvable):
    """Plan the removal of everything that is ours, carry it out, look again."""

    run_state: ChangeRun

    @workflow.init
    def __init__(self, input: ChangeInput) -> None:
        self.run_state = ChangeRun(input)

    @workflow.run
    async def run(self, input: ChangeInput) -> ChangeOutput:
        """Remove the environment.

        Raises:
            ApplicationError: plan_out_of_date, conflict, protected, rejected, aborted, or left_over if something of
                ours is still there at the end.
        """
        plan = await self.run_state.approved(await self.run_state.plan())
        output = await self.run_state.carry_out(plan)
        self.run_state.enter("proving")
        environment = input.request.target.environment
        proof = await self.run_state.found(
            "it cannot be told whether anything is left",
            look(contract.PLAN, input.request, f"proof that nothing of {environment} is left"),
        )
        if proof.changes and not output.skipped:
            names = ", ".join(change.key for change in proof.changes)
            self.run_state.enter("failed", f"Still there: {names}.\n\n{AGAIN}")
            raise failure(LeftOver(f"still there: {names}", remedy="run destroy again"))
        self.run_state.end(output)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return output
