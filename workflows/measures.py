"""What a run was, counted once it has ended: how long it took, how it ended, and what a release cost its users.

As an interceptor, so that no workflow has to think of it; and by the workflow's own meter, which is silent in a replay.
"""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from blueprint.release.record import ReleaseRecord
from telemetry.catalogue import (
    DEPLOY,
    DEPLOY_CLOSED,
    DEPLOY_PART,
    DEPLOY_PAUSE,
    DEPLOY_PROBES,
    LONGEST_PATH,
    RUN,
)
from telemetry.metrics import Instruments
from telemetry.running import of_run


class RunMeasures(Interceptor):
    """Given to a worker."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """Called by the worker."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        try:
            result = await super().execute_workflow(input)
        except FailureError as error:
            details = error.details if isinstance(error, ApplicationError) else ()
            _measure(_outcome(error), *details)
            raise
        _measure("done", result)
        return result


def _outcome(error: FailureError) -> str:
    if is_cancelled_exception(error):
        return "cancelled"
    return (error.type if isinstance(error, ApplicationError) else "") or type(error).__name__


def _measure(outcome: str, *told: Any) -> None:
    instruments, run = Instruments(workflow.metric_meter()), of_run()
    seconds = workflow.time() - workflow.info().workflow_start_time.timestamp()
    instruments.record(RUN, seconds, run | {"outcome": outcome})
    if longest := getattr(getattr(workflow.instance(), "run_state", None), "longest_path", 0.0):
        instruments.record(LONGEST_PATH, longest, run)
    for record in told:
        if isinstance(record, ReleaseRecord):
            _measure_release(instruments, record)


def _measure_release(instruments: Instruments, record: ReleaseRecord) -> None:
    where = {"environment": record.environment}
    ended: dict[str, str] = {"action": record.action, "result": record.result}
    instruments.record(DEPLOY, max(record.ended - record.started, 0.0), where | ended)
    if record.preparing:
        instruments.record(DEPLOY_PART, record.preparing, where | {"part": "prepare"})
    for node in record.nodes:
        for part, seconds in node.seconds.items():
            instruments.record(DEPLOY_PART, seconds, where | {"part": part})
    if record.nodes:
        instruments.record(DEPLOY_CLOSED, record.closed, where)
    if record.probe:
        answered = record.probe.requests - record.probe.failed
        instruments.record(DEPLOY_PROBES, answered, where | {"outcome": "answered"})
        instruments.record(DEPLOY_PROBES, record.probe.failed, where | {"outcome": "failed"})
        instruments.record(DEPLOY_PAUSE, record.probe.longest_pause, where)
