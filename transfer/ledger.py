"""What has been carried so far, told in `progress.json`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from transfer.files import PROGRESS, ArchiveProgress, Progress, State, write
from transfer.run import Run

_EVERY = 1.0
"""Seconds between two writes."""
_RATE_OVER = 10
"""Writes that the rate is taken over."""


def now() -> str:
    """The time, as the files have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Account:
    """One archive. Its lane counts, others read."""

    archive: str
    tables: tuple[str, ...]
    estimate: int
    state: State = State.WAITING
    raw_bytes: int = 0
    stored_bytes: int = 0
    parts: int = 0


@dataclass
class Ledger:
    """All archives, in the order of the lanes."""

    run: Run
    accounts: Sequence[Account] = ()
    started: str = field(default_factory=now)
    _written: float = 0.0
    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_RATE_OVER))

    def tell(self, state: State = State.RUNNING) -> None:
        """Write it, if the last time is a while ago or this one is the last."""
        moment = time.monotonic()
        if state is State.RUNNING and moment < self._written + _EVERY:
            return
        self._written = moment
        raw = self.raw_bytes
        self._seen.append((moment, raw))
        since, before = self._seen[0]
        failure = self.run.failure
        told = Progress(
            state=state,
            step=self.run.step,
            archives={
                account.archive: ArchiveProgress(
                    account.tables,
                    account.state,
                    account.estimate,
                    account.raw_bytes,
                    account.stored_bytes,
                    account.parts,
                )
                for account in self.accounts
            },
            estimate=sum(account.estimate for account in self.accounts),
            raw_bytes=raw,
            stored_bytes=self.stored_bytes,
            parts=sum(account.parts for account in self.accounts),
            rate=(raw - before) / (moment - since) if moment > since else 0.0,
            started=self.started,
            updated=now(),
            code=failure.code if failure else None,
            message=str(failure) if failure else "",
        )
        write(self.run.folder / PROGRESS, told)

    @property
    def raw_bytes(self) -> int:
        """Of pg_dump's outputs."""
        return sum(account.raw_bytes for account in self.accounts)

    @property
    def stored_bytes(self) -> int:
        """Of parts that are stored, or read."""
        return sum(account.stored_bytes for account in self.accounts)
