"""The engine as a library: start runs, watch them, steer them. The CLI is made of these calls.

engine = await Engine.connect()
plan = await engine.plan(PlanInput(target=..., environment=...))
run = await engine.apply(ChangeInput(request=..., fingerprint=plan.fingerprint()))
output = await run.result()
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.types import MethodAsyncSingleParam

from blueprint.backup.contract import BucketRestoreOutput, DropOutput, ManagedRestoreOutput
from blueprint.contract import InventoryInput, InventoryOutput, PlanInput, Target
from blueprint.environment import Environment
from blueprint.errors import EngineError
from blueprint.introduction import Introduction
from blueprint.plan import Plan
from blueprint.release.record import ReleaseRecord
from starters.origin import origin
from workflows.apply import Apply
from workflows.backup.messages import BackupOutput, DrillOutput, RestoreDatabaseOutput, RetentionOutput
from workflows.connection import connect, not_there
from workflows.deploy import Deploy, Rollback
from workflows.destroy import Destroy
from workflows.identity import (
    COMMIT,
    ENVIRONMENT,
    OPERATION,
    STARTED_BY,
    TASK_QUEUE,
    attributes_of,
    look_id,
    turn_id,
)
from workflows.look import Drift, PlanEnvironment, Releases, Status
from workflows.messages import (
    AbortInput,
    ChangeInput,
    ChangeOutput,
    Decided,
    DriftOutput,
    Progress,
    ReleaseInput,
    ReleaseLook,
    SkipInput,
)

T = TypeVar("T")
Turn = Callable[[str], str]
"""Which turn of an environment, as a function that gives its workflow id: `turn_id`, `backup_turn` or `drill_turn`."""
GIVES: dict[str, type[Any]] = {
    "Apply": ChangeOutput,
    "Destroy": ChangeOutput,
    "Deploy": ReleaseRecord,
    "Rollback": ReleaseRecord,
    "Backup": BackupOutput,
    "Retention": RetentionOutput,
    "Drill": DrillOutput,
    "RestoreDatabase": RestoreDatabaseOutput,
    "RestoreBucket": BucketRestoreOutput,
    "RestoreInstance": ManagedRestoreOutput,
    "DropDatabase": DropOutput,
}
"""What runs that have a turn give at their end, by type of workflow."""
SILENCE_OF_A_WORKER = timedelta(seconds=75)
"""A worker asks for work once a minute at least; Temporal remembers one that is gone for five."""


class AnotherChangeRuns(EngineError):
    """The environment's turn is taken.

    Attributes:
        running: what runs.
    """

    code = "another_change_runs"

    def __init__(self, running: Running) -> None:
        super().__init__(
            f"{running.operation} runs since {running.since:%Y-%m-%d %H:%M:%S} UTC, started by {running.started_by}",
            subject=running.environment,
            remedy=f"wait for it with `--wait`, or look at it: {running.link}",
        )
        self.running = running


@dataclass(frozen=True)
class Running:
    """The change that has an environment's turn."""

    environment: str
    """Such as "lssm-prod"."""
    operation: str
    """apply or destroy."""
    since: datetime
    """When it started, UTC."""
    started_by: str
    """Who or what started it."""
    link: str
    """Its page in Temporal's UI."""
    commit: str = ""
    """What it brings: a release, or the file of a commit that a CI job applies; empty if nobody said."""

    def brings(self, operation: str, commit: str) -> bool:
        """Whether it is the run that a job of this commit would start: the job joins it."""
        return bool(commit) and (self.operation, self.commit) == (operation, commit)


@dataclass(frozen=True)
class Run(Generic[T]):
    """A run that somebody started."""

    handle: WorkflowHandle[Any, T]
    """Temporal's handle, for everything that is not here."""
    link: str
    """Its page in Temporal's UI."""

    async def result(self) -> T:
        """What it gives at its end.

        Raises:
            WorkflowFailureError: it failed, or was cancelled.
        """
        return await self.handle.result()

    async def progress(self) -> Progress:
        """Every step as it stands. Needs a worker to answer."""
        progress: Progress = await self.handle.query("progress", result_type=Progress)
        return progress

    async def cancel(self) -> None:
        """Let the calls in flight come to their end, and begin none."""
        await self.handle.cancel()


