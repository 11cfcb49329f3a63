"""Restore of what is no database: a bucket's objects, and an instance from Scaleway's own snapshot."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from temporalio import workflow

from blueprint.backup import contract
from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.choice import backup_to_restore
from blueprint.backup.contract import (
    BucketRestoreOutput,
    CatalogueInput,
    ManagedRestoreInput,
    ManagedRestoreOutput,
)
from blueprint.backup.objects import backup_for
from blueprint.backup.site import BackupSite
from blueprint.errors import RestoreFailed, RestoreRefused
from blueprint.release.record import Origin
from workflows.backup.course import TRANSFER, Course, GivenUp, lean
from workflows.backup.messages import RestoreBucketInput, RestoreInstanceInput
from workflows.backup.pins import pinned
from workflows.backup.safety import backed_up_first
from workflows.change import Steerable
from workflows.failures import failure
from workflows.parking import Decision

O = TypeVar("O")  # noqa: E741

BUCKET_STOPPING = "objects that were restored stay so; the others are as they were"
INSTANCE_STOPPING = "if the new instance is there already, see that nobody outside can reach it"
"""What happens if such a restore is cancelled."""

BUCKET_CHOICES: Mapping[Decision, str] = {
    "retry": "it goes on with what still differs: mend the cause first",
    "abort": "objects that were restored stay so; the others are as they were, and the run fails",
}
"""What an operator can say when a bucket cannot be restored."""

SAFETY_CHOICES: Mapping[Decision, str] = {
    "retry": "the backup is tried again: mend the cause first",
    "skip": "the restore goes on without it: what it writes over is gone, unless the bucket keeps versions",
    "abort": "nothing is restored, and the run fails",
}
"""What an operator can say when the bucket cannot be backed up before it is written to."""

INSTANCE_CHOICES: Mapping[Decision, str] = {
    "retry": "it is tried again: mend the cause first",
    "abort": "the run fails; if the new instance is there already, see that nobody outside can reach it",
}
"""What an operator can say when an instance cannot be made from its snapshot."""


class OneRestore(Course):
    """A restore that is one activity.

    Args:
        site: the environment.
        asset: what comes back.
        origin: who asked for it.
        stopping: what happens if it is cancelled.
        choices: what an operator can say when it fails.
    """

    def __init__(
        self, site: BackupSite, asset: str, origin: Origin, stopping: str, choices: Mapping[Decision, str]
    ) -> None:
        super().__init__(f"restore of {asset or 'an instance'} in {site.target.environment}", origin, stopping)
        self.site = lean(site)
        self._asset = asset
        self._by = origin.by
        self._choices = choices

    async def from_backup(
        self,
        choose: Callable[[Catalogue], Entry],
        restore: Callable[[Entry], Coroutine[Any, Any, O]],
        *,
        pin: bool = True,
    ) -> O:
        """Choose the backup, and restore from it.

        Args:
            choose: gives the backup; may raise RestoreRefused.
            restore: the one activity.
            pin: whether retention has to leave the backup meanwhile.

        Raises:
            ApplicationError: restore_refused, restore_failed or aborted.
        """
        return await self.see_through(self._story(choose, restore, pin))

    async def _story(
        self, choose: Callable[[Catalogue], Entry], restore: Callable[[Entry], Coroutine[Any, Any, O]], pin: bool
    ) -> O:
        self.timeline.expect((f"restore {self._asset}",))
        try:
            catalogue = await self.carry_out(
                "read the catalogue",
                contract.CATALOGUE,
                CatalogueInput(site=self.site, assets=(self._asset,)),
                f"which backups of {self._asset} there are",
                choices=self._choices,
            )
            entry = choose(catalogue)
            self.enter("restoring", f"From the backup `{entry.id}`.")
            if not pin:
                return await restore(entry)
            async with pinned(self, self.site, entry, "a restore reads it", self._by, self._choices):
                return await restore(entry)
        except RestoreRefused as error:
            raise failure(error) from None
        except GivenUp as error:
            if self.parking.aborted is not None:
                raise self.aborted() from None
            raise failure(
                RestoreFailed(error.trouble, subject=self._asset, remedy="mend the cause; restore again")
            ) from None


@workflow.defn(name="RestoreBucket")
class RestoreBucket(Steerable):
    """Bring the objects of a bucket back: only what differs is written, and what was there is backed up before."""

    run_state: OneRestore

    @workflow.init
    def __init__(self, input: RestoreBucketInput) -> None:
        request = input.request
        self.run_state = OneRestore(
            request.site, f"bucket/{request.bucket}", input.origin, BUCKET_STOPPING, BUCKET_CHOICES
        )

    @workflow.run
    async def run(self, input: RestoreBucketInput) -> BucketRestoreOutput:
        """Look what differs, and write it unless only the look is wanted.

        Raises:
            ApplicationError: restore_refused, restore_failed or aborted.
        """
        run, asset, wish = self.run_state, f"bucket/{input.request.bucket}", input.request

        def choose(catalogue: Catalogue) -> Entry:
            return backup_to_restore(catalogue, asset, wish.id) if wish.id else backup_for(catalogue.of(asset), wish.at)

        async def restore(entry: Entry) -> BucketRestoreOutput:
            if wish.write and not wish.into:
                made = await backed_up_first(run, wish.site, asset, input.origin, SAFETY_CHOICES)
                before = f" What was there before is in `{made}`." if made else ""
                run.enter("restoring", f"From the backup `{entry.id}`.{before}")
            request = wish.model_copy(update={"site": run.site, "id": entry.id})
            what = f"objects from {entry.id}" if wish.write else f"what differs from {entry.id}"
            return await run.carry_out(
                f"restore {asset}", contract.RESTORE_BUCKET, request, what, choices=BUCKET_CHOICES, attempt=TRANSFER
            )

        return await run.from_backup(choose, restore, pin=wish.write)


@workflow.defn(name="RestoreInstance")
class RestoreInstance(Steerable):
    """Make an instance from a snapshot, and close it before anything else."""

    run_state: OneRestore

    @workflow.init
    def __init__(self, input: RestoreInstanceInput) -> None:
        self.run_state = OneRestore(
            input.site, _instance(input.site), input.origin, INSTANCE_STOPPING, INSTANCE_CHOICES
        )

    @workflow.run
    async def run(self, input: RestoreInstanceInput) -> ManagedRestoreOutput:
        """Make it.

        Raises:
            ApplicationError: restore_refused, restore_failed or aborted.
        """
        run, asset = self.run_state, _instance(input.site)

        def choose(catalogue: Catalogue) -> Entry:
            if not asset:
                raise RestoreRefused(
                    "the file asks for no copies of Scaleway's own, so there is no snapshot",
                    subject=input.site.target.environment,
                )
            return backup_to_restore(catalogue, asset, input.id)

        async def restore(entry: Entry) -> ManagedRestoreOutput:
            request = ManagedRestoreInput(site=run.site, id=entry.id, name=input.name, began=workflow.time())
            title = f"{input.name} from the snapshot of {entry.id}"
            return await run.carry_out(
                f"restore {asset}",
                contract.RESTORE_MANAGED,
                request,
                title,
                choices=INSTANCE_CHOICES,
                attempt=TRANSFER,
            )

        return await run.from_backup(choose, restore)


def _instance(site: BackupSite) -> str:
    return site.managed.asset if site.managed else ""
