"""Children that share a workflow id with other runs: they wait for their turn."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from blueprint.errors import Busy
from blueprint.introduction import Introduction
from workflows.failures import failure
from workflows.identity import attributes_of

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
EVERY = timedelta(seconds=30)
"""Between two looks whether the turn is free: nobody tells a workflow that another one has ended."""


async def in_line(
    run: Callable[[Any, I], Coroutine[Any, Any, O]],
    input: I,
    *,
    id: str,
    introduction: Introduction,
    patience: timedelta,
) -> O:
    """Run a child under an id that others use too, once none of them runs. A cancelled parent cancels it and waits.

    Args:
        run: the child's run method, such as `Backup.run`.
        input: its input.
        id: workflow id, the turn.
        introduction: how it introduces itself.
        patience: longest wait for the turn.

    Raises:
        ApplicationError: busy, the turn was not free within the patience.
        ChildWorkflowError: the child failed; its cause has the code and the details.
    """
    began = workflow.now()
    while True:
        try:
            child = await workflow.start_child_workflow(
                run,
                input,
                id=id,
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                search_attributes=attributes_of(introduction),
                memo=introduction.memo,
                static_summary=introduction.summary,
                static_details=f"{introduction.details}\n\nIt is part of `{workflow.info().workflow_id}`.",
            )
        except WorkflowAlreadyStartedError:
            left = patience - (workflow.now() - began)
            if left <= timedelta(0):
                raise failure(
                    Busy(
                        f"another run had the turn for all of the {patience.total_seconds():.0f} s that this one waits",
                        subject=id,
                        remedy="look at what that run is at; then start this one again",
                    )
                ) from None
            await workflow.sleep(min(EVERY, left), summary=f"until {id} is free")
        else:
            return await child
