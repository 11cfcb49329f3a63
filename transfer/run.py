"""One run of the program: its children, its first failure, and the files that tell of it."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, cast

from transfer.files import Code, TransferError

PIPE_SIZE = 2**20
"""Bytes that wait between two programs; the kernel's 64 KiB make them take turns too often."""
GRACE = 1.0
"""Seconds in which those end by themselves whose neighbour in a pipe has failed."""
_CUT_OFF = (-signal.SIGPIPE, -signal.SIGTERM)
"""How programs end whose neighbour has failed."""
_WORDS, _LOOKED_AT = 2000, 2**16
"""Of what a program wrote to standard error, the end: enough for a person, and where that is sought."""
_WENT_ON = "errors ignored on restore"
_ROWS = re.compile(
    r"^(?:DETAIL|CONTEXT|Command was): .*?(?=^\w+: (?:error|warning|detail|hint): |\Z)", re.MULTILINE | re.DOTALL
)
"""What the server tells of the rows that it refuses, and the statement: where these words go, no row must."""


class Child:
    """A program that cannot outlive this one (prctl(2), PR_SET_PDEATHSIG).

    The kernel watches the thread that started it, so that one must stay until it has ended.

    Args:
        buffered: its stream that carries much: `input` or `output`.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        buffered: str = "",
    ) -> None:
        self.name = Path(command[0]).name
        # PostgreSQL's programs read and write pipes in pieces of 4 KiB otherwise: most of the time that they take.
        buffer = ["stdbuf", f"--{buffered}={PIPE_SIZE // 4}"] if buffered else []
        # A file, since nobody reads a pipe while the program runs, and a full one would stop it.
        self._errors = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.process = subprocess.Popen(
            # setpriv sets the signal and becomes the command: same process id, and no Python between fork and exec.
            ["setpriv", "--pdeathsig", "TERM", "--", *buffer, *command],
            stdin=stdin,
            stdout=stdout,
            stderr=self._errors,
            env={**os.environ, **(env or {}), "LC_ALL": "C.UTF-8"},
            process_group=0,
            pipesize=PIPE_SIZE,
            bufsize=0,
        )

    @property
    def stdin(self) -> FileIO:
        """Where it reads from, if that is a pipe to here; it has no buffer."""
        return cast("FileIO", self.process.stdin)

    @property
    def stdout(self) -> FileIO:
        """What it writes, if that is a pipe to here; it has no buffer."""
        return cast("FileIO", self.process.stdout)

    def wait(self, patience: float | None = None) -> int | None:
        """How it ended, a signal as its negative number; None if it has not within `patience` seconds."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return None

    def words(self) -> str:
        """The end of what it wrote to standard error, without rows."""
        size = os.fstat(self._errors.fileno()).st_size
        tail = os.pread(self._errors.fileno(), _LOOKED_AT, max(0, size - _LOOKED_AT))
        return _ROWS.sub("", tail.decode(errors="replace")).strip()[-_WORDS:]

    def harmless(self, error: str) -> bool:
        """Whether it went on after errors and ended with no other than this one."""
        self._errors.seek(0)
        told = self._errors.read().decode(errors="replace")
        # How many it says there does not count: parallel sessions tell theirs, and nobody adds them up.
        return _WENT_ON in told and all(error in line for line in told.splitlines() if ": error: " in line)

    def end(self, patience: float = 5.0) -> None:
        """Ask it to end, then kill it and what it has started. Harmless if it has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                self.wait(patience)


class Run:
    """What the threads of a run share.

    Attributes:
        folder: of the job.
        step: what goes on, for `Progress.step`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.step = "start"
        self._failure: TransferError | None = None
        self._over = threading.Event()
        self._children: set[Child] = set()
        self._turn = threading.RLock()

    @property
    def failure(self) -> TransferError | None:
        """What came first: what follows it is of its making."""
        return self._failure

    def fail(self, error: TransferError) -> None:
        """End the run: whoever waits for its children or in `pause` is freed. Later failures change nothing."""
        with self._turn:
            self._failure = self._failure or error
            children = tuple(self._children)
        self._over.set()
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What fails in here fails the run.

        Raises:
            TransferError: in place of what was raised.
        """
        try:
            yield
        except TransferError as error:
            self.fail(error)
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            full = isinstance(error, OSError) and error.errno == errno.ENOSPC
            if not full:
                traceback.print_exc()
            failure = TransferError(Code.NO_SPACE if full else Code.UNFORESEEN, text)
            self.fail(failure)
            raise failure from error

    def check(self) -> None:
        """Go on only if nothing has failed.

        Raises:
            TransferError: something has.
        """
        if self._failure:
            raise self._failure

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the run lasts.

        Raises:
            TransferError: it has failed.
        """
        self._over.wait(seconds)
        self.check()

    def spawn(
        self,
        *command: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        buffered: str = "",
    ) -> Child:
        """Start a program, to end with the run.

        Raises:
            TransferError: the run has failed.
        """
        with self._turn:
            self.check()
            child = Child(command, self.folder, stdin=stdin, stdout=stdout, env=env, buffered=buffered)
            self._children = {other for other in self._children if other.process.poll() is None} | {child}
        return child

    def output(
        self, *command: str, env: Mapping[str, str] | None = None, code: Code, harmless: str | None = None
    ) -> str:
        """What a program writes; `code` if it ends badly and its words tell nothing else.

        Args:
            harmless: see `require`.

        Raises:
            TransferError: it did, or the run has failed.
        """
        child = self.spawn(*command, stdout=subprocess.PIPE, env=env)
        told = child.stdout.readall()
        child.wait()
        self.require([child], code, harmless=harmless)
        return told.decode()

    def require(self, children: Sequence[Child], code: Code, trouble: str = "", harmless: str | None = None) -> None:
        """Every one of them, which make up one pipe, has ended or ends at once, and well.

        Args:
            children: from the first of the pipe to the last.
            code: for a program of PostgreSQL whose words tell nothing else.
            trouble: what was seen to go wrong with the pipe; empty if nothing was.
            harmless: an error that pg_restore may have told and ignored; None if it was to end at the first.

        Raises:
            TransferError: one has ended badly, or there was trouble. The one that is at fault is named: those after
                it have been cut off, those before it have nobody to write to.
        """
        codes = [child.wait(GRACE if trouble else None) for child in children]
        for child in children:
            child.end()
        self.check()
        bad = [
            (child, ended)
            for child, ended in zip(children, codes, strict=True)
            if ended and not (harmless and child.harmless(harmless))
        ]
        guilty = [pair for pair in bad if pair[1] not in _CUT_OFF and "roken pipe" not in pair[0].words()]
        if guilty or bad:
            raise _error(*(guilty or bad)[0], code)
        if trouble:
            raise TransferError(Code.PIPE_BROKEN, trouble)


