"""What an apply does to nodes that serve users: what is replaced leaves in order, what has new settings restarts.

No more of them at once than the pool can spare, judged by what the load balancer finds healthy just before. Once nodes
have begun, they are brought to their end: who cancels an apply is obeyed between them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from temporalio import workflow
from temporalio.exceptions import ActivityError

from blueprint.contract import ActivityType
from blueprint.errors import Aborted
from blueprint.plan import Plan
from blueprint.release import contract
from blueprint.release.contract import FactsInput, NodeInput, PoolInput, PoolOutput, Site
from blueprint.release.decision import ReleasePlan, plan_restart
from blueprint.release.facts import ReleaseFacts
from workflows.failures import failure, told
from workflows.parking import CHOICES, Decision, Parking
from workflows.release.roll import Roll
from workflows.release.timeline import Stopped, Timeline

RESTART_CHOICES: Mapping[Decision, str] = {
    "retry": "the same nodes restart once more, before any other: mend the settings or the application first",
    "skip": "these nodes stay as they are, outside the pool if they had left it, and no further one restarts",
    "abort": "as skip, and the run fails",
}
"""What an operator can say when nodes do not come back with new settings."""


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
        self._skipped: list[str] = []

    @property
    def skipped(self) -> tuple[str, ...]:
        """Steps that an operator skipped."""
        return tuple(self._skipped)

    async def retire(self, plan: Plan) -> None:
        """Let the nodes that the plan replaces leave the pool, drain and stop; a broken one just leaves.

        The walk replaces them at once. One that the others cannot stand in for is left alone here: it serves until the
        walk takes it away, and its connections break then. If the run is cancelled, those that stopped come back.

        Raises:
            ApplicationError: an operator ended the run.
            Stopped: the run is to end.
        """
        replaced = {change.name for change in plan.changes if change.kind == "server" and change.action == "replace"}
        stopped: list[str] = []
        released = ""
        try:
            for node in (node for node in self._site.nodes if node in replaced):
                facts = await self._look(f"look whether {node} can go")
                if facts is None or not can_leave(facts, self._site, node):
                    continue
                released = facts.released
                with self._timeline.shielded():
                    await self._insist("leave", contract.SET_POOL, PoolInput(site=self._site, leave=(node,)), (node,))
                    if facts.node(node).reachable:
                        stopped.append(node)
                        await self._wind_down(node)
            if stopped and self._timeline.stopped:
                raise Stopped
        except Stopped:
            await self._return(stopped, released)
            raise

    async def finish(self) -> None:
        """Wait until the load balancer finds all nodes healthy, and restart nodes with new settings.

        Raises:
            ApplicationError: an operator ended the run.
            Stopped: the run is to end.
        """
        facts = await self._look("look at the pool")
        if facts and facts.released and self._site.backend:
            # Those with old settings are waited for when they have new ones, which may be what they need.
            fresh = [node for node in facts.nodes if node.in_pool and not node.balanced and not node.restart_needed]
            if names := tuple(node.name for node in fresh):
                await self._insist("balance", contract.WAIT_BALANCED, PoolInput(site=self._site, join=names), names)
        await self._restart()

    async def _restart(self) -> None:
        """Restart, batch by batch outside the pool, nodes whose units run with older settings than their disks have.

        A batch that did not come back is all there is to do until it has: the others still run with the old settings,
        and are what is left of the pool.
        """
        begun: ReleasePlan | None = None
        done: set[str] = set()
        while True:
            facts = await self._look("look for nodes to restart")
            plan = next_restart(facts, self._site, done) if facts and not begun else begun
            if facts is None or plan is None:
                return
            roll = Roll(self._site, plan, members(facts, plan.nodes), self._timeline, self._parking, soak=0.0)
            try:
                with self._timeline.shielded():
                    await roll.forward()
            except ActivityError as error:
                begun = plan
                step = f"restart {', '.join(plan.nodes)} with the new settings"
                if not await self._again(step, told(error), RESTART_CHOICES):
                    return
                self._timeline.decided(step, "done")
            else:
                begun = None
                done.update(plan.nodes)

    # -- parts -------------------------------------------------------------------------------------------------

    async def _return(self, nodes: list[str], released: str) -> None:
        """Bring nodes that stopped, and are not replaced after all, back into the pool. Nobody is left to be asked."""
        if not nodes or not released:
            return
        plan = ReleasePlan(action="restart", commit=released, batches=(tuple(nodes),))
        others = [node for node in self._site.nodes if node not in nodes]
        try:
            with self._timeline.shielded():
                await Roll(self._site, plan, others, self._timeline, self._parking, soak=0.0).forward()
        except ActivityError as error:
            workflow.logger.warning("%s did not come back: %s", ", ".join(nodes), told(error))

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

    async def _again(self, step: str, trouble: str, choices: Mapping[Decision, str] = CHOICES) -> bool:
        """Ask an operator; whether to try again.

        Raises:
            ApplicationError: the run is to end.
            Stopped: it is cancelled.
        """
        self._parking.park(step, trouble, choices)
        self._timeline.parked(step, trouble)
        decision = await self._parking.decision(step)
        self._timeline.decided(step, {"retry": "waiting", "skip": "skipped"}.get(decision, "dropped"))  # type: ignore[arg-type]
        if self._timeline.stopped:
            raise Stopped
        if decision == "abort":
            raise failure(Aborted(f"ended by an operator: {self._parking.aborted}"))
        if decision == "skip":
            self._skipped.append(step)
        return decision == "retry"


def can_leave(facts: ReleaseFacts, site: Site, node: str) -> bool:
    """Whether the pool can spare a node: enough others are found healthy by the load balancer."""
    others = [other for other in facts.nodes if other.balanced and other.name != node]
    return bool(site.backend) and len(others) >= site.app.min_healthy


def members(facts: ReleaseFacts, changing: Collection[str]) -> list[str]:
    """Who is in the pool, for nodes that are about to change: of the others only those count that can serve."""
    return [node.name for node in facts.nodes if (node.in_pool if node.name in changing else node.balanced)]


def next_restart(facts: ReleaseFacts, site: Site, done: Collection[str]) -> ReleasePlan | None:
    """The next nodes to restart; None if there are none.

    Args:
        facts: the nodes.
        site: the application.
        done: nodes that this run has restarted, whatever they look like now.
    """
    nodes = [
        node.model_copy(update={"restart_needed": node.restart_needed and node.name not in done})
        for node in facts.nodes
    ]
    plan = plan_restart(facts.model_copy(update={"nodes": tuple(nodes)}), site.app)
    return plan.model_copy(update={"batches": plan.batches[:1]}) if plan.batches else None
