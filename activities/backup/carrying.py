"""A transfer between a database and the store: begun on a node, followed, fed with addresses, and ended.

It is a unit of its own on the node. A worker that dies leaves it running, and the next attempt goes on with it.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporalio import activity

from activities.backup.failures import failure_of
from activities.backup.on_node import PACKAGE, Reach
from activities.backup.program import archive
from activities.boundary import carry
from activities.ssh.nodes import is_to_end
from activities.ssh.script import load
from blueprint.backup.contract import TransferProgress
from blueprint.errors import CommandFailed, EngineError, Gone, NotReady, SshUnreachable, Unavailable
from transfer.files import Code, Job, State

BASE = "/run/scaleway-infra"
"""Folder on the node: in memory, gone after a boot, as the units are."""
PROPERTIES = ("Nice=10", "CPUWeight=30", "IOWeight=30", "MemoryMax=1G", "OOMScoreAdjust=500", "TimeoutStopSec=15")
"""The application's processes come first, and are the last to be killed."""
FIRST_GLANCE, GLANCE = 0.1, 1.0
"""Seconds between two looks: small databases are done within a few, and a large one needs no more than one a second."""
AGAIN = 1.0
"""Seconds before another try at a node that was lost."""


@dataclass(frozen=True)
class Transfer:
    """One transfer, whoever carries it out."""

    name: str
    """What must not be done twice at once: "dump.equitya"."""
    run: str
    """Which run of it."""
    verb: str
    """`dump` or `load`."""
    what: str
    """In words: "dump equitya"."""
    job: Callable[[], Job]
    """What to do; called just before a start, and it makes ready whatever that needs."""
    presign: Callable[[str, str, str], str]
    """An address, from a method, the name of a part and the transfer's token."""
    given_up: float
    """Seconds after which a node that was lost is given up for another one."""


@dataclass(frozen=True)
class Ended:
    """What a transfer says of itself at its end."""

    token: str
    """What its parts' names tell it apart by, from an earlier attempt's."""
    result: dict[str, Any]
    """See `transfer.files`."""
    node: str


