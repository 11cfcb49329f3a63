"""Moves bytes from one program to the next, most of them without looking at them, and counts them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from io import FileIO

from transfer.ledger import Account
from transfer.run import PIPE_SIZE, Child, Run


class Pump:
    """A thread between two programs.

    The second one sees an end only if the first one has ended well: whatever a program that failed has left behind, no
    one takes it for the whole.

    Args:
        account: whose raw bytes these are.
        edited: reads what comes first: how many bytes, and what the second program shall see in their place.
    """

    def __init__(
        self,
        run: Run,
        source: Child,
        target: Child,
        account: Account,
        edited: Callable[[FileIO], tuple[int, bytes]] = lambda _: (0, b""),
    ) -> None:
        self._run = run
        self._source = source
        self._target = target
        self._account = account
        self._edited = edited
        self._thread = threading.Thread(target=self._move, daemon=True)
        self.trouble = ""
        """What went wrong; empty if all has been moved and the first program ended well."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _move(self) -> None:
        source, target = self._source.stdout.fileno(), self._target.stdin.fileno()
        try:
            count, first = self._edited(self._source.stdout)
            self._account.raw_bytes += count
            while first:
                first = first[self._target.stdin.write(first) :]
            # The kernel hands pages from one pipe to the other; nothing is copied through here.
            while count := os.splice(source, target, PIPE_SIZE):
                self._account.raw_bytes += count
        except BrokenPipeError:
            # The kernel says so, too, when nothing is left to move: whoever has read all that it needs may be gone.
            if self._source.stdout.read(1):
                self.trouble = f"{self._target.name} reads no more"
        if self._source.wait(0 if self.trouble else None):
            self.trouble = self.trouble or f"{self._source.name} ended badly"
        if self.trouble:
            # Not closed, since that would be an end; the source, which may wait to write, sees that nobody reads.
            self._target.process.terminate()
            self._source.stdout.close()
        else:
            self._target.stdin.close()
