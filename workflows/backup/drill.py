"""Drill: a backup counts as good once it was restored into a scratch place, and checked there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from temporalio import workflow
from temporalio.workflow import ActivityHandle

from blueprint.backup import contract, layout
from blueprint.backup.catalogue import Catalogue, Entry, is_drilled
from blueprint.backup.choice import assets_of, backup_to_drill
from blueprint.backup.contract import (
    BucketRestoreInput,
    CatalogueInput,
    DropInput,
    LoadInput,
    ScratchObjectsInput,
    SiteInput,
    VerifyInput,
    VerifyOutput,
)
from blueprint.backup.contract import DrillInput as RecordInput
from blueprint.backup.manifest import DrillRecord
from blueprint.backup.scratch import drill_name
from blueprint.contract import ActivityType
from blueprint.errors import BackupFailed, CommandFailed, Damaged, DrillFailed, RestoreRefused, SecretMissing
from workflows.backup.course import TRANSFER, Course, GivenUp, lean
from workflows.backup.messages import DrillInput, DrillOutput
from workflows.backup.pins import pinned
from workflows.calls import begin
from workflows.change import Steerable
from workflows.failures import failure
from workflows.parking import Decision
from workflows.release.timeline import Stopped

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

VERDICTS = frozenset(error.code for error in (Damaged, CommandFailed, SecretMissing, DrillFailed))
"""Codes of failures that say something about the backup: a restore would fail as well. Others (a node that is away, a
store that does not answer) say nothing of it."""
SAMPLE = 200
"""Objects of a bucket that are restored, evenly over all."""

STOPPING = "what it made in scratch places is removed; the backups themselves stay as they are"
"""What happens if a drill is cancelled."""

CHOICES: Mapping[Decision, str] = {
    "retry": "it is tried again: mend the cause first",
    "skip": "this asset gets no verdict; the others are drilled; the run fails at its end",
    "abort": "nothing else begins; what the drill made is removed, and the run fails",
}
"""What an operator can say when a drill cannot go on, for a reason that is not the backup's."""


