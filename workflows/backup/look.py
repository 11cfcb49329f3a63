"""What is done in one call or two: show the catalogue, pin a backup, drop a database that a restore left."""

from __future__ import annotations

from temporalio import workflow

from blueprint.backup import contract
from blueprint.backup.catalogue import Entry
from blueprint.backup.choice import live_names
from blueprint.backup.contract import CatalogueInput, DropOutput, PinInput
from blueprint.backup.contract import DropInput as DropRequest
from blueprint.backup.health import health_of
from blueprint.backup.scratch import require_scratch
from blueprint.errors import RestoreRefused
from workflows.backup.course import lean
from workflows.backup.messages import BackupsInput, BackupsOutput, DropInput, PinRunInput
from workflows.calls import begin, look
from workflows.failures import failure


@workflow.defn(name="Backups")
class Backups:
    """Which backups there are, and how the assets are."""

    @workflow.run
    async def run(self, input: BackupsInput) -> BackupsOutput:
        """Read the catalogue. Nobody is told how the assets are but who asks."""
        site = lean(input.site)
        request = CatalogueInput(site=site, assets=input.only)
        catalogue = await look(contract.CATALOGUE, request, f"backups of {site.target.environment}")
        assets = health_of(site, catalogue, workflow.time())
        wanted = tuple(item for item in assets if not input.only or item.asset in input.only)
        return BackupsOutput(catalogue=catalogue, assets=wanted)


@workflow.defn(name="PinBackup")
class PinBackup:
    """A backup stays, or need not any more."""

    @workflow.run
    async def run(self, input: PinRunInput) -> Entry:
        """Set or remove the pin."""
        request = PinInput(site=lean(input.site), asset=input.asset, id=input.id, pin=input.pin, remove=input.remove)
        return await begin(contract.PIN, request, f"{'unpin' if input.remove else 'pin'} {input.asset} {input.id}")


@workflow.defn(name="DropDatabase")
class DropDatabase:
    """A database that a restore made or kept goes."""

    @workflow.run
    async def run(self, input: DropInput) -> DropOutput:
        """Drop it.

        Raises:
            ApplicationError: restore_refused, it could be a live one.
        """
        try:
            require_scratch(input.name, live_names(input.site))
        except RestoreRefused as error:
            raise failure(error) from None
        request = DropRequest(site=lean(input.site), names=(input.name,))
        return await begin(contract.DROP, request, f"drop {input.name}")
