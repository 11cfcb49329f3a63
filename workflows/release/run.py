"""A deploy or a rollback from its first look to its record. The roll itself is in `workflows.release.roll`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError
from temporalio.workflow import ActivityHandle

from blueprint.errors import Aborted, Rejected, ReleaseFailed, ReleaseRefused, RolledBack
from blueprint.release import contract
from blueprint.release.contract import FactsInput, MarkInput, MigrationPlan, NodeInput, ProbeInput
from blueprint.release.decision import Action, ReleasePlan, short
from blueprint.release.facts import ReleaseFacts
from blueprint.release.plan_markdown import release_proposal
from blueprint.release.record import RECORD, ProbeRecord, ReleaseRecord
from workflows.approval import Gate
from workflows.calls import BUILDING, begin, look
from workflows.details import AGAIN, described, titled
from workflows.failures import code_of, failure, told
from workflows.messages import Phase, Progress, ReleaseInput
from workflows.parking import Decision, Parking
from workflows.release.backup_point import back_up
from workflows.release.roll import SPARE, LeftAlone, Roll
from workflows.release.timeline import Stopped, Timeline

LONGEST_PROBE = timedelta(hours=12)
"""The probe ends with the roll; this is for a roll that is parked."""
FAULTS_OF_THE_RELEASE = frozenset({"command_failed", "unhealthy"})
"""Codes of failures for which the release is marked as bad: what it runs, or that it runs, went wrong."""
STOPPING = "nodes that were touched go back to the release before first"
"""What happens if a release is cancelled."""
PAST_CHOICES: Mapping[Decision, str] = {
    "retry": "the nodes go back all the same; the database stays as it is now",
    "skip": "the nodes stay as they are now, the run fails, and the next apply brings all nodes to this release",
    "abort": "as skip",
}
"""What an operator can say when a release failed after a migration without a way back."""


NOTE_CHOICES: Mapping[Decision, str] = {
    "retry": "it is noted again: mend the way to the nodes first",
    "skip": "it is noted nowhere; the next apply goes by what was noted before",
    "abort": "as skip",
}
"""What an operator can say when no node could note what a release is."""


class ReleaseRun:
    """One deploy or rollback.

    Args:
        input: what is asked.
        action: which of the two.
        decide: the plan that follows from the facts.
    """

    def __init__(self, input: ReleaseInput, action: Action, decide: Callable[[ReleaseFacts], ReleasePlan]) -> None:
        self.parking = Parking()
        self.timeline = Timeline(self._show)
        self._input = input
        self._site = input.site
        self._facts = FactsInput(site=input.site, ref=input.ref if action == "deploy" else "")
        self._decide = decide
        self.gate = Gate(self._outlook, lambda found: release_proposal(found[0], input.site.app), self.timeline)
        self._phase: Phase = "preflight"
        self._record = ReleaseRecord(
            environment=input.site.target.environment,
            action=action,
            commit=input.ref,
            origin=input.origin,
            started=workflow.time(),
        )

    def progress(self) -> Progress:
        """The run, seen from outside."""
        return Progress(phase=self._phase, steps=self.timeline.progress(), approval=self.gate.waiting)

    async def run(self) -> ReleaseRecord:
        """From the facts to the record. A cancelled run takes the touched nodes back first.

        Raises:
            ApplicationError: release_refused, release_failed, rolled_back or aborted; the record is in its details.
            CancelledError: it was cancelled; the memo has the record.
        """
        story = asyncio.create_task(self._story())
        try:
            return await asyncio.shield(story)
        except asyncio.CancelledError:
            self.timeline.stop()
            self.gate.close()
            # While a question stands, cancelling answers it. One that comes on the way back still has to be asked.
            if self.parking.parked:
                self.parking.close()
            (ended,) = await asyncio.gather(story, return_exceptions=True)
            if isinstance(ended, BaseException):
                raise
            return ended

    # -- the story ---------------------------------------------------------------------------------------------

    async def _story(self) -> ReleaseRecord:
        try:
            facts = await self._look()
            plan = self._decide(facts)
            self._note(commit=plan.commit, subject=plan.subject, previous=plan.previous, in_place=plan.in_place)
            if plan.refusals:
                reasons = "; ".join(refusal.text for refusal in plan.refusals)
                remedies = "; ".join(dict.fromkeys(refusal.remedy for refusal in plan.refusals))
                raise self._failed(ReleaseRefused(reasons, subject=short(plan.commit), remedy=remedies))
            if not plan.batches:
                return self._end("released", "all nodes run it already")
            plan, facts = await self._approved(plan, facts)
            await self._ready(plan)
            await self._change(plan, facts)
            await self._settle(plan)
            return self._end("released")
        except Stopped:
            raise self._failed(Aborted("cancelled before any node was touched")) from None

    async def _look(self) -> ReleaseFacts:
        try:
            return await self.timeline.carry_out("preflight", contract.FACTS, self._facts, "look at nodes and pool")
        except ActivityError as error:
            raise self._failed(ReleaseFailed(told(error))) from None

    async def _approved(self, plan: ReleasePlan, facts: ReleaseFacts) -> tuple[ReleasePlan, ReleaseFacts]:
        """Wait for somebody's approval, if the environment's file asks for it. A rollback is an emergency."""
        rules, origin = self._input.approval, self._input.origin
        if rules is None or plan.action != "deploy":
            return plan, facts
        self._enter("approval")
        try:
            found = await self.gate.approved((plan, facts), rules, plan.action, self._record.environment, origin)
        except Rejected as error:
            self._note(approval=self.gate.record)
            raise self._failed(error) from None
        self._note(approval=self.gate.record)
        return found

    async def _outlook(self) -> tuple[ReleasePlan, ReleaseFacts]:
        facts = await look(contract.FACTS, self._facts, "look once more at every node and the pool")
        return self._decide(facts), facts

    async def _ready(self, plan: ReleasePlan) -> None:
        """Everything that no traffic notices: files on all nodes side by side, then the database."""
        self._enter("preparing")
        self.timeline.expect(f"prepare {node}" for node in plan.prepare)
        try:
            began = workflow.time()
            await self._prepare(plan)
            self._note(preparing=round(workflow.time() - began, 2))
            self._enter("migrating")
            if plan.action == "deploy" and self._site.app.migrate:
                await self._migrate(plan)
        except ActivityError as error:
            if code_of(error) in FAULTS_OF_THE_RELEASE:
                await self._mark_bad(plan, told(error))
            raise self._failed(
                ReleaseFailed(f"nothing was touched: {told(error)}", subject=short(plan.commit))
            ) from None

    async def _prepare(self, plan: ReleasePlan) -> None:
        results = await asyncio.gather(
            *(
                self.timeline.carry_out(
                    f"prepare {node}",
                    contract.PREPARE,
                    NodeInput(site=self._site, node=node, commit=plan.commit),
                    f"{node}: fetch, check out, install {short(plan.commit)}",
                    BUILDING,
                )
                for node in plan.prepare
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _migrate(self, plan: ReleasePlan) -> None:
        assert self._site.app.migrate
        request = NodeInput(site=self._site, node=plan.nodes[0], commit=plan.commit)
        found: MigrationPlan = await self.timeline.carry_out(
            "pending migrations", contract.PENDING, request, "which migrations the release brings"
        )
        if found.known and not found.pending:
            return
        point = found.backup_point
        if self._input.backup and self._input.backup.before_migration:
            try:
                point = await back_up(self._input.backup, self._input.origin, self.timeline)
            except FailureError as error:
                text = f"nothing was touched, for there is no backup to go back to: {told(error)}"
                remedy = "mend the cause, or take it out of backup.before_migration; then deploy again"
                raise self._failed(ReleaseFailed(text, subject=short(plan.commit), remedy=remedy)) from None
        # Noted before they run: a migration that fails is when somebody asks for the backup point.
        self._note(migrations=found.pending, irreversible=found.irreversible, backup_point=point)
        attempt = timedelta(seconds=self._site.app.migrate.timeout) + SPARE
        title = f"from {request.node}: {', '.join(found.pending)}"
        # Not cancelled half way: it would go on in the database while nobody waits for it.
        with self.timeline.shielded():
            if found.irreversible:
                names = ", ".join(found.irreversible)
                await self._on_every_node(
                    lambda node: MarkInput(
                        site=self._site, node=node, commit=plan.commit, mark="irreversible", reason=names
                    )
                )
            await self.timeline.carry_out("migrate", contract.MIGRATE, request, title, attempt)

    async def _change(self, plan: ReleasePlan, facts: ReleaseFacts) -> None:
        """The roll, watched by the probe; back if it fails.

        Raises:
            ApplicationError: it failed.
        """
        self._enter("rolling")
        members = [node.name for node in facts.nodes if node.in_pool]
        soak = self._site.app.soak if plan.action == "deploy" else 0.0
        roll = Roll(self._site, plan, members, self.timeline, self.parking, soak)
        self.timeline.expect(roll.steps())
        before = sum(node.connections for node in facts.nodes)
        self._note(connections_before=before, queues_before=await self._queues())
        probe = self._begin_probe()
        trouble: ReleaseFailed | RolledBack | None = None
        try:
            await roll.forward()
        except (ActivityError, Stopped) as error:
            trouble = await self._go_back(plan, roll, error)
        # Side by side: a probe notices within a second that it is to end.
        after, queues, seen = await asyncio.gather(self._connections(), self._queues(), self._end_probe(probe))
        self._note(nodes=roll.records, connections_after=after, queues_after=queues, probe=seen)
        if trouble:
            raise self._failed(trouble)

    async def _go_back(
        self, plan: ReleasePlan, roll: Roll, error: ActivityError | Stopped
    ) -> ReleaseFailed | RolledBack:
        """Bring what was touched back. Returns how that ended."""
        self.timeline.drop_waiting()
        self.timeline.shield()
        reason = "it was cancelled" if isinstance(error, Stopped) else told(error)
        if isinstance(error, ActivityError) and code_of(error) in FAULTS_OF_THE_RELEASE:
            await self._mark_bad(plan, reason)
        if not plan.previous:
            return ReleaseFailed(f"there is no release to go back to: {reason}")
        if self._record.irreversible and await self._past(reason) != "retry":
            # The database has moved on, so this is what the nodes are brought to from now on, and go back to.
            await self._release(plan.commit)
            return ReleaseFailed(f"left as it is by an operator: {reason}")
        self._enter("rolling back")
        try:
            await roll.back()
        except LeftAlone:
            return ReleaseFailed(f"left as it is by an operator: {reason}")
        alone = [record.node for record in roll.records if record.result == "left alone"]
        if alone:
            return ReleaseFailed(f"back on {short(plan.previous)}, but for {', '.join(alone)}: {reason}")
        return RolledBack(
            f"back on {short(plan.previous)}: {reason}",
            remedy="deploy it again" if isinstance(error, Stopped) else "deploy a commit that mends it",
        )

    async def _past(self, reason: str) -> Decision:
        """Ask whether to go back past a migration without a way back."""
        step = f"back past {', '.join(self._record.irreversible)}"
        trouble = (
            f"the release failed ({reason}), and these migrations cannot be undone: "
            f"{', '.join(self._record.irreversible)}. The release before may not know the database as it is now. "
            f"Backup point: {self._record.backup_point or 'none noted'}"
        )
        self.parking.park(step, trouble, PAST_CHOICES)
        self.timeline.parked(step, trouble)
        decision = await self.parking.decision(step)
        self.timeline.decided(step, "done" if decision == "retry" else "skipped")
        return decision

    async def _settle(self, plan: ReleasePlan) -> None:
        """Note on every node what the environment's release is now, and remove old ones."""
        self._enter("recording")
        self.timeline.shield()
        if plan.action == "rollback" and plan.previous and plan.previous != plan.commit:
            text = f"rolled back by {self._input.origin.by}" + (f": {self._input.reason}" if self._input.reason else "")
            await self._on_every_node(
                lambda node: MarkInput(site=self._site, node=node, commit=plan.previous, mark="bad", reason=text)
            )
        await self._release(plan.commit)
        requests = [NodeInput(site=self._site, node=node, commit=plan.commit) for node in self._site.nodes]
        await asyncio.gather(
            *(begin(contract.PRUNE, request, f"{request.node}: remove old releases") for request in requests),
            return_exceptions=True,
        )

    # -- parts -------------------------------------------------------------------------------------------------

    async def _mark_bad(self, plan: ReleasePlan, reason: str) -> None:
        # What a command printed besides is in the record.
        first = reason.splitlines()[0]
        await self._on_every_node(
            lambda node: MarkInput(site=self._site, node=node, commit=plan.commit, mark="bad", reason=first)
        )

    async def _release(self, commit: str) -> None:
        """From now on this is the environment's release."""
        at = workflow.time()
        await self._on_every_node(
            lambda node: MarkInput(site=self._site, node=node, commit=commit, mark="released", at=at)
        )

    async def _on_every_node(self, mark: Callable[[str], MarkInput]) -> None:
        """Note something on every node that can be reached: the others learn it from their neighbours.

        If none can, an operator is asked: what nobody has noted would be undone by the next apply.
        """
        marks = [mark(node) for node in self._site.nodes]
        while True:
            noted = await asyncio.gather(
                *(begin(contract.MARK, item, f"{item.node}: {short(item.commit)} is {item.mark}") for item in marks),
                return_exceptions=True,
            )
            failures = [result for result in noted if isinstance(result, BaseException)]
            if len(failures) < len(marks) or await self._unnoted(marks[0], failures[0]) != "retry":
                return

    async def _unnoted(self, mark: MarkInput, error: BaseException) -> Decision:
        """Ask what to do about something that no node has noted."""
        step = f"note that {short(mark.commit)} is {mark.mark}"
        self.parking.park(step, told(error), NOTE_CHOICES)
        self.timeline.parked(step, told(error))
        decision = await self.parking.decision(step)
        self.timeline.decided(step, "done" if decision == "retry" else "skipped")
        return decision

    async def _queues(self) -> dict[str, int]:
        """Messages by queue; nothing if they cannot be counted: a release does not depend on it."""
        if not self._site.queues:
            return {}
        try:
            found = await begin(contract.QUEUES, FactsInput(site=self._site), "count the messages in the queues")
        except ActivityError:
            return {}
        return {queue: found.waiting[queue] + found.in_flight.get(queue, 0) for queue in found.waiting}

    async def _connections(self) -> int:
        """Connections of all nodes; 0 if they cannot be counted: a release does not depend on it."""
        try:
            facts = await begin(contract.FACTS, FactsInput(site=self._site), "count the nodes' connections")
        except ActivityError:
            return 0
        return sum(node.connections for node in facts.nodes)

    def _begin_probe(self) -> ActivityHandle[ProbeRecord] | None:
        """From now on ask as a user would, if there is an address to ask."""
        if not self._site.app.url:
            return None
        title = f"ask {self._site.app.url} while nodes change"
        return begin(contract.PROBE, ProbeInput(site=self._site), title, attempt=LONGEST_PROBE)

    async def _end_probe(self, probe: ActivityHandle[ProbeRecord] | None) -> ProbeRecord | None:
        """Stop asking. Returns how it was answered; None if nobody asked, or the probe itself failed."""
        if probe is None:
            return None
        probe.cancel()
        try:
            return await probe
        except (ActivityError, asyncio.CancelledError):
            return None

    # -- bookkeeping -------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._show()

    def _show(self, note: str = "") -> None:
        record = self._record
        workflow.set_current_details(
            described(
                titled(f"{record.action} of {short(record.commit)} to {record.environment}", record.origin),
                self._phase,
                self.timeline.states,
                self.timeline.times,
                question=self.gate.waiting.details() if self.gate.waiting else self.parking.details(),
                note=note,
                stopping=STOPPING,
            )
        )

    def _note(self, **facts: object) -> None:
        self._record = self._record.model_copy(update=facts)

    def _end(self, result: str, reason: str = "") -> ReleaseRecord:
        self._phase = "done" if result == "released" else "failed"
        self._note(result=result, reason=reason, ended=workflow.time())
        workflow.upsert_memo({RECORD: self._record})
        text = f"{result}: {reason}" if reason else result
        self._show(f"**{text}**" if result == "released" else f"**{text}**.\n\n{AGAIN}")
        return self._record

    def _failed(self, error: ReleaseFailed | RolledBack | ReleaseRefused | Aborted) -> Exception:
        """The failure that ends the run, with the record in its details."""
        self._end("rolled back" if isinstance(error, RolledBack) else "failed", error.message)
        return failure(error, self._record)
