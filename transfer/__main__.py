"""`python3 transfer.pyz dump|load FOLDER`: do what `job.json` in the folder asks for; exit code 0 if it is done."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from transfer.dump import Dump
from transfer.files import (
    DRIVER,
    JOB,
    RESULT,
    URLS,
    Code,
    DumpJob,
    State,
    TransferError,
    read_dump_job,
    read_load_job,
    write,
)
from transfer.ledger import Ledger
from transfer.load import IDENTITY, Load
from transfer.run import Run

_TURN = 0.1
"""Seconds between two looks at what the driver has written."""
_LEAVE = 30.0
"""Seconds that lanes have to end after a failure."""


class Driver:
    """The one who drives this, as far as it can be seen from here.

    Args:
        patience: seconds without a sign of it after which it is taken for lost.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self._file = folder / DRIVER
        self._patience = patience
        self._sign = 0
        self._seen = time.monotonic()

    def lost(self) -> bool:
        """Whether it has given no sign for too long. Only changes of the file's time count, not what the clocks say."""
        with contextlib.suppress(FileNotFoundError):
            if (sign := self._file.stat().st_mtime_ns) != self._sign:
                self._sign, self._seen = sign, time.monotonic()
        return time.monotonic() - self._seen > self._patience


def carry(run: Run, ledger: Ledger, direction: str) -> None:
    """Do what the job asks for, to its end.

    Raises:
        TransferError: it failed.
    """
    read = read_dump_job if direction == "dump" else read_load_job
    job = read(run.folder)
    (run.folder / JOB).unlink()
    transfer = Dump(run, job, ledger) if isinstance(job, DumpJob) else Load(run, job, ledger)
    driver = Driver(run.folder, job.patience)

    def work() -> None:
        with contextlib.suppress(TransferError), run.guarded():
            write(run.folder / RESULT, transfer.carry())

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    while worker.is_alive() and not run.failure:
        transfer.urls.exchange()
        ledger.tell()
        if driver.lost():
            text = f"no sign of the driver for {job.patience:.0f} s"
            run.fail(TransferError(Code.DRIVER_LOST, text))
        worker.join(_TURN)
    worker.join(_LEAVE)
    run.check()


def main() -> NoReturn:
    """Read the command line and run, then end the process: 0 if it is done, 1 if it failed."""
    parser = argparse.ArgumentParser(prog="transfer", description="Carry a PostgreSQL database to object storage.")
    parser.add_argument("direction", choices=("dump", "load"))
    parser.add_argument("folder", type=Path, help="of the job, in memory; `transfer.files` says what it holds")
    options = parser.parse_args()
    run = Run(options.folder)
    ledger = Ledger(run)

    def stop(number: int, _: FrameType | None) -> None:
        run.fail(TransferError(Code.STOPPED, f"stopped by {signal.Signals(number).name}"))

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with contextlib.suppress(TransferError), run.guarded():
        carry(run, ledger, options.direction)
    _forget(options.folder)
    ledger.tell(State.FAILED if run.failure else State.DONE)
    if run.failure:
        print(f"{run.failure.code}: {run.failure}", file=sys.stderr)  # noqa: T201
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of threads that may still wait for the store: nothing of theirs is wanted any more.
    os._exit(1 if run.failure else 0)


def _forget(folder: Path) -> None:
    """Remove secrets, and what is of no use any more."""
    names = [JOB, IDENTITY, *(path.name for pattern in ("*.list", "*.dump") for path in folder.glob(pattern))]
    for name in names:
        (folder / name).unlink(missing_ok=True)
    gone = folder / f".{URLS}"
    with contextlib.suppress(FileNotFoundError):
        # At once: the driver may be about to bring more, and must find no place for them.
        (folder / URLS).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


if __name__ == "__main__":
    main()