class Engine:
    """A connection to Temporal and what can be asked of it.

    Args:
        client: connected with the `EnginePlugin`.
        ui_url: where Temporal's UI is, for links.
        task_queue: where the workers listen.
    """

    def __init__(self, client: Client, ui_url: str, task_queue: str = TASK_QUEUE) -> None:
        self.client = client
        self._ui_url = ui_url.rstrip("/")
        self.task_queue = task_queue

    @classmethod
    async def connect(cls) -> Engine:
        """Connect as `TEMPORAL_*` says; links lead to TEMPORAL_UI_URL, or to the UI of a local server.

        Raises:
            TemporalUnreachable: nobody answers.
        """
        return cls(await connect(), os.environ.get("TEMPORAL_UI_URL", "http://localhost:8233"))

    # -- reading -----------------------------------------------------------------------------------------------

    async def plan(self, request: PlanInput) -> Plan:
        """What an apply (or, if the request says so, a destroy) would do."""
        run = await self.look(PlanEnvironment.run, "plan", request.target, request)
        return await run.result()

    async def drift(self, request: PlanInput) -> DriftOutput:
        """What differs from the file, every declared detail read."""
        run = await self.look(Drift.run, "drift", request.target, request)
        return await run.result()

    async def status(self, request: InventoryInput) -> InventoryOutput:
        """What exists."""
        run = await self.look(Status.run, "status", request.target, request)
        return await run.result()

    async def releases(self, release: ReleaseInput) -> ReleaseLook:
        """What is on the nodes, and what a deploy of the ref would do, if there is one."""
        run = await self.look(Releases.run, "releases", release.site.target, release)
        return await run.result()

    # -- changing ----------------------------------------------------------------------------------------------

    async def apply(self, change: ChangeInput, commit: str = "") -> Run[ChangeOutput]:
        """Begin to bring an environment to what its file says.

        Args:
            change: the plan that was approved.
            commit: which one the file is from, if a CI job applies it: so that the job finds its run again.

        Raises:
            AnotherChangeRuns: the environment's turn is taken; its `running.commit` tells whether by the same commit.
        """
        about = _bound_to(change.fingerprint)
        return await self.take_turn(Apply.run, "apply", change.request.target, change, about, commit)

    async def destroy(self, change: ChangeInput) -> Run[ChangeOutput]:
        """Begin to remove everything of an environment.

        Raises:
            AnotherChangeRuns: the environment's turn is taken.
        """
        about = _bound_to(change.fingerprint)
        return await self.take_turn(Destroy.run, "destroy", change.request.target, change, about)

    async def deploy(self, release: ReleaseInput) -> Run[ReleaseRecord]:
        """Begin to bring a commit to every node. Its `ref` has to be a full commit, so that the run has an identity.

        Raises:
            AnotherChangeRuns: the environment's turn is taken; its `running.commit` tells whether by the same deploy.
        """
        target, commit = release.site.target, release.ref
        return await self.take_turn(Deploy.run, "deploy", target, release, "", commit)

    async def rollback(self, release: ReleaseInput) -> Run[ReleaseRecord]:
        """Begin to bring an earlier release back to every node.

        Raises:
            AnotherChangeRuns: the environment's turn is taken.
        """
        to = f"To: {release.ref or 'the one before'}."
        return await self.take_turn(Rollback.run, "rollback", release.site.target, release, to)

    async def current(self, target: Target, turn: Turn = turn_id) -> Run[Any] | None:
        """The run that has the environment's turn, to follow and to steer, or None."""
        description = await self._turn_holder(target, turn)
        if description is None:
            return None
        return self.run(description.id, description.run_id, GIVES[description.workflow_type])

    async def running(self, target: Target, turn: Turn = turn_id) -> Running | None:
        """The run that has the environment's turn, for people, or None."""
        description = await self._turn_holder(target, turn)
        return self._running(description) if description else None

    # -- steering ----------------------------------------------------------------------------------------------

    async def retry(self, run: Run[Any]) -> Decided:
        """Every parked step tries again."""
        decided: Decided = await run.handle.execute_update("retry", result_type=Decided)
        return decided

    async def skip(self, run: Run[Any], decision: SkipInput) -> Decided:
        """One parked step counts as done."""
        decided: Decided = await run.handle.execute_update("skip", decision, result_type=Decided)
        return decided

    async def abort(self, run: Run[Any], decision: AbortInput) -> Decided:
        """No further step begins; the run fails."""
        decided: Decided = await run.handle.execute_update("abort", decision, result_type=Decided)
        return decided

    async def wait_for_turn(self, target: Target, every: float, turn: Turn = turn_id) -> None:
        """Wait until the environment's turn is free, looking every so many seconds."""
        while await self.current(target, turn) is not None:
            await asyncio.sleep(every)

    async def has_worker(self) -> bool:
        """Whether a worker listens, or did within the longest time that a healthy one is silent."""
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=self.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        pollers = (await self.client.workflow_service.describe_task_queue(request)).pollers
        latest = max((poller.last_access_time.ToDatetime(UTC) for poller in pollers), default=None)
        return latest is not None and datetime.now(UTC) - latest < SILENCE_OF_A_WORKER

    # -- runs of any kind --------------------------------------------------------------------------------------

    async def look(
        self,
        workflow: MethodAsyncSingleParam[Any, Any, T],
        operation: str,
        target: Target,
        argument: Any,
        about: str = "",
    ) -> Run[T]:
        """Begin a run that takes nobody's turn.

        Args:
            workflow: its run method.
            operation: what it is found by.
            target: the environment.
            argument: its input.
            about: what it is about, for its page in Temporal's UI.
        """
        introduction = Introduction(operation, target.environment, origin(), about)
        handle: WorkflowHandle[Any, T] = await self.client.start_workflow(
            workflow,
            argument,
            id=look_id(operation, target.environment, uuid.uuid4().hex[:8]),
            task_queue=self.task_queue,
            search_attributes=attributes_of(introduction),
            memo=introduction.memo,
            static_summary=introduction.summary,
            static_details=introduction.details,
        )
        return Run(handle, self.link(handle.id, handle.result_run_id))

    async def take_turn(
        self,
        workflow: MethodAsyncSingleParam[Any, Any, T],
        operation: str,
        target: Target,
        argument: Any,
        about: str,
        commit: str = "",
        turn: Turn = turn_id,
    ) -> Run[T]:
        """Begin a run that has a turn of the environment for as long as it lives.

        Args:
            workflow: its run method.
            operation: what it is found by.
            target: the environment.
            argument: its input.
            about: what it is about, for its page in Temporal's UI.
            commit: what it brings, if it is from one.
            turn: which one.

        Raises:
            AnotherChangeRuns: the turn is taken.
        """
        introduction = Introduction(operation, target.environment, origin(), about, commit)
        try:
            started = await self.client.start_workflow(
                workflow,
                argument,
                id=turn(target.environment),
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=attributes_of(introduction),
                memo=introduction.memo,
                static_summary=introduction.summary,
                static_details=introduction.details,
            )
        except WorkflowAlreadyStartedError as error:
            raise AnotherChangeRuns(self._running(await self._described(target, turn, error.run_id))) from None
        # This very run: without its id, a call that comes late would reach the next one that has the turn.
        run_id = started.result_run_id
        handle: WorkflowHandle[Any, T] = self.client.get_workflow_handle_for(workflow, started.id, run_id=run_id)
        return Run(handle, self.link(started.id, run_id))

    def run(self, workflow_id: str, run_id: str | None = None, gives: type[T] | None = None) -> Run[T]:
        """A run that is there already, to follow and to steer.

        Args:
            workflow_id: which.
            run_id: which of those that have had this id; the latest if None.
            gives: what it gives at its end.
        """
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id, result_type=gives)
        return Run(handle, self.link(workflow_id, run_id))

    def link(self, workflow_id: str, run_id: str | None) -> str:
        """The page of a run in Temporal's UI."""
        path = f"/namespaces/{self.client.namespace}/workflows/{quote(workflow_id, safe='')}"
        return f"{self._ui_url}{path}/{run_id}/history" if run_id else f"{self._ui_url}{path}"

    # -- plumbing ----------------------------------------------------------------------------------------------

    async def _turn_holder(self, target: Target, turn: Turn) -> WorkflowExecutionDescription | None:
        try:
            description = await self._described(target, turn)
        except RPCError as error:
            if not_there(error):
                return None
            raise
        return description if description.status == WorkflowExecutionStatus.RUNNING else None

    async def _described(self, target: Target, turn: Turn, run_id: str | None = None) -> WorkflowExecutionDescription:
        return await self.client.get_workflow_handle(turn(target.environment), run_id=run_id).describe()

    def _running(self, description: WorkflowExecutionDescription) -> Running:
        attributes = description.typed_search_attributes
        return Running(
            environment=attributes.get(ENVIRONMENT) or description.id,
            operation=attributes.get(OPERATION) or description.workflow_type.lower(),
            since=description.start_time,
            started_by=attributes.get(STARTED_BY) or "somebody",
            link=self.link(description.id, description.run_id),
            commit=attributes.get(COMMIT) or "",
        )


def target_of(environment: Environment) -> Target:
    """Where an environment lives."""
    return Target(
        org=environment.org,
        env=environment.env,
        region=environment.region,
        zone=environment.zone,
        project_id=environment.project_id or "",
    )


def _bound_to(fingerprint: str | None) -> str:
    if fingerprint is None:
        return "No plan was approved beforehand: it does what its own says."
    return f"It does what the plan `{fingerprint}` says, or fails before it changes anything."
