"""What runs of backups, drills and restores share: steps that people see, questions when one fails, tidying up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, FailureError

from blueprint.backup.site import BackupSite
from blueprint.contract import ActivityType
from blueprint.errors import Aborted
from blueprint.moments import moment
from blueprint.release.record import Origin
from workflows.calls import ATTEMPT, begin
from workflows.details import AGAIN, described, titled
from workflows.failures import code_of, failure, told
from workflows.messages import Phase, Progress
from workflows.parking import Decision, Parking
from workflows.release.timeline import Stopped, Timeline

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

TRANSFER = timedelta(hours=12)
"""Longest attempt of what moves data. One that died is noticed by its silence long before."""
UNATTENDED = timedelta(hours=4)
"""How long a step waits for an operator. Runs at night have none, and keep a turn that the next run wants."""


class GivenUp(Exception):
    """A step failed, and nobody wants it tried again.

    Attributes:
        trouble: what happened, in words.
        code: the failure's stable code; empty if it had none.
        decision: what an operator said; None if nobody did, or nobody was asked.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(told(error))
        self.trouble = told(error)
        self.decision: Decision | None = None
        self.code = code_of(error) if isinstance(error, ActivityError | ChildWorkflowError) else ""


class Course:
    """The course of one run. The run of each workflow is one, with a story of its own.

    Args:
        what: the run in a few words, as its current details begin.
        origin: who asked for it.
        stopping: what happens if it is cancelled.
        patience: how long a step that failed waits for an operator.
    """

    def __init__(self, what: str, origin: Origin, stopping: str, patience: timedelta = UNATTENDED) -> None:
        self.parking = Parking()
        self.timeline = Timeline(self._show)
        self._title = titled(what, origin)
        self._stopping = stopping
        self._patience = patience
        self._phase: Phase = "preflight"
        self._note = ""
        self._deserted = False

    def progress(self) -> Progress:
        """The run, seen from outside."""
        return Progress(phase=self._phase, steps=self.timeline.progress())

    def enter(self, phase: Phase, note: str = "") -> None:
        """Say what the run is at.

        Args:
            phase: what.
            note: Markdown that stands above the steps from now on; what stood there stays if empty.
        """
        self._phase = phase
        self._note = note or self._note
        self._show()

    def aborted(self, *details: Any) -> ApplicationError:
        """The failure of a run that an operator ended.

        Args:
            details: what programs can read besides.
        """
        return failure(Aborted(f"ended by an operator: {self.parking.aborted}"), *details)

    async def see_through(self, story: Coroutine[Any, Any, O]) -> O:
        """The story of the run. If it is cancelled, what is under way is ended, and the story tidies up.

        Raises:
            ApplicationError: the story failed; aborted if an operator ended it, and it did not say so itself.
            CancelledError: it was cancelled before the story had come to its end.
        """
        task = asyncio.create_task(story)
        try:
            result = await asyncio.shield(task)
        except Stopped:
            raise self.aborted() from None
        except ApplicationError as error:
            self.enter("failed", f"**{error.message}**\n\n{AGAIN}")
            raise
        except asyncio.CancelledError:
            self.timeline.stop()
            self.parking.close()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(ended, BaseException):
                raise
            result = ended
        self.enter("done")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    # -- steps -------------------------------------------------------------------------------------------------

    async def carry_out(
        self,
        step: str,
        activity: ActivityType[I, O],
        argument: I,
        title: str,
        *,
        choices: Mapping[Decision, str],
        attempt: timedelta = ATTEMPT,
        final: Collection[str] = (),
        lane: AbstractAsyncContextManager[Any] | None = None,
    ) -> O:
        """One activity. If it fails for good, an operator is asked, for as long as the run's patience lasts.

        Args:
            step: id, as people see it.
            activity: which.
            argument: its input.
            title: the line beside it in Temporal's UI.
            choices: what each decision means here.
            attempt: longest attempt.
            final: codes of failures about which nobody is asked.
            lane: held while it runs, and not while it waits for an operator.

        Raises:
            GivenUp: it failed, and is not tried again.
            Stopped: the run is to end: it is cancelled, or an operator ended it.
        """
        return await self.insist(
            step, lambda: begin(activity, argument, title, attempt=attempt), choices=choices, final=final, lane=lane
        )

    async def insist(
        self,
        step: str,
        start: Callable[[], asyncio.Task[O]],
        *,
        choices: Mapping[Decision, str],
        final: Collection[str] = (),
        lane: AbstractAsyncContextManager[Any] | None = None,
    ) -> O:
        """As `carry_out`, for whatever can be waited for.

        Raises:
            GivenUp: it failed, and is not tried again.
            Stopped: the run is to end: it is cancelled, or an operator ended it.
        """
        while True:
            try:
                async with lane or nullcontext():
                    if self.parking.aborted is not None:
                        self.timeline.drop_waiting()
                        raise Stopped
                    return await self.timeline.follow(step, start)
            except FailureError as error:
                given_up = GivenUp(error)
            if given_up.code not in final:
                given_up.decision = await self.ask(step, given_up.trouble, choices)
            if given_up.decision != "retry":
                raise given_up

    async def attempt(self, step: str, activity: ActivityType[I, O], argument: I, title: str) -> O | None:
        """One activity that the run can do without: if it fails, that is in the log, and nobody is asked.

        Raises:
            Stopped: the run is to end.
        """
        try:
            return await self.timeline.carry_out(step, activity, argument, title)
        except FailureError as error:
            workflow.logger.warning("%s: %s", step, told(error), extra={"step": step})
            return None

    async def tidy(self, step: str, activity: ActivityType[I, O], argument: I, title: str) -> str:
        """One activity that removes what the run made, even if the run is to end.

        Returns:
            Why it failed; empty if it did not.
        """
        try:
            with self.timeline.shielded():
                await self.timeline.carry_out(step, activity, argument, title)
        except FailureError as error:
            workflow.logger.warning("%s: %s", step, told(error), extra={"step": step})
            return told(error)
        return ""

    async def ask(self, step: str, trouble: str, choices: Mapping[Decision, str]) -> Decision | None:
        """Park a step. After one that nobody answered about, no other waits: nobody is there.

        Returns:
            The decision; None if there was none.

        Raises:
            Stopped: the run is cancelled.
        """
        if self._deserted:
            return None
        decision: Decision | None = None
        until = moment(workflow.time() + self._patience.total_seconds())
        self.parking.park(step, f"{trouble} (waits for an answer until {until})", choices)
        self.timeline.parked(step, trouble)
        try:
            decision = await self.parking.decision(step, self._patience)
        except TimeoutError:
            self._deserted = True
        if self.timeline.stopped:
            self.timeline.decided(step, "dropped")
            raise Stopped
        self.timeline.decided(step, "waiting" if decision == "retry" else "failed")
        return decision

    # -- bookkeeping -------------------------------------------------------------------------------------------

    def _show(self) -> None:
        workflow.set_current_details(
            described(
                self._title,
                self._phase,
                self.timeline.states,
                self.timeline.times,
                question=self.parking.details(),
                note=self._note,
                stopping=self._stopping,
            )
        )


def lean(site: BackupSite) -> BackupSite:
    """The site without the environment file: most activities need only what follows from it, and histories are kept."""
    return site.model_copy(update={"file": {}})
