"""The worker: the process that polls Temporal and does the work.

    python -m worker

It reads `TEMPORAL_*` (Temporal's own environment configuration), `SCW_*`, `AWS_ENDPOINT_URL_S3`,
`AWS_ENDPOINT_URL_SQS`, `OTEL_*` and `LOG_FORMAT`. Killing it loses nothing: another one goes on within seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.backup.registry import backup_activities
from activities.boundary import HEARTBEAT_SECONDS, Boundary
from activities.health.registry import health_activities
from activities.planning import Planning
from activities.registry import Clouds
from activities.release.probe import Probe
from activities.release.releases import Releases
from activities.settings import ScalewaySettings
from activities.steps import Steps
from activities.temporal_client import TemporalBridge
from blueprint.errors import EngineError
from telemetry import logs, traces
from workflows.connection import TemporalRefused, connect
from workflows.identity import TASK_QUEUE
from workflows.measures import RunMeasures
from workflows.open_runs import telling_open_runs
from workflows.plugin import GRACE, STICKY
from workflows.registry import WORKFLOWS
from workflows.versioning import build_id_from, version_from
from workflows.walk import STEPS_AT_ONCE

log = logging.getLogger("worker")

USAGE = """\
Polls Temporal and does the work, until SIGTERM or SIGINT. Activities under way then have {grace:.0f} seconds to end;
what does not end in time, another worker takes up within seconds, as it does after a kill. Several may run at once.

settings, all from the environment:
  SCW_ACCESS_KEY, SCW_SECRET_KEY, SCW_DEFAULT_PROJECT_ID    the engine's key at Scaleway
  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY    where Temporal is, as its own tools read it
  TEMPORAL_DEPLOYMENT_NAME, TEMPORAL_WORKER_BUILD_ID        a version: runs then end on the code they began with
  OTEL_EXPORTER_OTLP_ENDPOINT                               where traces, metrics and logs go

under systemd, one instance for each version (deploy/scaleway-infra-worker@.service says how):
  systemctl enable --now scaleway-infra-worker@0.2.0
  scaleway-infra worker promote 0.2.0

in compose (docker-compose.temporal.yml):
  docker-compose -f docker-compose.temporal.yml up --detach --build --scale worker=2

exit codes: 0 told to stop, 1 Temporal is away or refuses, 64 a setting is wrong
"""

SWITCH_SECONDS = 0.0005
"""How long a thread may keep Python to itself (Python: 5 ms). Dozens of activities share it with the event loop, which
has to say what comes next."""

GARBAGE = 10_000
"""Objects that may gather before garbage is looked for (Python: 700). Nearly all of those that one activity makes are
gone before the next one is done, and need not be looked through."""


def make_worker(
    client: Client,
    settings: ScalewaySettings,
    *,
    task_queue: str = TASK_QUEUE,
    version: WorkerDeploymentVersion | None = None,
) -> Worker:
    """A worker for every workflow and activity, on a client that carries the `EnginePlugin`.

    Must be called on the event loop that the client was connected on.

    Args:
        client: connected to Temporal.
        settings: how to reach Scaleway.
        task_queue: where to listen.
        version: which one it is; None goes on with any run.
    """
    clouds = Clouds(settings, TemporalBridge(client, asyncio.get_running_loop()))
    planning, steps, releases, probe = Planning(clouds), Steps(clouds), Releases(clouds), Probe(clouds)
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[
            planning.plan,
            planning.inventory,
            steps.create,
            steps.update,
            steps.delete,
            steps.wait_ready,
            steps.wait_gone,
            releases.facts,
            releases.prepare,
            releases.pending,
            releases.migrate,
            releases.set_pool,
            releases.wait_balanced,
            releases.drain,
            releases.switch,
            releases.restart,
            releases.stop,
            releases.check,
            releases.watch,
            releases.mark,
            releases.prune,
            releases.queues,
            probe.probe,
            *backup_activities(clouds),
            *health_activities(clouds, settings),
        ],
        interceptors=[Boundary(settings.pace), RunMeasures()],
        activity_executor=ThreadPoolExecutor(STEPS_AT_ONCE, thread_name_prefix="activity"),
        max_concurrent_activities=STEPS_AT_ONCE,
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT_SECONDS),
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY,
        deployment_config=_deployment(version) if version else None,
    )


def _deployment(version: WorkerDeploymentVersion) -> WorkerDeploymentConfig:
    # Workflows that live for weeks say otherwise themselves: they would keep a worker of each version alive.
    return WorkerDeploymentConfig(
        version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


async def run(settings: ScalewaySettings) -> None:
    """Connect, and work until told to stop.

    Raises:
        TemporalUnreachable: nobody answers.
        TemporalRefused: the namespace does not exist, or the settings do not fit.
    """
    client = await connect()
    version = version_from(os.environ)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with make_worker(client, settings, version=version), telling_open_runs(client):
            # Modules are here for good: looking through them for garbage stops every activity for a tenth of a second.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GARBAGE)
            called = version.to_canonical_string() if version else "none"
            log.info("working on %s of namespace %s, version %s", TASK_QUEUE, client.namespace, called)
            await stop.wait()
            log.info("stopping: activities under way have %d s", GRACE.total_seconds())
    except RuntimeError as error:
        if not str(error).startswith("Worker validation failed"):
            raise
        raise TemporalRefused(str(error).split(": Status", 1)[0], remedy="check TEMPORAL_NAMESPACE") from None


def main() -> int:
    """Run a worker; the exit code is 64 if its settings are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description=USAGE.format(grace=GRACE.total_seconds()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--build-id", action="store_true", help="print what this code is called as a version, and end")
    if parser.parse_args().build_id:
        print(build_id_from(os.environ))  # noqa: T201
        return 0
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.configure()
    try:
        settings = ScalewaySettings()  # type: ignore[call-arg]
    except ValidationError as error:
        for problem in error.errors():
            print(f"{problem['loc'][0]}: {problem['msg']}", file=sys.stderr)  # noqa: T201
        return 64
    try:
        asyncio.run(run(settings))
    except EngineError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    traces.flush()
    logs.flush()
    logging.shutdown()
    # Temporal's client now and then crashes the interpreter's own exit (temporalio issue 300).
    os._exit(code)
