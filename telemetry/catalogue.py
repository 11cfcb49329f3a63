"""Every metric of the engine's own, with its unit and all attributes that it may have.

Names follow OpenTelemetry's conventions where those have one. No attribute holds an id, an address of an object, or a
message: each takes as many values as there are environments, kinds, operations or error codes, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 40.0)
"""Bounds for calls: OpenTelemetry's for HTTP, and the time-out."""
STEP_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Bounds for what an apply, a deploy or a backup is made of, and for the whole."""


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    type: Literal["counter", "histogram", "gauge"]
    unit: str
    """In UCUM: "s", "By", "{run}". Not "1": Prometheus would take it for a ratio."""
    description: str
    attributes: tuple[str, ...]
    """Names of all that a point may have."""
    bounds: tuple[float, ...] = ()
    """Of a histogram's buckets."""


HTTP_REQUEST = Metric(
    "http.client.request.duration",
    "histogram",
    "s",
    "What an HTTP request to Scaleway, S3, SQS or the application took.",
    ("http.request.method", "server.address", "rpc.method", "http.response.status_code", "error.type"),
    CALL_SECONDS,
)
SSH_COMMAND = Metric(
    "scaleway_infra.ssh.command.duration",
    "histogram",
    "s",
    "What a script on a node took.",
    ("script", "error.type"),
    STEP_SECONDS,
)
ACTIVITY = Metric(
    "scaleway_infra.activity.duration",
    "histogram",
    "s",
    "From its start at Temporal to the activity's end, retries and pauses included. Outcome: done, or an error code.",
    ("environment", "operation", "activity", "kind", "outcome"),
    STEP_SECONDS,
)
RETRIES = Metric(
    "scaleway_infra.activity.retries",
    "counter",
    "{retry}",
    "Attempts that failed and will be repeated, by the error's code.",
    ("environment", "operation", "activity", "kind", "error.type"),
)
RUN = Metric(
    "scaleway_infra.run.duration",
    "histogram",
    "s",
    "What a run took, waits for people included. Outcome: done, cancelled, or an error code.",
    ("environment", "operation", "outcome"),
    STEP_SECONDS,
)
LONGEST_PATH = Metric(
    "scaleway_infra.run.longest_path",
    "histogram",
    "s",
    "The longest chain of a run's steps: what it would have taken without any cost of the engine's own.",
    ("environment", "operation"),
    STEP_SECONDS,
)
RUNS = Metric(
    "scaleway_infra.runs",
    "gauge",
    "{run}",
    "Runs that are open. State: running, parked or approval, the last two of which wait for a person.",
    ("environment", "operation", "state"),
)
DEPLOY = Metric(
    "scaleway_infra.deploy.duration",
    "histogram",
    "s",
    "What a deploy or rollback took. Result: released, rolled back or failed.",
    ("environment", "action", "result"),
    STEP_SECONDS,
)
DEPLOY_PART = Metric(
    "scaleway_infra.deploy.part.duration",
    "histogram",
    "s",
    "What a part of a deploy took: prepare, and on each node leave, drain, switch, check, join, soak.",
    ("environment", "part"),
    STEP_SECONDS,
)
DEPLOY_CLOSED = Metric(
    "scaleway_infra.deploy.connections.closed",
    "counter",
    "{connection}",
    "Connections that were still open at a drain deadline.",
    ("environment",),
)
DEPLOY_PROBES = Metric(
    "scaleway_infra.deploy.probe.requests",
    "counter",
    "{request}",
    "Requests of the probe while nodes changed. Outcome: answered or failed.",
    ("environment", "outcome"),
)
DEPLOY_PAUSE = Metric(
    "scaleway_infra.deploy.probe.longest_pause",
    "histogram",
    "s",
    "The longest that a request of the probe waited for its answer while nodes changed.",
    ("environment",),
    CALL_SECONDS,
)

_ASSET = ("environment", "asset")
BACKUP_AGE = Metric("scaleway_infra.backup.age", "gauge", "s", "Age of the newest backup.", _ASSET)
BACKUP_SIZE = Metric("scaleway_infra.backup.size", "gauge", "By", "What a restore of the newest backup reads.", _ASSET)
BACKUP_DURATION = Metric("scaleway_infra.backup.duration", "gauge", "s", "What the newest backup took.", _ASSET)
BACKUP_RPO = Metric(
    "scaleway_infra.backup.rpo",
    "gauge",
    "s",
    "Age of the newest backup that passed a drill: what would be lost for sure.",
    _ASSET,
)
BACKUP_RTO = Metric(
    "scaleway_infra.backup.rto", "gauge", "s", "What the last restore took that was found to be right.", _ASSET
)
BACKUP_DRILL = Metric(
    "scaleway_infra.backup.drill.passed", "gauge", "{drill}", "Whether the last drill passed.", _ASSET
)
BACKUP_FINDINGS = Metric("scaleway_infra.backup.findings", "gauge", "{finding}", "What is not as it should be.", _ASSET)

_CHECK = ("environment", "check")
HEALTH_UP = Metric(
    "scaleway_infra.health.up", "gauge", "{check}", "Whether a check from outside is well: 1 or 0.", _CHECK
)
HEALTH_DURATION = Metric(
    "scaleway_infra.health.duration", "gauge", "s", "How long a check from outside took the last time.", _CHECK
)
HEALTH_CERTIFICATE = Metric(
    "scaleway_infra.health.certificate.remaining",
    "gauge",
    "s",
    "For how long a certificate is valid still: 0 or less if none was shown that is.",
    _CHECK,
)
DRIFT = Metric(
    "scaleway_infra.drift.changes",
    "gauge",
    "{change}",
    "Objects that were not as the file says, the last time that somebody looked for drift.",
    ("environment",),
)
LOOK_AGE = Metric(
    "scaleway_infra.look.age",
    "gauge",
    "s",
    "Since when nobody has seen all that a schedule wants to be looked at. Operation: health or drift.",
    ("environment", "operation"),
)

METRICS = (
    HTTP_REQUEST,
    SSH_COMMAND,
    ACTIVITY,
    RETRIES,
    RUN,
    LONGEST_PATH,
    RUNS,
    DEPLOY,
    DEPLOY_PART,
    DEPLOY_CLOSED,
    DEPLOY_PROBES,
    DEPLOY_PAUSE,
    BACKUP_AGE,
    BACKUP_SIZE,
    BACKUP_DURATION,
    BACKUP_RPO,
    BACKUP_RTO,
    BACKUP_DRILL,
    BACKUP_FINDINGS,
    HEALTH_UP,
    HEALTH_DURATION,
    HEALTH_CERTIFICATE,
    DRIFT,
    LOOK_AGE,
)
"""All of them: a metric that is not here leaves no process."""
