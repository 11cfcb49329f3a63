"""What a release does on one node. Each call can be repeated: twice does what once does."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from temporalio import activity

from activities.release import reports
from activities.ssh.connections import Outcome
from activities.ssh.nodes import Nodes
from activities.ssh.script import Script, Value, load
from blueprint.environment.app import EnvFile
from blueprint.errors import CommandFailed, EngineError, FailedState, Refused, Unavailable, Unhealthy, UnknownRef
from blueprint.release.contract import DrainOutput, MarkInput, MigrationPlan, Site, SwitchOutput
from blueprint.release.env_file import has_secret
from blueprint.release.facts import CommitFacts, NodeFacts

PACKAGE = "activities.release"
BUILD_SECONDS = 1500
"""For the install command, and for the one that warms up: below the longest attempt of a preparation."""
PENDING_SECONDS = 60
"""For the application to say which migrations are pending."""
NO_DISK = 50_000_000
"""Bytes: with less left, a preparation failed for want of space, which is not the release's fault."""
SEEN_WELL = 2.0
"""Seconds within which a node that is watched has to be well for the first time."""
LEAST_WAIT = 2.0
"""Seconds that a wait gets in any case: its deadline may have passed while no worker was there."""

UNHEALTHY = 3
_REFUSALS: Mapping[int, tuple[type[EngineError], str]] = {
    65: (UnknownRef, "push it, or correct the ref"),
    69: (Unavailable, "see that the nodes may fetch from it"),
    71: (FailedState, "see what it has done to the database, then deploy again"),
    75: (Refused, "see what is under way on the node, then deploy again"),
}
"""What the exit codes of the scripts stand for, and what to do. Any other says that a command failed."""


