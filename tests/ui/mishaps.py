"""One failure of every activity, each in a run that somebody has to bring to its end from Temporal's UI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from blueprint.backup.contract import BucketRestoreInput
from blueprint.contract import InventoryInput
from blueprint.release.contract import MigrationPlan
from starters import backups
from starters.engine import Run
from tests.ui.mishaps_lookout import Lookout, lookout_house
from tests.workflows.fleet import Fleet, fleet_house
from tests.workflows.house import House, request, small
from tests.workflows.test_upkeep import Applied
from tests.workflows.vault import BY, Vault, site_of
from tests.workflows.vault_house import VaultHouse, vault_house
from workflows.backup.messages import (
    BackupInput,
    DrillInput,
    RestoreBucketInput,
    RestoreDatabaseInput,
    RestoreInstanceInput,
    RetentionInput,
)
from workflows.health import Health
from workflows.identity import ENVIRONMENT
from workflows.look import Status

Ending = tuple[str, ...]
RETRIED: Ending = ("parked", "completed")
"""A step waits; once the cause is mended, `retry` brings the run to its end."""
BACK: Ending = ("parked", "failed", "completed")
"""The way back waits, too; `retry` brings the run to a tidy end, and it is started again."""
SKIPPED: Ending = ("skipped", "failed", "completed")
"""A step waits, and somebody skips it; the run says at its end what it lacks, and is started again later."""
AGAIN: Ending = ("failed", "completed")
"""The run ends, and has left nothing half done; it is started again."""
UNKNOWN: Ending = ("unknown", "completed")
"""A look waits for nobody. Its page says what could not be looked at, and what could; the next look sees it all."""
ALONE: Ending = ("completed",)
"""The run does without, and nobody is needed."""


@dataclass
class Scene:
    """A run in which something goes wrong until somebody mends it.

    Attributes:
        run: the run.
        environment: in which it is found.
        mend: takes the cause away.
    """

    run: Run[Any]
    environment: str
    mend: Callable[[], None]


@dataclass(frozen=True)
class Mishap:
    """A failure of one activity.

    Attributes:
        activity: its type.
        ending: what becomes of the run, and then of what somebody does about it.
        names: the object that people are told of.
        begin: begins the run.
    """

    activity: str
    ending: Ending
    names: str
    begin: Callable[[House, ExitStack], Scene]


# -- changes: the emulator refuses -------------------------------------------------------------------------------------


def _changed(
    operation: str, *, skip: int = 0, before: dict[str, Any] | None = None, **wishes: Any
) -> Callable[..., Scene]:
    """An apply, or a destroy if the wishes say so, with a call that is refused.

    Args:
        operation: the call.
        skip: how many of them pass before.
        before: what is applied first, without trouble.
        wishes: of the run.
    """

    def begin(home: House, stack: ExitStack) -> Scene:
        data = small(buckets={"shop/files": {}})
        if before is not None or wishes:
            home.apply(data | (before or {}))
        home.fault(operation, kind="quota_exceeded", skip=skip)
        run = home.begin(data, **wishes)
        return Scene(run, f"{data['org']}-test", home.mend)

    return begin


def _looked(home: House, stack: ExitStack) -> Scene:
    data = small()
    home.fault("GET /vpc/v2/regions/{region}/vpcs", kind="quota_exceeded")
    wish = request(data)
    inventory = InventoryInput(target=wish.target, environment=data)
    run = home.run(home.engine.look(Status.run, "status", wish.target, inventory))
    return Scene(run, wish.target.environment, home.mend)


REMOVAL: dict[str, Any] = {"destroy": True, "allow_destroy": ("*",)}
GATEWAY = "GET /vpc-gw/v2/zones/{zone}/gateways/{gateway_id}"
CHANGES = (
    Mishap("plan", AGAIN, "vpcs", _changed("GET /vpc/v2/regions/{region}/vpcs")),
    Mishap("inventory", AGAIN, "vpcs", _looked),
    Mishap(
        "create", RETRIED, "create private_network.core", _changed("POST /vpc/v2/regions/{region}/private-networks")
    ),
    Mishap(
        "update",
        RETRIED,
        "update bucket.shop-test-files",
        _changed("S3 PutBucketVersioning", before={"buckets": {"shop/files": {"versioning": True}}}),
    ),
    Mishap(
        "delete",
        RETRIED,
        "delete private_network.core",
        _changed("DELETE /vpc/v2/regions/{region}/private-networks/{private_network_id}", **REMOVAL),
    ),
    Mishap("wait_ready", RETRIED, "create gateway.main", _changed(GATEWAY)),
    # The plan reads the gateway twice: that is not what goes wrong.
    Mishap("wait_gone", RETRIED, "delete gateway_network.main", _changed(GATEWAY, skip=2, **REMOVAL)),
)


# -- releases: a fleet in whose place nothing answers ------------------------------------------------------------------


def _released(call: str, **site: Any) -> Callable[[House, ExitStack], Scene]:
    """A deploy in which calls fail that begin so.

    Args:
        call: how they begin.
        site: what is special about the application. One with an address is probed, and its end waits for the probe's.
    """

    def begin(home: House, stack: ExitStack) -> Scene:
        fleet = Fleet(("node-01", "node-02"), migrate={}, **site)
        fleet.pending = MigrationPlan(pending=("002_more",))
        house = stack.enter_context(fleet_house(home, fleet))
        fleet.wrong[call] = "ssh_unreachable"
        return Scene(house.begin(), fleet.site.target.environment, fleet.wrong.clear)

    return begin


def _kept_up(call: str, action: Any) -> Callable[[House, ExitStack], Scene]:
    """An apply that has something to do about nodes that serve."""

    def begin(home: House, stack: ExitStack) -> Scene:
        applied = Applied(home, 2)
        if action == "replace":
            applied.change("replace", "n1")
        else:
            applied.stale("n1")
        applied.fleet.wrong[call] = "ssh_unreachable"
        run = stack.enter_context(applied.running())
        return Scene(run, applied.target.environment, applied.fleet.wrong.clear)

    return begin


RELEASES = (
    Mishap("release_facts", AGAIN, "facts", _released("facts")),
    Mishap("release_prepare", AGAIN, "node-01", _released("prepare node-01")),
    Mishap("release_pending_migrations", AGAIN, "node-01", _released("pending")),
    Mishap("release_migrate", AGAIN, "node-01", _released("migrate")),
    Mishap("release_set_pool", BACK, "back: node-01", _released("leave node-01")),
    Mishap("release_wait_balanced", BACK, "back: node-01", _released("balance node-01")),
    Mishap("release_drain", AGAIN, "node-01", _released("drain node-01")),
    Mishap("release_switch", BACK, "back: node-01", _released("switch node-01")),
    Mishap("release_check", BACK, "back: node-01", _released("check node-01")),
    Mishap("release_watch", AGAIN, "node-01", _released("watch node-01")),
    Mishap("release_mark", RETRIED, "note that bbbbbbbbb is released", _released("mark")),
    Mishap("release_prune", ALONE, "", _released("prune")),
    Mishap("release_queues", ALONE, "", _released("queues")),
    Mishap("release_probe", ALONE, "", _released("probe", url="https://api.test/")),
    Mishap("release_restart", RETRIED, "with the new settings", _kept_up("restart", "restart")),
    Mishap("release_stop", ALONE, "", _kept_up("stop", "replace")),
)


# -- backups, drills and restores: a vault that refuses ----------------------------------------------------------------


def _vault(call: str, begin_run: Callable[[VaultHouse], Run[Any]], **more: str) -> Callable[[House, ExitStack], Scene]:
    """A run on a vault in which calls fail that begin so.

    Args:
        call: how they begin.
        begin_run: begins the run.
        more: other calls, with the codes of their failures.
    """

    def begin(home: House, stack: ExitStack) -> Scene:
        vault = Vault(site_of(managed=True))
        for asset in vault.site.assets:
            vault.keep(asset, 1, True)
        house = stack.enter_context(vault_house(home, vault))
        vault.wrong |= {call: "refused", **more}
        run = begin_run(house)
        changed = home.run(run.handle.describe()).typed_search_attributes[ENVIRONMENT]
        return Scene(run, changed, vault.wrong.clear)

    return begin


def _backup(house: VaultHouse) -> Run[Any]:
    return house.home.run(backups.backup(house.engine, BackupInput(site=house.vault.site, origin=BY)))


def _drill(house: VaultHouse) -> Run[Any]:
    return house.home.run(backups.drill(house.engine, DrillInput(site=house.vault.site, origin=BY)))


def _retention(house: VaultHouse) -> Run[Any]:
    house.vault.keep("db/orders", 3, True)
    return house.home.run(backups.retention(house.engine, RetentionInput(site=house.vault.site, origin=BY)))


def _database(house: VaultHouse) -> Run[Any]:
    wish = RestoreDatabaseInput(site=house.vault.site, database="orders", in_place=True, origin=BY)
    return house.home.run(backups.restore_database(house.engine, wish))


def _masked(house: VaultHouse) -> Run[Any]:
    """A restore into another environment, which is the one that is changed."""
    other = site_of()
    house.vault.serve(other)
    wish = RestoreDatabaseInput(site=house.vault.site, database="orders", into=other, origin=BY)
    return house.home.run(backups.restore_database(house.engine, wish))


def _bucket(house: VaultHouse) -> Run[Any]:
    objects = BucketRestoreInput(site=house.vault.site, bucket="files", id="")
    return house.home.run(backups.restore_bucket(house.engine, RestoreBucketInput(request=objects, origin=BY)))


def _instance(house: VaultHouse) -> Run[Any]:
    wish = RestoreInstanceInput(site=house.vault.site, name="new", origin=BY)
    return house.home.run(backups.restore_instance(house.engine, wish))


BACKUPS = (
    Mishap("backup_open", RETRIED, "open the store", _vault("open", _backup)),
    Mishap("backup_database", RETRIED, "db/orders", _vault("database db/orders", _backup)),
    Mishap("backup_bucket", RETRIED, "bucket/files", _vault("bucket bucket/files", _backup)),
    Mishap("backup_environment", RETRIED, "environment", _vault("describe", _backup)),
    Mishap("backup_managed", RETRIED, "instance/db", _vault("managed", _backup)),
    Mishap("backup_note_failure", SKIPPED, "db/orders", _vault("note", _backup, **{"database db/orders": "refused"})),
    Mishap("backup_catalogue", RETRIED, "read the catalogue", _vault("catalogue", _retention)),
    Mishap("backup_pin", RETRIED, "pin db/orders", _vault("pin db/orders", _drill)),
    Mishap("backup_delete", RETRIED, "delete db/orders", _vault("delete", _retention)),
    Mishap("backup_sweep", RETRIED, "sweep", _vault("sweep", _retention)),
    Mishap("backup_report", ALONE, "", _vault("report", _backup)),
)
RESTORES = (
    Mishap("restore_load", RETRIED, "load restore_orders", _vault("load restore_orders", _database)),
    Mishap("restore_verify", RETRIED, "check restore_orders", _vault("verify restore_orders", _database)),
    Mishap("restore_swap", RETRIED, "swap", _vault("swap", _database)),
    Mishap("restore_mask", RETRIED, "mask restore_orders", _vault("mask", _masked)),
    Mishap("restore_drop", AGAIN, "drop", _vault("drop", _drill)),
    Mishap("restore_bucket", RETRIED, "restore bucket/files", _vault("objects", _bucket)),
    Mishap("restore_managed", RETRIED, "restore instance/db", _vault("instance", _instance)),
    Mishap("drill_record", RETRIED, "record db/orders", _vault("record db/orders", _drill)),
    Mishap("drill_verify_objects", RETRIED, "check bucket/files", _vault("verify v", _drill)),
    Mishap("drill_remove_objects", AGAIN, "remove", _vault("remove", _drill)),
)


# -- health: a lookout that cannot look --------------------------------------------------------------------------------


def _unseen(call: str) -> Callable[[House, ExitStack], Scene]:
    """A look at health in which the call fails."""

    def begin(home: House, stack: ExitStack) -> Scene:
        lookout = Lookout()
        engine = stack.enter_context(lookout_house(home, lookout))
        lookout.wrong[call] = "unavailable"
        run = home.run(engine.look(Health.run, "health", lookout.site.target, lookout.site))
        return Scene(run, lookout.site.target.environment, lookout.wrong.clear)

    return begin


HEALTH = tuple(
    Mishap(f"health_{group}", UNKNOWN, f"look at {group}", _unseen(f"look at {group}"))
    for group in ("names", "traffic", "queues", "inside")
)

MISHAPS: Mapping[str, Mishap] = {
    mishap.activity: mishap for mishap in (*CHANGES, *RELEASES, *BACKUPS, *RESTORES, *HEALTH)
}
"""By type of activity."""