def _error(child: Child, ended: int, code: Code) -> TransferError:
    how = f"signal {-ended}" if ended < 0 else f"exit code {ended}"
    text = f"{child.name} ended with {how}: {child.words()}".rstrip(": ")
    return TransferError(code_of(child.name, child.words(), code), text)


_SAID = (
    (Code.NOT_PERMITTED, ("password authentication failed", "permission denied", "no pg_hba.conf entry")),
    (Code.NOT_PERMITTED, ("must be owner of", "must be superuser", "must be member of", "must be able to SET ROLE")),
    (Code.NOT_PERMITTED, ("must have admin option", "fe_sendauth: no password supplied")),
    (Code.LOCKED, ("due to lock timeout", "LOCK TABLE")),
    (Code.SERVER_LOST, ("server closed the connection", "terminating connection", "Connection refused")),
    (Code.SERVER_LOST, ("connection to server", "could not receive data from server", "no connection to the server")),
    (Code.SERVER_LOST, ("the database system is", "SSL connection has been closed", "SSL SYSCALL error")),
    (Code.SERVER_LOST, ("invalid snapshot identifier", "could not import the requested snapshot")),
)
"""What PostgreSQL's programs say, in the order in which it counts."""


def code_of(program: str, words: str, otherwise: Code) -> Code:
    """Why a program failed, from what it said; `otherwise` for one of PostgreSQL's that says nothing known."""
    if program == "age":
        return Code.WRONG_IDENTITY if "no identity matched" in words else Code.PIPE_BROKEN
    if program == "zstd":
        return Code.PIPE_BROKEN
    if 'role "' in words and '" does not exist' in words.split('role "')[1].split("\n")[0]:
        return Code.ROLE_MISSING
    return next((code for code, texts in _SAID if any(text in words for text in texts)), otherwise)
