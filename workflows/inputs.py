"""A run that was started without an input that fits ends at once, and says so.

Temporal's UI starts whatever its form holds, an empty one too. To the SDK that is a bug of the workflow's code, which
is retried until somebody deploys another one; all the while, such a run would keep its environment's turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from blueprint.errors import InputInvalid
from workflows.failures import failure

_MOST_TOLD = 3
"""Things that do not fit, of many."""


class InputCheckingRunner(SandboxedWorkflowRunner):
    """Runs workflows in the sandbox, and fails those whose input does not fit."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A run's instance in this worker."""
        return _Checked(super().create_instance(det), det)


class _Checked(WorkflowInstance):
    """A run whose first task may not fail for its input: the run does.

    Args:
        inner: the run itself.
        details: what it was made of.
    """

    def __init__(self, inner: WorkflowInstance, details: WorkflowInstanceDetails) -> None:
        self._inner = inner
        self._details = details
        self._unfit = ""

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Go on with the run, if it could ever begin."""
        for job in act.jobs:
            if job.HasField("initialize_workflow"):
                self._unfit = self._trouble(job.initialize_workflow.arguments)
        evicted = any(job.HasField("remove_from_cache") for job in act.jobs)
        return self._failed(act) if self._unfit and not evicted else self._inner.activate(act)

    def _trouble(self, arguments: Sequence[Payload]) -> str:
        """Why these are no input for the workflow; empty if they are."""
        types = self._details.defn.arg_types or []
        if len(arguments) != len(types):
            return f"it was started with {len(arguments) or 'no'} input, and takes {len(types)}"
        try:
            self._details.payload_converter_factory().from_payloads(arguments, types)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, item['loc'])) or 'all of it'}: {item['msg']}" for item in error.errors()]
            more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
            return f"its input does not fit: {'; '.join(wrong[:_MOST_TOLD])}{more}"
        except Exception as error:
            return f"its input cannot be read: {error}"
        return ""

    def _failed(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        error = InputInvalid(
            self._unfit,
            subject=self._details.info.workflow_type,
            remedy="nothing was done; start it from the command line, or like a run that has an input, "
            "once the form shows it",
        )
        completion = WorkflowActivationCompletion()
        completion.successful.SetInParent()
        asked = [job.query_workflow.query_id for job in act.jobs if job.HasField("query_workflow")]
        for query in asked:
            answer = completion.successful.commands.add().respond_to_query
            answer.query_id = query
            self._tell(error, answer.failed)
        if not asked:
            self._tell(error, completion.successful.commands.add().fail_workflow_execution.failure)
        return completion

    def _tell(self, error: InputInvalid, where: Failure) -> None:
        converter = self._details.payload_converter_factory()
        self._details.failure_converter_class().to_failure(failure(error), converter, where)

    def get_serialization_context(self, command_info: Any) -> Any:
        """As the run's own."""
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """As the run's own."""
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> Any:
        """As the run's own."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """As the run's own."""
        return self._inner.get_thread_id()
