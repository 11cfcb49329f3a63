"""A `dev` that is looked after while its user does something else."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from starters.dev import Dev

CHECK_EVERY = 0.2
"""Seconds between two looks at the processes."""


class Kept:
    """A `Dev` in a thread of its own: what a user of `scaleway-infra dev` has in another terminal.

    Its processes end with the thread that started them (see `Child`), so this one starts and stops them all.

    Args:
        dev: not started.
    """

    def __init__(self, dev: Dev) -> None:
        self._dev = dev
        self._started: Future[None] = Future()
        self._asked = threading.Event()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._keep, name="dev", daemon=True)

    def start(self) -> None:
        """Start it, and return when everything serves.

        Raises:
            StartError: see `Dev.start`.
        """
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            # Ctrl-C too: nobody else would end what is being started.
            self._end()
            raise

    def stop(self) -> None:
        """Stop it.

        Raises:
            StartError: Temporal or the local Scaleway died meanwhile; whatever failed since then failed for that.
        """
        self._end()
        if self._trouble:
            raise self._trouble

    def _end(self) -> None:
        self._asked.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            with self._dev:
                self._started.set_result(None)
                while not self._asked.wait(CHECK_EVERY):
                    self._dev.check()
        except BaseException as error:
            if self._started.done():
                self._trouble = error
            else:
                self._started.set_exception(error)
