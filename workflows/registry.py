"""Every workflow of a worker."""

from __future__ import annotations

from workflows.apply import Apply
from workflows.backup.backup import Backup
from workflows.backup.drill import Drill
from workflows.backup.look import Backups, DropDatabase, PinBackup
from workflows.backup.restore import RestoreDatabase
from workflows.backup.restore_others import RestoreBucket, RestoreInstance
from workflows.backup.retention import Retention
from workflows.backup.scheduled import Scheduled
from workflows.deploy import Deploy, Rollback
from workflows.destroy import Destroy
from workflows.freeze import Freeze
from workflows.health import Health
from workflows.look import Drift, PlanEnvironment, Releases, Status

WORKFLOWS = (
    Apply,
    Destroy,
    Deploy,
    Rollback,
    Freeze,
    PlanEnvironment,
    Drift,
    Status,
    Health,
    Releases,
    Backup,
    Drill,
    Retention,
    Scheduled,
    RestoreDatabase,
    RestoreBucket,
    RestoreInstance,
    Backups,
    PinBackup,
    DropDatabase,
)