class DrillRun(Course):
    """One drill run.

    Args:
        input: what is asked.
    """

    def __init__(self, input: DrillInput) -> None:
        self.id = layout.backup_id(workflow.time(), workflow.uuid4().hex)
        super().__init__(f"drill {self.id} of {input.site.target.environment}", input.origin, STOPPING)
        self._input = input
        self._site = lean(input.site)
        self._records: list[DrillRecord] = []
        self._troubles: list[str] = []

    async def run(self) -> DrillOutput:
        """Drill every asset that is asked for, one after another.

        Raises:
            ApplicationError: drill_failed or aborted, with the output in its details.
        """
        return await self.see_through(self._story())

    async def _story(self) -> DrillOutput:
        site = self._input.site
        try:
            assets = assets_of([asset for asset in site.assets if is_drilled(asset)], self._input.only)
        except BackupFailed as error:
            raise failure(error) from None
        self.timeline.expect(f"restore {asset}" for asset in assets)
        try:
            catalogue = await self.carry_out(
                "read the catalogue",
                contract.CATALOGUE,
                CatalogueInput(site=self._site, assets=assets),
                "which backups there are",
                choices=CHOICES,
            )
            if any(asset.startswith("db/") for asset in assets):
                await self._remove("drop what earlier drills left", contract.DROP, DropInput(site=self._site))
        except GivenUp as error:
            raise self._failed(f"nothing was drilled: {error.trouble}") from None
        self.enter("drilling")
        for asset in assets:
            try:
                await self._drill(catalogue, asset)
            except Stopped:
                if self.parking.aborted is None:
                    raise
                break
        self.enter("recording")
        report = await self.attempt("report", contract.REPORT, SiteInput(site=self._site), "how every asset is now")
        output = DrillOutput(
            records=tuple(self._records),
            troubles=tuple(self._troubles),
            assets=report.assets if report else (),
        )
        if self.parking.aborted is not None:
            raise self.aborted(output)
        failed = [f"{record.asset}: {'; '.join(record.findings)}" for record in self._records if not record.passed]
        if failed or self._troubles:
            raise self._failed("; ".join((*failed, *self._troubles)), output)
        return output

    def _failed(self, text: str, output: DrillOutput | None = None) -> Exception:
        remedy = "`scaleway-infra backups` shows which ones are good; drill again once the cause is mended"
        output = output or DrillOutput(records=(), troubles=(text,))
        return failure(DrillFailed(text, subject=self._site.target.environment, remedy=remedy), output)

    # -- one asset ---------------------------------------------------------------------------------------------

    async def _drill(self, catalogue: Catalogue, asset: str) -> None:
        """Restore one backup and note how it went."""
        try:
            entry = backup_to_drill(catalogue, asset, self._input.id)
        except RestoreRefused as error:
            self._unproven(asset, str(error))
            return
        reason, by = "a drill reads it", self._input.origin.by
        try:
            async with pinned(self, self._site, entry, reason, by, CHOICES):
                record = await self._tried(entry)
            await self.carry_out(
                f"record {asset}",
                contract.RECORD_DRILL,
                RecordInput(site=self._site, record=record),
                f"{entry.id} is {'good' if record.passed else 'bad'}",
                choices=CHOICES,
            )
            self._records.append(record)
        except GivenUp as error:
            self._unproven(asset, f"{asset}: no verdict: {error.trouble}")

    def _unproven(self, asset: str, trouble: str) -> None:
        self.timeline.drop(f"restore {asset}")
        self._troubles.append(trouble)

    async def _tried(self, entry: Entry) -> DrillRecord:
        """What a restore of it shows.

        Raises:
            GivenUp: nothing, for a reason that is not the backup's.
        """
        began = workflow.time()
        name = entry.asset.partition("/")[2]
        restore = self._database if entry.asset.startswith("db/") else self._bucket
        try:
            size, seconds, found = await restore(entry, name)
        except GivenUp as error:
            if error.code not in VERDICTS:
                raise
            size, seconds, found = 0, workflow.time() - began, VerifyOutput(findings=(error.trouble,), checked=())
        return DrillRecord(
            id=entry.id,
            asset=entry.asset,
            at=began,
            seconds=round(seconds, 2),
            passed=not found.findings,
            findings=found.findings,
            checked=found.checked,
            bytes=size,
            by=self._input.origin.by,
        )

    async def _database(self, entry: Entry, database: str) -> tuple[int, float, VerifyOutput]:
        """Restore a database beside the live one, and look at it.

        Returns:
            Its bytes, the seconds until it could be used, and what was found.
        """
        scratch = drill_name(database, self.id)
        load = LoadInput(site=self._site, asset=entry.asset, id=entry.id, into=scratch, run=self.id)
        verify = VerifyInput(site=self._site, asset=entry.asset, id=entry.id, database=scratch)
        try:
            loaded, loading = await self._timed(
                f"restore {entry.asset}", contract.LOAD, load, f"{entry.id} into {scratch}"
            )
            found, checking = await self._timed(
                f"check {entry.asset}", contract.VERIFY, verify, f"{scratch} against {entry.id}"
            )
        finally:
            await self._remove(f"drop {scratch}", contract.DROP, DropInput(site=self._site, names=(scratch,)))
        if loaded.left_out:
            told = f"not restored, since only a superuser can make it: {', '.join(loaded.left_out)}"
            found = found.model_copy(update={"checked": (*found.checked, told)})
        return loaded.bytes, loading + checking, found

    async def _bucket(self, entry: Entry, bucket: str) -> tuple[int, float, VerifyOutput]:
        """Restore a sample of a bucket into the bucket of the backups, and look at it.

        Returns:
            As `_database`.
        """
        store, prefix = self._site.store, layout.scratch(self._site.store, self.id)
        restore = BucketRestoreInput(
            site=self._site, bucket=bucket, id=entry.id, into=store.bucket, into_prefix=prefix, sample=SAMPLE
        )
        scratch = ScratchObjectsInput(site=self._site, bucket=bucket, id=entry.id, into_prefix=prefix, sample=SAMPLE)
        try:
            restored, copying = await self._timed(
                f"restore {entry.asset}", contract.RESTORE_BUCKET, restore, f"{SAMPLE} objects of {entry.id}"
            )
            found, checking = await self._timed(
                f"check {entry.asset}", contract.VERIFY_OBJECTS, scratch, f"{prefix} against {entry.id}"
            )
        finally:
            await self._remove(f"remove {prefix}", contract.REMOVE_OBJECTS, scratch)
        return restored.bytes, copying + checking, found

    async def _timed(self, step: str, activity: ActivityType[I, O], argument: I, title: str) -> tuple[O, float]:
        """One step of a restore. Returns what it gives, and the seconds that it took when it succeeded."""
        began = workflow.time()

        def start() -> ActivityHandle[O]:
            nonlocal began
            began = workflow.time()
            return begin(activity, argument, title, attempt=TRANSFER)

        result = await self.insist(step, start, choices=CHOICES, final=VERDICTS)
        return result, workflow.time() - began

    async def _remove(self, step: str, activity: ActivityType[I, O], argument: I) -> None:
        if trouble := await self.tidy(step, activity, argument, "nothing of the drill stays"):
            self._troubles.append(f"could not {step}: {trouble}")


@workflow.defn(name="Drill")
class Drill(Steerable):
    """Restore the newest backup of every asset into a scratch place, check it, remove it there, note the verdict."""

    run_state: DrillRun

    @workflow.init
    def __init__(self, input: DrillInput) -> None:
        self.run_state = DrillRun(input)

    @workflow.run
    async def run(self, input: DrillInput) -> DrillOutput:
        """Drill what is asked for.

        Raises:
            ApplicationError: drill_failed or aborted, with the output in its details.
        """
        return await self.run_state.run()
