"""Every workflow of a worker."""

from __future__ import annotations

from workflows.apply import Apply
from workflows.destroy import Destroy
from workflows.look import Drift, PlanEnvironment, Status

WORKFLOWS = (Apply, Destroy, PlanEnvironment, Drift, Status)
