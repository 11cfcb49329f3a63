"""Every workflow of a worker."""

from __future__ import annotations

from workflows.apply import Apply
from workflows.backup.backup import Backup
from workflows.backup.drill import Drill
from workflows.deploy import Deploy, Rollback
from workflows.destroy import Destroy
from workflows.freeze import Freeze
from workflows.look import Drift, PlanEnvironment, Releases, Status

WORKFLOWS = (Apply, Destroy, Deploy, Rollback, Freeze, PlanEnvironment, Drift, Status, Releases, Backup, Drill)