class Carrier:
    """Carries transfers out.

    Args:
        reach: the server, and the nodes from which it is reached.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def carry_out(self, transfer: Transfer) -> Ended:
        """Begin a transfer, or go on with it, and see it through. Its files stay on the node: see `clear`.

        Raises:
            SshUnreachable: no node can be reached.
            Unavailable: it ended for want of the server, the store, or without a word; it can be begun anew.
            EngineError: it failed; see `failure_of`.
        """
        earlier = _carried_node()
        names = [name for name in self._reach.names if name != earlier]
        if earlier in self._reach.names:
            carry(TransferProgress(what=transfer.what, node=earlier).model_dump())
            try:
                return self._see_through(transfer, earlier, self._look_long(transfer, earlier))
            except (SshUnreachable, Gone):
                if not names:
                    raise
        return self._reach.on_any(lambda name: self._see_through(transfer, name, self._look(transfer, name)), names)

    def clear(self, transfer: Transfer, node: str) -> None:
        """End it, and remove what it has on the node."""
        self._script(node, "stop", transfer)

    def clear_earlier(self, transfer: Transfer) -> None:
        """As `clear`, on the node on which an earlier attempt began it."""
        if node := _carried_node():
            self.clear(transfer, node)

    def _see_through(self, transfer: Transfer, node: str, told: _Told | None) -> Ended:
        try:
            if told is None or told.state is State.FAILED or told.died:
                # Lost on the way, it may have started all the same.
                with contextlib.suppress(SshUnreachable):
                    self._start(transfer, node)
                told = self._look_long(transfer, node)
            return self._follow(transfer, node, told)
        except NotReady:
            # Whoever asked for it has changed his mind; a worker that only stops has a successor.
            if _is_cancelled():
                with contextlib.suppress(EngineError):
                    contextvars.Context().run(self.clear, transfer, node)
            raise

    def _follow(self, transfer: Transfer, node: str, told: _Told | None) -> Ended:
        pause = FIRST_GLANCE
        while True:
            if told is None:
                raise Unavailable(f"{transfer.what} is not there: the node was restarted, or lost", subject=node)
            carry(told.progress(transfer.what, node).model_dump())
            if told.state is State.DONE and told.result is not None:
                return Ended(told.token, told.result, node)
            if told.state is State.FAILED or told.died:
                self.clear(transfer, node)
                raise self._failure(transfer, told)
            if is_to_end():
                raise NotReady("the activity is to end: the transfer goes on")
            time.sleep(pause)
            pause = min(2 * pause, GLANCE)
            urls = {name: transfer.presign(told.method, name, told.token) for name in told.wants}
            told = self._look_long(transfer, node, urls)

    def _failure(self, transfer: Transfer, told: _Told) -> EngineError:
        if told.state is State.FAILED:
            code = Code(told.files["progress"]["code"] or Code.UNFORESEEN)
            message = told.files["progress"]["message"]
            version = self._reach.server.version
            return failure_of(code, message, transfer.what, version, loading=transfer.verb == "load")
        return Unavailable(
            "ended without a word: it was killed, perhaps for want of memory on the node", subject=transfer.what
        )

    # -- scripts -----------------------------------------------------------------------------------------------

    def _start(self, transfer: Transfer, node: str) -> None:
        carry(TransferProgress(what=transfer.what, node=node).model_dump())
        program, job = archive(), json.dumps(dataclasses.asdict(transfer.job())).encode()
        try:
            self._script(
                node,
                "start",
                transfer,
                data=job + program,
                token=secrets.token_hex(2),
                verb=transfer.verb,
                job_size=len(job),
                job_digest=hashlib.sha256(job).hexdigest(),
                digest=hashlib.sha256(program).hexdigest(),
                properties=PROPERTIES,
            )
        except CommandFailed as error:
            raise Unavailable(f"does not start: {error.message}", subject=transfer.what) from None

    def _look(self, transfer: Transfer, node: str, urls: dict[str, str] | None = None) -> _Told | None:
        lines = self._script(node, "look", transfer, data=json.dumps(urls).encode() if urls else b"")
        told = dict(line.split(" ", 1) for line in lines)
        if not told:
            return None
        files: dict[str, Any] = {
            name: json.loads(told[name]) for name in ("wants", "progress", "result") if name in told
        }
        return _Told(told["token"], told["state"], files)

    def _look_long(self, transfer: Transfer, node: str, urls: dict[str, str] | None = None) -> _Told | None:
        """A look at a node that may be lost for a while: what runs there goes on, and is worth waiting for."""
        until = time.monotonic() + transfer.given_up
        while True:
            try:
                return self._look(transfer, node, urls)
            except SshUnreachable:
                if time.monotonic() > until or is_to_end():
                    raise
                time.sleep(AGAIN)

    def _script(self, node: str, name: str, transfer: Transfer, data: bytes = b"", **more: Any) -> tuple[str, ...]:
        script = load(PACKAGE, name, base=BASE, name=transfer.name, run=transfer.run, **more)
        script = dataclasses.replace(script, data=data)
        return self._reach.nodes.run(self._reach.target, node, script).output


@dataclass(frozen=True)
class _Told:
    """A look at a transfer."""

    token: str
    unit: str
    files: dict[str, Any]

    @property
    def state(self) -> State:
        return State(self.files["progress"]["state"]) if "progress" in self.files else State.WAITING

    @property
    def result(self) -> dict[str, Any] | None:
        return self.files.get("result")

    @property
    def died(self) -> bool:
        """Whether nobody works at it, and it is not over."""
        return self.unit in ("inactive", "failed") and self.state in (State.WAITING, State.RUNNING)

    @property
    def wants(self) -> tuple[str, ...]:
        return tuple(self.files["wants"]["parts"]) if "wants" in self.files else ()

    @property
    def method(self) -> str:
        return str(self.files["wants"]["method"]) if "wants" in self.files else ""

    def progress(self, what: str, node: str) -> TransferProgress:
        if "progress" not in self.files:
            return TransferProgress(what=what, node=node)
        told = self.files["progress"]
        archives = [each for each in told["archives"].values() if each["tables"]]
        tables = sum(len(each["tables"]) for each in archives)
        done = sum(len(each["tables"]) for each in archives if each["state"] == State.DONE)
        total = max(told["estimate"], told["raw_bytes"])
        rate = told["rate"]
        return TransferProgress(
            what=f"{what}: {told['step']}, {done} of {tables} tables",
            done=told["raw_bytes"],
            total=total,
            rate=rate,
            left=round((total - told["raw_bytes"]) / rate, 1) if rate > 0 else None,
            node=node,
        )


def _carried_node() -> str:
    """The node on which an earlier attempt began; empty if none did."""
    details = activity.info().heartbeat_details
    return str(details[0].get("node", "")) if details and isinstance(details[0], dict) else ""


def _is_cancelled() -> bool:
    """Whether somebody asked to cancel; an attempt that was taken for dead is cancelled, too, and has a successor."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested
