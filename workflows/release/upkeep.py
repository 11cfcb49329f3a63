"""What an apply does to nodes that serve users: what is replaced leaves in order, what has new settings restarts.

No more of them at once than the pool can spare.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError

from blueprint.contract import ActivityType
from blueprint.errors import Aborted
from blueprint.plan import Plan
from blueprint.release import contract
from blueprint.release.contract import FactsInput, NodeInput, PoolInput, PoolOutput, Site
from blueprint.release.decision import plan_restart
from blueprint.release.facts import ReleaseFacts
from workflows.failures import failure, told
from workflows.parking import Parking
from workflows.release.roll import Roll
from workflows.release.timeline import Stopped, Timeline


class Upkeep:
    """The nodes of an application, during an apply.

    Args:
        site: the application.
        timeline: carries out the steps.
        parking: where a step that fails waits for an operator.
    """

    def __init__(self, site: Site, timeline: Timeline, parking: Parking) -> None:
        self._site = site
        self._timeline = timeline
        self._parking = parking

    async def retire(self, plan: Plan) -> None:
        """Let the nodes that the plan replaces leave the pool, drain and stop; a broken one just leaves.

        Raises:
            ApplicationError: an operator ended the run.
            Stopped: the run is to end.
        """
        replaced = {change.name for change in plan.changes if change.kind == "server" and change.action == "replace"}
        leaving = [node for node in self._site.nodes if node in replaced]
        if not leaving:
            return
        facts = await self._look("look at the nodes that go")
        for node in leaving:
            if facts is None or not self._can_leave(facts, node):
                continue
            await self._insist("leave", contract.SET_POOL, PoolInput(site=self._site, leave=(node,)), (node,))
            if facts.node(node).reachable:
                await self._wind_down(node)

    async def finish(self) -> None:
        """Restart nodes with new settings, and wait until the load balancer finds all nodes healthy.

        Raises:
            ApplicationError: an operator ended the run.
            Stopped: the run is to end.
        """
        await self._restart()
        facts = await self._look("look at the pool")
        if facts is None or not facts.released or not self._site.backend:
            return
        fresh = tuple(node.name for node in facts.nodes if node.in_pool and not node.balanced)
        if fresh:
            await self._insist("balance", contract.WAIT_BALANCED, PoolInput(site=self._site, join=fresh), fresh)

    async def _restart(self) -> None:
        """Restart, batch by batch outside the pool, nodes whose units run with older settings than their disks have."""
        while True:
            facts = await self._look("look for nodes to restart")
            plan = plan_restart(facts, self._site.app) if facts else None
            if facts is None or plan is None or not plan.batches:
                return
            members = [node.name for node in facts.nodes if node.in_pool]
            roll = Roll(self._site, plan, members, self._timeline, self._parking, soak=0.0)
            try:
                await roll.forward()
            except ActivityError as error:
                if not await self._again("restart with the new settings", told(error)):
                    return
            else:
                return

    # -- parts -------------------------------------------------------------------------------------------------

    def _can_leave(self, facts: ReleaseFacts, node: str) -> bool:
        others = [other for other in facts.nodes if other.in_pool and other.name != node]
        return bool(self._site.backend) and len(others) >= self._site.app.min_healthy

    async def _look(self, step: str) -> ReleaseFacts | None:
        try:
            return await self._timeline.carry_out(step, contract.FACTS, FactsInput(site=self._site), step)
        except ActivityError as error:
            return await self._look(step) if await self._again(step, told(error)) else None

    async def _insist(
        self, verb: str, activity: ActivityType[PoolInput, PoolOutput], request: PoolInput, nodes: tuple[str, ...]
    ) -> None:
        """Carry it out, as often as an operator says so."""
        step = f"{verb} {', '.join(nodes)}"
        while True:
            try:
                await self._timeline.carry_out(step, activity, request, f"{step}, in the pool {self._site.backend}")
            except ActivityError as error:
                if not await self._again(step, told(error)):
                    return
            else:
                return

    async def _wind_down(self, node: str) -> None:
        request = NodeInput(site=self._site, node=node)
        try:
            await self._timeline.carry_out(f"drain {node}", contract.DRAIN, request, f"until {node} has no connection")
            await self._timeline.carry_out(f"stop {node}", contract.STOP, request, f"stop the units of {node}")
        except ActivityError as error:
            # It goes away in any case, and no new request reaches it any more.
            workflow.logger.warning("%s did not stop in order: %s", node, told(error))

    async def _again(self, step: str, trouble: str) -> bool:
        """Ask an operator; whether to try again.

        Raises:
            ApplicationError: the run is to end.
            Stopped: it is cancelled.
        """
        self._parking.park(step, trouble)
        self._timeline.parked(step, trouble)
        decision = await self._parking.decision(step)
        self._timeline.decided(step, {"retry": "waiting", "skip": "skipped"}.get(decision, "dropped"))  # type: ignore[arg-type]
        if self._timeline.stopped:
            raise Stopped
        if decision == "abort":
            raise failure(Aborted(f"ended by an operator: {self._parking.aborted}"))
        return decision == "retry"