class OnNode:
    """One node of an application.

    Args:
        nodes: the way to it.
        site: the application.
        node: its name.
    """

    def __init__(self, nodes: Nodes, site: Site, node: str) -> None:
        self._nodes = nodes
        self._site = site
        self._node = node

    @property
    def address(self) -> str:
        """Its private address."""
        return self._nodes.route(self._site.target, self._node).host

    def look(self) -> NodeFacts:
        """Everything but its place in the pool."""
        app, heard = self._site.app, [0.0]
        files = [path for path in (app.env_file and app.env_file.path, app.llm_routing) if path]

        def on_line(line: str) -> None:
            if line.startswith("clock "):
                heard[0] = time.time()

        outcome = self._run(("units", "look"), on_line, files=files)
        # The node told its time somewhere between the question and the answer.
        offset = float(reports.values(outcome.output)["clock"]) - (outcome.asked + heard[0]) / 2
        return reports.node_facts(self._node, self.address, outcome.output, offset)

    def resolve(self, ref: str, released: str) -> CommitFacts:
        """What a ref leads to, and how it stands to what is released.

        Raises:
            UnknownRef: to nothing.
            Unavailable: the repository cannot be fetched.
        """
        repository = self._site.app.repository
        return reports.commit_facts(
            self._run(("repository", "resolve"), repository=repository, ref=ref, released=released).output
        )

    def prepare(self, commit: str) -> str:
        """The release's folder, installed and warmed up. Returns the end of what the commands printed.

        Raises:
            CommandFailed: a command failed.
            FailedState: the disk is full.
            Unavailable: the repository cannot be fetched.
        """
        app = self._site.app
        try:
            return self._run(
                ("repository", "prepare"),
                repository=app.repository,
                commit=commit,
                install=app.install,
                warm_up=app.warm_up or "",
                limit=BUILD_SECONDS,
            ).tail
        except (CommandFailed, Unavailable) as error:
            if self.look().free_disk > NO_DISK:
                raise
            raise FailedState(
                f"the disk is full: {error.message}", subject=self._node, remedy="free some space on it, then deploy"
            ) from None

    def pending(self, commit: str) -> MigrationPlan:
        """Which migrations a prepared release brings."""
        migrate = self._site.app.migrate
        if migrate is None:
            return MigrationPlan()
        if migrate.pending is None:
            return MigrationPlan(known=False)
        return reports.migration_plan(self._with_variables("pending", commit, migrate.pending, PENDING_SECONDS).output)

    def migrate(self, commit: str) -> str:
        """Run them. Returns the end of what the command printed."""
        migrate = self._site.app.migrate
        if migrate is None:
            return ""
        return self._with_variables("migrate", commit, migrate.command, migrate.timeout, step=_step()).tail

    def drain(self, since: float | None = None) -> DrainOutput:
        """Wait until nobody is connected any more, or the deadline is over.

        Args:
            since: when the deadline began, seconds since the epoch; with the step's first attempt if left out.
        """
        began, context = time.monotonic(), contextvars.copy_context()

        def on_line(line: str) -> None:
            if activity.in_activity():
                activity.heartbeat(f"{self._node}: {line}")

        limit = _left_of(self._site.app.drain, 0.0, since)
        outcome = self._run(("units", "drain"), lambda line: context.copy().run(on_line, line), limit=limit)
        told = reports.values(outcome.output)
        seconds = round(time.monotonic() - began, 3)
        return DrainOutput(before=int(told["before"]), left=int(told["left"]), seconds=seconds)

    def switch(self, commit: str) -> SwitchOutput:
        """Run that release instead of what runs, or find that it is so already."""
        return self._change("switch", commit)

    def restart(self) -> SwitchOutput:
        """Run the same release anew, with the settings that are on the disk now."""
        return self._change("restart")

    def stop(self) -> SwitchOutput:
        """Run nothing."""
        return self._change("stop")

    def check(self, commit: str, since: float | None = None) -> None:
        """Wait until the units run that release and the node says that it is well.

        Args:
            commit: the release.
            since: as for `drain`.

        Raises:
            Unhealthy: they do not, or not in time.
        """
        self._be_well(commit, within=_left_of(self._site.app.healthy_within, LEAST_WAIT, since), hold=0)

    def watch(self, commit: str, seconds: float) -> None:
        """See that the node stays well for so long.

        Raises:
            Unhealthy: it does not.
        """
        self._be_well(commit, within=_milliseconds(SEEN_WELL), hold=_milliseconds(seconds))

    def mark(self, input: MarkInput) -> None:
        """Note that a release is bad, or that it is the environment's."""
        reason = " ".join(input.reason.split()) or "no reason was given"
        self._run(("mark",), commit=input.commit, mark=input.mark, reason=reason, at=f"{input.at:.6f}")

    def prune(self, commit: str) -> str:
        """Remove old releases, never the current one, `commit` or the one before. Returns what was removed."""
        return self._run(("units", "prune"), commit=commit, keep=self._site.app.keep_releases).tail

    # -- scripts -----------------------------------------------------------------------------------------------

    def _change(self, action: str, commit: str = "") -> SwitchOutput:
        attempt = activity.info().attempt
        outcome = self._run(("units", "switch"), action=action, commit=commit, step=_step(), attempt=attempt)
        told = reports.values(outcome.output)
        return SwitchOutput(
            previous=told["previous"], connections=int(told["connections"]), seconds=float(told["seconds"])
        )

    def _with_variables(self, script: str, commit: str, command: str, limit: float, step: int = 0) -> Outcome:
        migrate = self._site.app.migrate
        assert migrate is not None
        return self._run(
            ("database", script),
            commit=commit,
            command=command,
            lock_timeout=_milliseconds(migrate.lock_timeout),
            statement_timeout=_milliseconds(migrate.statement_timeout),
            limit=limit,
            step=step,
        )

    def _be_well(self, commit: str, within: int, hold: int) -> None:
        health = self._site.app.health.replace("{address}", self.address)
        self._run(("units", "health"), commit=commit, health=health, within=within, hold=hold)

    def _run(
        self, names: tuple[str, ...], on_line: Callable[[str], None] = lambda line: None, **parameters: Value
    ) -> Outcome:
        app = self._site.app
        parameters |= {"env_file": app.env_file.path if app.env_file else "", "plain": _plain(app.env_file)}
        if "units" in names:
            parameters |= {"units": app.units, "grace": app.stop, "address": self.address, "port": self._port()}
        script = load(PACKAGE, "prelude", *names, directory=app.directory, user=app.user, **parameters)
        outcome = self._nodes.run(self._site.target, self._node, script, on_line, ok=(0, UNHEALTHY, *_REFUSALS))
        if outcome.status:
            raise self._failure(script, outcome)
        return outcome

    def _port(self) -> int:
        health = urlsplit(self._site.app.health.replace("{address}", self.address))
        return health.port or (443 if health.scheme == "https" else 80)

    def _failure(self, script: Script, outcome: Outcome) -> EngineError:
        """What a script's exit code stands for."""
        if outcome.status in _REFUSALS:
            error, remedy = _REFUSALS[outcome.status]
            return error(outcome.tail, subject=self._node, remedy=remedy)
        why = reports.values(outcome.output).get("why", script.name)
        return Unhealthy(f"{why}\n{outcome.tail}".rstrip(), subject=self._node)


def _plain(env_file: EnvFile | None) -> list[str]:
    """Names of variables that hold no secret; any that is not declared may."""
    return [name for name, value in env_file.values.items() if not has_secret(value)] if env_file else []


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _step() -> int:
    """What tells this step from all others, before and after it: when it was first due, in microseconds."""
    return int(activity.info().scheduled_time.timestamp() * 1_000_000)


def _left_of(seconds: float, least: float, since: float | None) -> int:
    """Milliseconds that are left of a time that began then, or with the step's first attempt."""
    waited = time.time() - (since or activity.info().scheduled_time.timestamp())
    return _milliseconds(max(seconds - waited, least))
