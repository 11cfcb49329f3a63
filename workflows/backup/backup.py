"""Backup: a new backup of every asset, or of some."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from temporalio import workflow

from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.choice import assets_of
from blueprint.backup.contract import AssetInput, NoteInput, OpenOutput, SiteInput
from blueprint.backup.layout import backup_id
from blueprint.backup.manifest import Failure
from blueprint.contract import ActivityType
from blueprint.errors import BackupFailed, Gone
from workflows.backup.course import TRANSFER, UNATTENDED, Course, GivenUp, lean
from workflows.backup.messages import BackupInput, BackupOutput
from workflows.change import Steerable
from workflows.failures import failure
from workflows.parking import Decision
from workflows.release.timeline import Stopped

WAITED_FOR = timedelta(minutes=30)
"""How long a step waits for an operator in a run that something else waits for: a migration, or a restore."""
BUCKETS_AT_ONCE = 2
STOPPING = "what is under way is ended and leaves nothing; backups that are made by then, and all earlier ones, stay"
"""What happens if a backup is cancelled."""

CHOICES: Mapping[Decision, str] = {
    "retry": "it is tried again, where it left off if it can: mend the cause first",
    "skip": "it gets no new backup, which is noted; those that it has stay; the run fails at its end",
    "abort": "as skip, and nothing else begins",
}
"""What an operator can say when an asset cannot be backed up."""


class BackupRun(Course):
    """One backup run.

    Args:
        input: what is asked.
    """

    def __init__(self, input: BackupInput) -> None:
        self._input = input
        self._site = input.site
        self.id = backup_id(workflow.time(), workflow.uuid4().hex)
        hurried = input.reason in ("before migration", "before restore")
        environment = self._site.target.environment
        what = f"backup {self.id} of {environment}, {input.reason}"
        super().__init__(what, input.origin, STOPPING, WAITED_FOR if hurried else UNATTENDED)
        # Nobody can mend that a database is not there; who restores it wants to know at once.
        self._final = (Gone.code,) if input.reason == "before restore" else ()
        # Each database has its own lanes already; small assets need not wait for large ones.
        self._lanes = {
            "db": asyncio.Semaphore(1),
            "bucket": asyncio.Semaphore(BUCKETS_AT_ONCE),
            "instance": asyncio.Semaphore(1),
            "environment": asyncio.Semaphore(1),
        }

    async def run(self) -> BackupOutput:
        """Back up every asset that is asked for, whatever becomes of the others.

        Raises:
            ApplicationError: backup_failed or aborted, with the output in its details.
        """
        return await self.see_through(self._story())

    async def _story(self) -> BackupOutput:
        try:
            assets = assets_of(self._site.assets, self._input.only)
        except BackupFailed as error:
            raise failure(error) from None
        self.timeline.expect(assets)
        results = await self._all(assets)
        self.enter("recording")
        output = BackupOutput(
            id=self.id,
            entries=tuple(result for result in results if isinstance(result, Entry)),
            failures=tuple(result for result in results if isinstance(result, Failure)),
        )
        report = await self.attempt(
            "report", contract.REPORT, SiteInput(site=lean(self._site)), "how every asset is now"
        )
        if report:
            output = output.model_copy(update={"assets": report.assets})
        if self.parking.aborted is not None:
            raise self.aborted(output)
        if output.failures:
            reasons = "; ".join(f"{item.asset}: {item.message}" for item in output.failures)
            remedy = "mend the cause and back up again; earlier backups are untouched"
            raise failure(BackupFailed(f"no new backup of {reasons}", remedy=remedy), output)
        return output

    async def _all(self, assets: tuple[str, ...]) -> list[Entry | Failure | None]:
        """Back up the assets side by side, as far as their lanes go."""
        try:
            opened = await self.carry_out(
                "open the store",
                contract.OPEN,
                SiteInput(site=self._site),
                f"the bucket {self._site.store.bucket}, its keys and clocks",
                choices=CHOICES,
            )
        except GivenUp as trouble:
            self.timeline.drop_waiting()
            return list(await asyncio.gather(*(self._failed(asset, trouble) for asset in assets)))
        self.enter("backing up")
        tasks = [asyncio.create_task(self._asset(asset, opened)) for asset in assets]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, BaseException):
                raise result
        return [result for result in ended if not isinstance(result, BaseException)]

    async def _asset(self, asset: str, opened: OpenOutput) -> Entry | Failure | None:
        """One asset: its backup, or why there is none; None if it did not begin, because an operator ended the run."""
        kind = asset.partition("/")[0]
        activity, title = _activity_of(kind)
        request = AssetInput(
            site=self._site if activity is contract.DESCRIBE else lean(self._site),
            asset=asset,
            id=self.id,
            opened=opened,
            reason=self._input.reason,
            by=self._input.origin.by,
        )
        try:
            return await self.carry_out(
                asset,
                activity,
                request,
                f"{title} {asset.partition('/')[2]}".strip(),
                choices=CHOICES,
                attempt=TRANSFER,
                final=self._final,
                lane=self._lanes[kind],
            )
        except GivenUp as trouble:
            return await self._failed(asset, trouble)
        except Stopped:
            if self.parking.aborted is None:
                raise
            return None

    async def _failed(self, asset: str, trouble: GivenUp) -> Failure:
        """Note in the catalogue that there is no new backup of it."""
        failed = Failure(
            id=self.id,
            asset=asset,
            at=workflow.time(),
            code=trouble.code or BackupFailed.code,
            message=trouble.trouble,
        )
        request = NoteInput(site=lean(self._site), failure=failed)
        await self.attempt(f"note about {asset}", contract.NOTE_FAILURE, request, f"{asset} has no new backup")
        return failed


def _activity_of(kind: str) -> tuple[ActivityType[AssetInput, Entry], str]:
    """What backs up an asset of a kind, and what that is called."""
    return {
        "db": (contract.DATABASE, "dump the database"),
        "bucket": (contract.BUCKET, "copy the bucket"),
        "instance": (contract.MANAGED, "have Scaleway copy the instance"),
        "environment": (contract.DESCRIBE, "describe the environment"),
    }[kind]


@workflow.defn(name="Backup")
class Backup(Steerable):
    """A new backup of every asset; what goes wrong with one keeps no other from it."""

    run_state: BackupRun

    @workflow.init
    def __init__(self, input: BackupInput) -> None:
        self.run_state = BackupRun(input)

    @workflow.run
    async def run(self, input: BackupInput) -> BackupOutput:
        """Back up what is asked for.

        Raises:
            ApplicationError: backup_failed or aborted, with the output in its details.
        """
        return await self.run_state.run()
