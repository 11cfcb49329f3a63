"""Versions of the worker as Temporal knows them: which one new runs begin on, and which ones runs still need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from blueprint.errors import EngineError
from starters.engine import SILENCE_OF_A_WORKER, Engine
from workflows.connection import not_there


class VersionNotThere(EngineError):
    """No worker of that version has polled: made current, it would leave every new run waiting."""

    code = "version_not_there"


@dataclass(frozen=True)
class Version:
    """One version of the worker.

    Attributes:
        build_id: what it is called.
        status: Temporal's word: current, draining, drained, inactive, ...
        since: when that began, in seconds since 1970; None if Temporal does not tell.
        runs: how many runs are under way that can go on with no other.
        workers: how many workers of it poll.
    """

    build_id: str
    status: str
    since: float | None
    runs: int
    workers: int

    @property
    def is_current(self) -> bool:
        """Whether new runs begin on it."""
        return self.status == "current"

    @property
    def is_missed(self) -> bool:
        """Whether runs wait for a worker of it, and none polls."""
        return not self.workers and (self.is_current or self.runs > 0)


async def versions(engine: Engine, deployment: str) -> list[Version]:
    """Every version that Temporal still knows, the newest first; none if no worker ever had one.

    Args:
        engine: connected.
        deployment: its name.
    """
    request = DescribeWorkerDeploymentRequest(namespace=engine.client.namespace, deployment_name=deployment)
    try:
        described = await engine.client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if not_there(error):
            return []
        raise
    workers = await _workers(engine, deployment)
    known = described.worker_deployment_info.version_summaries
    summaries = sorted(known, key=lambda each: each.create_time.ToNanoseconds(), reverse=True)
    return [
        Version(
            build_id=summary.deployment_version.build_id,
            status=WorkerDeploymentVersionStatus.Name(summary.status).rpartition("_")[2].lower(),
            since=_seconds(summary.routing_update_time),
            runs=await _runs(engine, deployment, summary.deployment_version.build_id),
            workers=workers.count(summary.deployment_version.build_id),
        )
        for summary in summaries
    ]


async def promote(engine: Engine, deployment: str, build_id: str) -> None:
    """Let new runs begin on a version; those under way stay where they are.

    Args:
        engine: connected.
        deployment: its name.
        build_id: of the version.

    Raises:
        VersionNotThere: no worker of it has polled, or not on every task queue that the one before serves.
    """
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=engine.client.namespace,
        deployment_name=deployment,
        build_id=build_id,
        identity=engine.client.identity,
    )
    try:
        await engine.client.workflow_service.set_worker_deployment_current_version(request)
    except RPCError as error:
        if not not_there(error) and error.status != RPCStatusCode.FAILED_PRECONDITION:
            raise
        raise VersionNotThere(
            f"no worker of version {build_id} listens on {engine.task_queue}: {error.message}",
            remedy="start one and promote it then; `scaleway-infra worker versions` lists those that there are",
        ) from None


def explained(found: Sequence[Version]) -> tuple[bool, str, str]:
    """Whether every run has a worker that can go on with it, in words, and what to do if not.

    Args:
        found: every version; none means that workers have none.
    """
    if not found:
        return True, "not versioned: any worker goes on with any run", ""
    current = next((version for version in found if version.is_current), None)
    missed = [version for version in found if version.is_missed]
    if missed:
        waiting = ", ".join(
            f"{version.build_id} ({'new runs' if version.is_current else f'{version.runs} runs'})" for version in missed
        )
        return False, f"runs wait for a worker of {waiting}", "start a worker of that version again"
    if current is None:
        return False, "none is current: workers with a version get no run", "scaleway-infra worker promote"
    others = [version for version in found if version.runs and version is not current]
    ending = "".join(f"; {version.build_id} has {version.runs} runs to end" for version in others)
    return True, f"{current.build_id} is current{ending}", ""


async def _workers(engine: Engine, deployment: str) -> list[str]:
    """The build ID of each worker of a deployment that polls."""
    request = DescribeTaskQueueRequest(
        namespace=engine.client.namespace,
        task_queue=TaskQueue(name=engine.task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    pollers = (await engine.client.workflow_service.describe_task_queue(request)).pollers
    now = datetime.now(UTC)
    return [
        poller.deployment_options.build_id
        for poller in pollers
        if poller.deployment_options.deployment_name == deployment
        and now - poller.last_access_time.ToDatetime(UTC) < SILENCE_OF_A_WORKER
    ]


async def _runs(engine: Engine, deployment: str, build_id: str) -> int:
    query = (
        f"ExecutionStatus = 'Running' AND TemporalWorkflowVersioningBehavior = 'Pinned' "
        f"AND TemporalWorkerDeploymentVersion = '{deployment}:{build_id}'"
    )
    return (await engine.client.count_workflows(query)).count


def _seconds(moment: Timestamp) -> float | None:
    return moment.ToNanoseconds() / 1e9 if moment.seconds else None
