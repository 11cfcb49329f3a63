"""Restore of a database: made beside the live one, checked there, and swapped in only when that is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import workflow

from blueprint.backup import contract
from blueprint.backup.choice import DatabaseRestore, declared, live_names, plan_restore
from blueprint.backup.contract import CatalogueInput, DropInput, LoadInput, MaskInput, SwapInput, VerifyInput
from blueprint.backup.layout import backup_id
from blueprint.backup.scratch import kept_name, require_scratch
from blueprint.errors import RestoreFailed, RestoreRefused
from workflows.backup.course import TRANSFER, Course, GivenUp, lean
from workflows.backup.messages import RestoreDatabaseInput, RestoreDatabaseOutput
from workflows.backup.pins import pinned
from workflows.backup.safety import backed_up_first
from workflows.change import Steerable
from workflows.failures import failure
from workflows.parking import Decision
from workflows.release.timeline import Stopped

STOPPING = "the restored database is dropped, and the live one stays as it is; a swap that has begun comes to its end"
"""What happens if a restore is cancelled."""

CHOICES: Mapping[Decision, str] = {
    "retry": "it is tried again: mend the cause first",
    "abort": "the restored database is dropped, the live one stays as it is, and the run fails",
}
"""What an operator can say when a restore cannot go on."""

SAFETY_CHOICES: Mapping[Decision, str] = {
    "retry": "the backup is tried again: mend the cause first",
    "skip": "the restore goes on without it; the live database is kept under another name in any case",
    "abort": "nothing is restored, and the run fails",
}
"""What an operator can say when the live database cannot be backed up before it is replaced."""

FINDINGS_CHOICES: Mapping[Decision, str] = {
    "retry": "look at the restored database once more",
    "skip": "it takes the place of the live one all the same",
    "abort": "the restored database is dropped, the live one stays as it is, and the run fails",
}
"""What an operator can say when the restored database is not what it should be."""


class RestoreRun(Course):
    """One restore of a database.

    Args:
        input: what is asked.
    """

    def __init__(self, input: RestoreDatabaseInput) -> None:
        self.id = backup_id(workflow.time(), workflow.uuid4().hex)
        self._input = input
        self._site = lean(input.site)
        self._into = lean(input.into) if input.into else None
        self._on = self._into or self._site
        where = self._on.target.environment
        super().__init__(f"restore {self.id} of the database {input.database} in {where}", input.origin, STOPPING)
        self._began = workflow.time()
        self._left = ""
        """What could not be removed, in words."""
        self._output = RestoreDatabaseOutput(database=input.database)

    async def run(self) -> RestoreDatabaseOutput:
        """Restore, check, and swap if that is asked for.

        Raises:
            ApplicationError: restore_refused, restore_failed or aborted; the live database is as it was.
        """
        return await self.see_through(self._story())

    async def _story(self) -> RestoreDatabaseOutput:
        try:
            if self._input.back_to:
                return await self._back()
            plan = await self._plan()
            async with pinned(
                self, self._site, plan.entry, f"restore into {plan.restored}", self._input.origin.by, CHOICES
            ):
                return await self._restore(plan)
        except (RestoreRefused, GivenUp) as error:
            if self.parking.aborted is not None:
                raise self.aborted() from None
            raise failure(self._unrestored(error)) from None

    def _unrestored(self, error: RestoreRefused | GivenUp) -> RestoreRefused | RestoreFailed:
        if isinstance(error, RestoreRefused):
            error.message += self._left
            return error
        text = f"{error.trouble}; the live database is as it was{self._left}"
        return RestoreFailed(text, subject=self._input.database, remedy="mend the cause; then restore again")

    async def _plan(self) -> DatabaseRestore:
        """Choose the backup, and the names.

        Raises:
            RestoreRefused: what is asked for cannot be.
        """
        asset = declared(self._site, self._input.database)
        catalogue = await self.carry_out(
            "read the catalogue",
            contract.CATALOGUE,
            CatalogueInput(site=self._site, assets=(asset,)),
            f"which backups of {asset} there are",
            choices=CHOICES,
        )
        wish = self._input
        plan = plan_restore(
            catalogue,
            self._site,
            wish.database,
            self.id,
            id=wish.id,
            to=wish.to,
            in_place=wish.in_place,
            into=self._into,
        )
        self._tell(database=plan.restored, id=plan.entry.id, point=plan.entry.point)
        return plan

    async def _restore(self, plan: DatabaseRestore) -> RestoreDatabaseOutput:
        steps = [f"load {plan.restored}", f"check {plan.restored}"]
        steps += [f"mask {plan.restored}"] if self._into else []
        self.timeline.expect((*steps, "swap") if self._input.in_place else steps)
        if self._input.in_place:
            await self._safety()
        usable = False
        try:
            await self._load(plan)
            await self._check(plan)
            if self._into:
                await self._mask(plan)
            if self._input.in_place:
                await self._swap(plan.restored, plan.kept)
            usable = True
        finally:
            if not usable:
                # After a swap that came to its end unseen there is no database of this name any more.
                drop = DropInput(site=self._on, names=(plan.restored,), run=self.id)
                trouble = await self.tidy(f"drop {plan.restored}", contract.DROP, drop, "nothing half restored stays")
                self._left = f"; {plan.restored} is still there, `scaleway-infra drop` removes it: {trouble}" * bool(
                    trouble
                )
        self._tell(seconds=round(workflow.time() - self._began, 2))
        return self._output

    async def _back(self) -> RestoreDatabaseOutput:
        """Let a database that an earlier restore kept take the place of the live one again.

        Raises:
            RestoreRefused: its name is not one that a restore gives.
        """
        wish = self._input
        declared(self._on, wish.database)
        require_scratch(wish.back_to, live_names(self._on))
        if wish.id or wish.to or wish.into:
            raise RestoreRefused("it is no backup that comes back, but a database that was kept", subject=wish.back_to)
        await self._swap(wish.back_to, kept_name(wish.database, self.id))
        return self._output

    # -- steps -------------------------------------------------------------------------------------------------

    async def _safety(self) -> None:
        """Back up the live database, unless there is none."""
        site, origin = self._input.into or self._input.site, self._input.origin
        asset = declared(site, self._input.database)
        self._tell(safety=await backed_up_first(self, site, asset, origin, SAFETY_CHOICES))

    async def _load(self, plan: DatabaseRestore) -> None:
        self.enter("restoring", f"From the backup `{plan.entry.id}` into `{plan.restored}`; the live one is untouched.")
        request = LoadInput(
            site=self._site,
            asset=plan.entry.asset,
            id=plan.entry.id,
            into=plan.restored,
            on=self._into,
            run=self.id,
        )
        title = f"{plan.entry.id} into {plan.restored}"
        loaded = await self.carry_out(
            f"load {plan.restored}", contract.LOAD, request, title, choices=CHOICES, attempt=TRANSFER
        )
        self._tell(bytes=loaded.bytes, left_out=loaded.left_out)

    async def _check(self, plan: DatabaseRestore) -> None:
        """Hold it against the backup; before it replaces a live one, an operator says what findings mean."""
        self.enter("checking")
        step = f"check {plan.restored}"
        request = VerifyInput(
            site=self._site, asset=plan.entry.asset, id=plan.entry.id, database=plan.restored, on=self._into
        )
        while True:
            title = f"{plan.restored} against {plan.entry.id}"
            found = await self.carry_out(step, contract.VERIFY, request, title, choices=CHOICES, attempt=TRANSFER)
            self._tell(checked=found.checked, findings=found.findings)
            if not found.findings or not self._input.in_place:
                return
            trouble = f"{plan.restored} is not what it should be: {'; '.join(found.findings)}"
            match await self.ask(step, trouble, FINDINGS_CHOICES):
                case "skip":
                    return
                case "abort" | None:
                    raise RestoreRefused(
                        trouble,
                        subject=self._input.database,
                        remedy="restore another backup, or this one beside the live one, to look at it",
                    )

    async def _mask(self, plan: DatabaseRestore) -> None:
        """Make it harmless, before anybody of the other environment can connect."""
        assert self._into
        request = MaskInput(site=self._site, database=self._input.database, restored=plan.restored, on=self._into)
        masked = await self.carry_out(
            f"mask {plan.restored}",
            contract.MASK,
            request,
            f"for {self._into.target.environment}",
            choices=CHOICES,
            attempt=TRANSFER,
        )
        if masked.findings:
            raise RestoreRefused(f"it is not masked: {'; '.join(masked.findings)}", subject=plan.restored)
        self._tell(checked=(*self._output.checked, *masked.checked))

    async def _swap(self, restored: str, kept: str) -> None:
        """Exchange the names. Not cancelled half way: whoever cancels then has a restored database."""
        if self.timeline.stopped:
            raise Stopped
        self.enter("swapping")
        database = self._input.database
        request = SwapInput(site=self._site, database=database, restored=restored, kept=kept, on=self._into)
        title = f"{restored} becomes {database}, which is kept as {kept}"
        with self.timeline.shielded():
            swapped = await self.carry_out("swap", contract.SWAP, request, title, choices=CHOICES)
        self._tell(database=database, kept=kept, away=swapped.seconds)

    def _tell(self, **facts: object) -> None:
        self._output = self._output.model_copy(update=facts)


@workflow.defn(name="RestoreDatabase")
class RestoreDatabase(Steerable):
    """Bring a database back from a backup, or a kept one back to its place. It has the environment's turn."""

    run_state: RestoreRun

    @workflow.init
    def __init__(self, input: RestoreDatabaseInput) -> None:
        self.run_state = RestoreRun(input)

    @workflow.run
    async def run(self, input: RestoreDatabaseInput) -> RestoreDatabaseOutput:
        """Restore, check, and swap if that is asked for.

        Raises:
            ApplicationError: restore_refused, restore_failed or aborted; the live database is as it was.
        """
        return await self.run_state.run()
