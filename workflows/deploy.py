"""Deploy and rollback: another release runs on every node, or the one before does."""

from __future__ import annotations

from temporalio import workflow

from blueprint.release.decision import plan_deploy, plan_rollback
from blueprint.release.record import ReleaseRecord
from workflows.approval import Approvable
from workflows.change import Steerable
from workflows.messages import ReleaseInput
from workflows.release.run import ReleaseRun


@workflow.defn(name="Deploy")
class Deploy(Steerable, Approvable):
    """Prepare everywhere, migrate once, then node by node; back by itself if it does not do."""

    run_state: ReleaseRun

    @workflow.init
    def __init__(self, input: ReleaseInput) -> None:
        app, force = input.site.app, input.force
        self.run_state = ReleaseRun(input, "deploy", lambda facts: plan_deploy(facts, app, force=force))

    @workflow.run
    async def run(self, input: ReleaseInput) -> ReleaseRecord:
        """Bring every node to the commit of the ref.

        Raises:
            ApplicationError: release_refused, rejected, release_failed, rolled_back or aborted.
        """
        record = await self.run_state.run()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return record


@workflow.defn(name="Rollback")
class Rollback(Steerable):
    """Node by node to a release that is on the nodes already: nothing to build, no soak."""

    run_state: ReleaseRun

    @workflow.init
    def __init__(self, input: ReleaseInput) -> None:
        app, to, force = input.site.app, input.ref, input.force
        self.run_state = ReleaseRun(input, "rollback", lambda facts: plan_rollback(facts, app, to, force=force))

    @workflow.run
    async def run(self, input: ReleaseInput) -> ReleaseRecord:
        """Bring every node back.

        Raises:
            ApplicationError: release_refused, release_failed, rolled_back or aborted.
        """
        record = await self.run_state.run()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return record
