"""Retention: backups that no rule wants go, one by one, after the plan has been shown."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import workflow

from blueprint.backup import contract
from blueprint.backup.contract import BackupRef, CatalogueInput, SiteInput, SweepOutput
from blueprint.backup.retention import RetentionPlan, Verdict, plan_retention
from blueprint.errors import LeftOver, Protected
from workflows.backup.course import Course, GivenUp, lean
from workflows.backup.messages import RetentionInput, RetentionOutput
from workflows.calls import BUILDING
from workflows.change import Steerable
from workflows.failures import failure
from workflows.parking import Decision

SHOWN = 50
"""Backups that go, in the current details; the run's result has all."""

STOPPING = "the deletion under way comes to its end, and nothing else is deleted"
"""What happens if a retention is cancelled."""

CHOICES: Mapping[Decision, str] = {
    "retry": "it is tried again: mend the cause first",
    "skip": "it stays; the run goes on, and fails at its end",
    "abort": "it stays, and nothing else is deleted",
}
"""What an operator can say when something cannot be removed."""


class RetentionRun(Course):
    """One retention run.

    Args:
        input: what is asked.
    """

    def __init__(self, input: RetentionInput) -> None:
        what = "retention" if input.write else "what retention would do"
        super().__init__(f"{what} of {input.site.target.environment}", input.origin, STOPPING)
        self._input = input
        self._site = lean(input.site)
        self._output = RetentionOutput(plan=RetentionPlan())
        self._troubles: list[str] = []

    async def run(self) -> RetentionOutput:
        """Plan, show the plan, carry it out.

        Raises:
            ApplicationError: left_over or aborted, with the output in its details.
        """
        return await self.see_through(self._story())

    async def _story(self) -> RetentionOutput:
        try:
            catalogue = await self.carry_out(
                "read the catalogue",
                contract.CATALOGUE,
                CatalogueInput(site=self._site),
                "which backups there are",
                choices=CHOICES,
            )
        except GivenUp as error:
            raise failure(LeftOver(f"the catalogue cannot be read, so nothing is deleted: {error.trouble}")) from None
        plan = plan_retention(catalogue.entries, self._site.retention, workflow.time())
        self._note_output(plan=plan)
        self.timeline.expect(_step(item) for item in plan.deletions if self._input.write)
        self.enter("deleting" if self._input.write else "planning", planned(plan))
        if not self._input.write:
            return self._output
        for item in plan.deletions:
            await self._delete(item)
        await self._sweep()
        self._note_output(troubles=tuple(self._troubles))
        if self._troubles:
            remedy = "the next run tries again; `scaleway-infra backups` lists what is there"
            raise failure(LeftOver("; ".join(self._troubles), remedy=remedy), self._output)
        return self._output

    async def _delete(self, item: Verdict) -> None:
        request = BackupRef(site=self._site, asset=item.asset, id=item.id)
        try:
            freed = await self.carry_out(
                _step(item),
                contract.DELETE,
                request,
                "; ".join(item.reasons),
                choices=CHOICES,
                attempt=BUILDING,
                final=(Protected.code,),
            )
        except GivenUp as error:
            # Somebody may have pinned it since the plan was made: then it is right that it stays.
            if error.code != Protected.code:
                self._troubles.append(f"{item.asset} {item.id} is still there: {error.trouble}")
            return
        self._note_output(
            deleted=self._output.deleted + 1,
            bytes=self._output.bytes + freed.bytes,
            locked=self._output.locked + freed.locked,
        )

    async def _sweep(self) -> None:
        try:
            swept: SweepOutput = await self.carry_out(
                "sweep",
                contract.SWEEP,
                SiteInput(site=self._site),
                "what no backup has any more, and what runs that never ended left",
                choices=CHOICES,
                attempt=BUILDING,
            )
        except GivenUp as error:
            self._troubles.append(f"not swept: {error.trouble}")
        else:
            self._note_output(swept=swept)

    def _note_output(self, **facts: object) -> None:
        self._output = self._output.model_copy(update=facts)


def planned(plan: RetentionPlan) -> str:
    """A plan in Markdown: what goes and why, what would go and is held."""
    going = plan.deletions
    lines = [f"{len(going)} of {len(plan.verdicts)} backups go, {sum(item.size for item in going)} bytes"]
    lines += [f"- `{item.asset}` `{item.id}`: {'; '.join(item.reasons)}" for item in going[:SHOWN]]
    if len(going) > SHOWN:
        lines.append(f"- … and {len(going) - SHOWN} more")
    lines += [f"- nothing of `{asset}`: {reason}" for asset, reason in plan.held.items()]
    return "\n".join((lines[0], "", *lines[1:]))


def _step(item: Verdict) -> str:
    return f"delete {item.asset} {item.id}"


@workflow.defn(name="Retention")
class Retention(Steerable):
    """Delete the backups that no rule wants, and what no backup has any more."""

    run_state: RetentionRun

    @workflow.init
    def __init__(self, input: RetentionInput) -> None:
        self.run_state = RetentionRun(input)

    @workflow.run
    async def run(self, input: RetentionInput) -> RetentionOutput:
        """Plan, and carry the plan out unless only the plan is wanted.

        Raises:
            ApplicationError: left_over or aborted, with the output in its details.
        """
        return await self.run_state.run()
