"""Threads that know on whose behalf they work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """A pool whose threads take over the context of whoever gives them something to do.

    Without it, what they call would be nobody's: a span without a parent, a line of the log without a run.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `concurrent.futures.Executor.submit`; `map` comes by here too."""
        return super().submit(copy_context().run, fn, *args, **kwargs)  # type: ignore[arg-type]
