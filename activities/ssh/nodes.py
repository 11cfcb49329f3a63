"""Scripts on nodes, run from activity threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio import activity

from activities.settings import ScalewaySettings
from activities.ssh.connections import Connections, Hop, Outcome
from activities.ssh.keys import Keys
from activities.ssh.routes import Routes
from activities.ssh.script import Script
from blueprint.contract import Target
from blueprint.errors import CommandFailed, EngineError, Gone, NotReady, SshUnreachable
from telemetry.threads import Threads

if TYPE_CHECKING:
    from activities.registry import Clouds

T = TypeVar("T")
GLANCE = 0.25
"""Seconds between two looks whether the activity is to end."""


def _no_line(line: str) -> None:
    pass


class Nodes:
    """The nodes of all environments. SSH has an event loop of its own, in a thread of its own.

    Args:
        clouds: gives the way to an environment's API.
        settings: where the keys are.
    """

    def __init__(self, clouds: Clouds, settings: ScalewaySettings) -> None:
        self._clouds = clouds
        self._connections = Connections(Keys(settings.ssh_key_file, settings.ssh_agent))
        self._routes = Routes(lambda hop: self._wait(self._connections.fingerprint(hop)))
        self._known: dict[tuple[Target, str], Hop] = {}
        self._starting = threading.Lock()
        self._started: asyncio.AbstractEventLoop | None = None

    def route(self, target: Target, node: str) -> Hop:
        """How a node is reached: believed for as long as the connection stands, looked up otherwise.

        Raises:
            Gone: there is no such node, or no bastion.
            NotReady: the node has not told its host keys yet.
        """
        hop = self._known.get((target, node))
        if hop is None or not self._connections.stands(hop):
            hop = self._known[target, node] = self._routes.to(self._clouds.lifecycles(target), node)
        return hop

    def run(
        self,
        target: Target,
        node: str,
        script: Script,
        on_line: Callable[[str], None] = _no_line,
        ok: Sequence[int] = (0,),
    ) -> Outcome:
        """Run a script on a node to its end. What it says on standard error goes to the worker's log.

        Args:
            target: the environment.
            node: the node's name.
            script: what to run.
            on_line: told each line of its standard output as it comes, on another thread.
            ok: exit codes that are no failure.

        Raises:
            CommandFailed: it ended with another exit code.
            SshUnreachable: no way there, or the connection broke off: the script may still run.
            HostKeyChanged: the node, or its bastion, is another machine.
            SshKeyMissing: the worker has no key.
            NotReady: the activity, or its worker, is to end; or the node has not told its host keys yet.
        """
        outcome = self._wait(self._connections.run(self.route(target, node), script, on_line))
        if outcome.status not in ok:
            said = outcome.tail or "\n".join(outcome.output[-5:]) or "it said nothing"
            # The last line mostly says why. It comes first, since a list or a question shows no more than one line.
            *before, why = said.splitlines()
            text = "\n".join((f"{script.name} ended with exit code {outcome.status}: {why}", *before))
            raise CommandFailed(text, subject=node)
        return outcome

    def close(self) -> None:
        """Close every connection, and end the thread."""
        if self._started:
            asyncio.run_coroutine_threadsafe(self._connections.close(), self._started).result()
            self._started.call_soon_threadsafe(self._started.stop)

    def _loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._started is None:
                self._started = asyncio.new_event_loop()
                threading.Thread(target=self._started.run_forever, name="ssh", daemon=True).start()
            return self._started

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(call, self._loop())
        while True:
            try:
                return future.result(GLANCE)
            except TimeoutError:
                if future.done():
                    raise
                if is_to_end():
                    future.cancel()
                    raise NotReady("the activity is to end: what it waits for goes on") from None


def is_to_end() -> bool:
    """Whether the running activity was cancelled, or its worker stops."""
    return activity.in_activity() and (activity.is_cancelled() or activity.is_worker_shutdown())


def on_any(call: Callable[[str], T], nodes: Sequence[str]) -> T:
    """What a call gives at the first node that can be reached.

    Args:
        call: takes a node's name.
        nodes: their names, the preferred one first.

    Raises:
        SshUnreachable: none can.
    """
    failed: EngineError = Gone("the environment has no node from which its databases are reached")
    for name in nodes:
        try:
            return call(name)
        except (SshUnreachable, Gone) as error:
            failed = error
        except NotReady as error:
            # One that boots, unless it is we who are to end.
            if error.subject != name:
                raise
            failed = error
    raise failed


def side_by_side(call: Callable[[str], T], nodes: Sequence[str]) -> list[T]:
    """What a call gives for each node, all at once, in order. All end before the first error is raised."""
    if not nodes:
        return []
    with Threads(len(nodes), thread_name_prefix="node") as threads:
        calls = [threads.submit(call, node) for node in nodes]
    errors = [error for made in calls if (error := made.exception())]
    if errors:
        raise next((error for error in errors if not _may_pass(error)), errors[0])
    return [made.result() for made in calls]


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, EngineError) and error.retryable
