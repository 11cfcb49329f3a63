"""The steps of a release as people see them, and the calls behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

from blueprint.contract import ActivityType
from workflows.calls import ATTEMPT, begin
from workflows.messages import StepProgress, StepState

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class Stopped(Exception):
    """The run is to end: nothing new begins."""


class Timeline:
    """Every step of the run: when it began, when it ended, how it stands. Steps carry out activities.

    Args:
        changed: called whenever a step stands otherwise than before.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.states: dict[str, StepState] = {}
        """How each step stands, in the order in which they were expected or began."""
        self.times: dict[str, list[float]] = {}
        """When each began and, if it has, ended; seconds since the epoch."""
        self._changed = changed
        self._troubles: dict[str, str] = {}
        # In order: a set would cancel them in another order when the run is replayed.
        self._calls: dict[asyncio.Task[Any], None] = {}
        self._stopping = False
        self._shielded = False

    # -- stopping ----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing new, and let attempts under way come to their end. Has no effect on what is shielded."""
        self._stopping = True
        if not self._shielded:
            for task in self._calls:
                task.cancel()

    @property
    def stopped(self) -> bool:
        """Whether somebody asked the run to end."""
        return self._stopping

    def shield(self) -> None:
        """From now on steps are carried out even if the run is to end: nodes are on their way back."""
        self._shielded = True

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """What begins in here comes to its end even if the run is to end."""
        before, self._shielded = self._shielded, True
        try:
            yield
        finally:
            self._shielded = before

    # -- steps -------------------------------------------------------------------------------------------------

    def expect(self, steps: Iterable[str]) -> None:
        """Show steps that are still to come."""
        for step in steps:
            self.states.setdefault(step, "waiting")
        self._changed()

    def drop(self, step: str) -> None:
        """A step that was expected will not begin; harmless if it has."""
        if self.states.get(step) == "waiting":
            self.states[step] = "dropped"
            self._changed()

    def drop_waiting(self) -> None:
        """What has not begun will not."""
        self.states.update({step: "dropped" for step, state in self.states.items() if state == "waiting"})

    async def carry_out(
        self,
        step: str,
        activity: ActivityType[I, O],
        argument: I,
        title: str,
        attempt: timedelta = ATTEMPT,
    ) -> O:
        """One step: one activity, to its end.

        Args:
            step: id, as people see it.
            activity: which.
            argument: its input.
            title: the line beside it in Temporal's UI.
            attempt: longest attempt.

        Raises:
            ActivityError: it failed for good.
            Stopped: it did not begin, or was ended, because the run is to end.
        """
        return await self.follow(step, lambda: begin(activity, argument, title, attempt=attempt))

    async def follow(self, step: str, start: Callable[[], asyncio.Task[O]]) -> O:
        """One step: whatever can be waited for and cancelled, to its end.

        Args:
            step: id, as people see it.
            start: begins it.

        Raises:
            FailureError: it failed for good.
            Stopped: it did not begin, or was ended, because the run is to end.
        """
        if self._stopping and not self._shielded:
            self.states[step] = "dropped"
            raise Stopped
        self._enter(step, "running")
        task = start()
        self._calls[task] = None
        try:
            result = await task
        except (FailureError, asyncio.CancelledError):
            # A bare CancelledError comes if the cancel and the activity's end meet in one workflow task.
            ended = self._stopping and not self._shielded
            self._close(step, "dropped" if ended else "failed")
            if ended:
                raise Stopped from None
            raise
        finally:
            del self._calls[task]
        self._close(step, "done")
        return result

    def parked(self, step: str, trouble: str) -> None:
        """The step waits for an operator."""
        self._troubles[step] = trouble
        self._enter(step, "parked")

    def decided(self, step: str, state: StepState) -> None:
        """The operator has decided."""
        self._troubles.pop(step, None)
        self._close(step, state)

    def progress(self) -> tuple[StepProgress, ...]:
        """Every step as it stands."""
        return tuple(
            StepProgress(
                id=step,
                state=state,
                started=times[0] if (times := self.times.get(step, [])) else None,
                ended=times[1] if len(times) > 1 else None,
                trouble=self._troubles.get(step, ""),
            )
            for step, state in self.states.items()
        )

    def seconds(self, step: str) -> float:
        """How long a step took; 0 if it did not end."""
        times = self.times.get(step, [])
        return times[1] - times[0] if len(times) > 1 else 0.0

    def _enter(self, step: str, state: StepState) -> None:
        self.states[step] = state
        self.times.setdefault(step, [workflow.time()])
        self._changed()

    def _close(self, step: str, state: StepState) -> None:
        self.states[step] = state
        self.times[step] = [self.times[step][0], workflow.time()]
        self._changed()
