"""Lanes: so many tasks at a time, the first ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from transfer.run import Run

Result = TypeVar("Result")


class Lanes(Generic[Result]):
    """Begins the tasks at once, as many side by side as there are lanes; one that fails fails the run."""

    def __init__(self, run: Run, lanes: int, tasks: Sequence[Callable[[], Result]]) -> None:
        # Its threads stay until all is done: the kernel ends children with the thread that started them.
        self._threads = ThreadPoolExecutor(lanes)
        self._run = run
        self._tasks = [self._threads.submit(self._guarded, task) for task in tasks]

    def results(self) -> list[Result]:
        """What the tasks gave, in their order, when all are done.

        Raises:
            TransferError: the run has failed.
        """
        try:
            return [task.result() for task in self._tasks]
        finally:
            self._threads.shutdown()

    def _guarded(self, task: Callable[[], Result]) -> Result:
        with self._run.guarded():
            self._run.check()
            return task()
