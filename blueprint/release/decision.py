"""What a release does, decided from facts alone: whether it may begin, in which batches, and what it goes back to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

from blueprint.environment.app import App
from blueprint.release.facts import NodeFacts, ReleaseFacts
from blueprint.resource import Model

LEAST_DISK = 500_000_000
"""Bytes that have to be free on a node: a release with its packages, and room for logs."""
LARGEST_CLOCK_OFFSET = 30.0
"""Seconds: with more, certificates, tokens and logs of the node are wrong."""

Action = Literal["deploy", "rollback", "restart"]


class Refusal(Model):
    """Why a release does not begin."""

    code: str
    """Stable: frozen, unreachable, older, bad, ..."""
    text: str
    """What is the matter, and with what."""
    remedy: str
    """What to do."""
    forced: bool = False
    """Whether `--force` overrules it."""


class ReleasePlan(Model):
    """What a release would do."""

    action: Action
    """deploy, rollback, or restart (the same release with other settings)."""
    commit: str
    """The release that all nodes run at the end."""
    subject: str = ""
    """First line of the commit's message."""
    previous: str = ""
    """The environment's release until now: what a failure goes back to; empty before the first."""
    batches: tuple[tuple[str, ...], ...] = ()
    """Nodes that change, in order; those of a batch together. Empty: nothing to do."""
    prepare: tuple[str, ...] = ()
    """Nodes that get the release's files first."""
    in_place: bool = False
    """Whether nodes change while they stay in the pool, because it cannot spare one: the balancer's connection retries
    cover the restart."""
    refusals: tuple[Refusal, ...] = ()
    """Why it does not begin; empty if it may."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that change, in order."""
        return tuple(node for batch in self.batches for node in batch)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that are equal for two plans exactly if they would do the same.

        In which order nodes come does not count: it follows from who is in good health at the moment.
        """
        essence = (self.action, self.commit, self.previous, self.in_place, sorted(self.nodes), sorted(self.prepare))
        return hashlib.sha256(json.dumps(essence).encode()).hexdigest()[:16]


def plan_deploy(facts: ReleaseFacts, app: App, *, force: bool = False) -> ReleasePlan:
    """What a deploy of the commit in the facts would do."""
    assert facts.commit is not None, "the ref was not resolved"
    commit = facts.commit.commit
    pooled = any(node.in_pool for node in facts.nodes)
    nodes = [node for node in facts.nodes if not node.runs(commit) or (pooled and not node.in_pool)]
    refusals = [*_of_the_environment(facts), *_of_the_commit(facts)]
    if not nodes and facts.released == commit and not any(refusal.code == "bad" for refusal in refusals):
        return ReleasePlan(action="deploy", commit=commit, subject=facts.commit.subject, previous=facts.released)
    plan = _roll("deploy", facts, app, commit, nodes or facts.nodes)
    return plan.model_copy(
        update={
            "subject": facts.commit.subject,
            "prepare": tuple(node.name for node in facts.nodes),
            "refusals": _standing([*refusals, *_of_the_nodes(facts, app, plan)], force=force),
        }
    )


def plan_rollback(facts: ReleaseFacts, app: App, to: str = "", *, force: bool = False) -> ReleasePlan:
    """What going back would do: to the named release, or to the newest good one before the current."""
    target = _named(facts, to) if to else _before(facts)
    if not target:
        what = f"no release on the nodes begins with {to}" if to else "no earlier good release is on every node"
        refusal = Refusal(code="no_target", text=what, remedy="`scaleway-infra releases` lists what is there")
        return ReleasePlan(action="rollback", commit=to, previous=facts.released, refusals=(refusal,))
    plan = _roll("rollback", facts, app, target, [node for node in facts.nodes if not node.runs(target)])
    refusals = [*_of_the_environment(facts, freeze=False), *_missing(facts, target, "release"), *_marked(facts, target)]
    if past := facts.irreversible_since(target):
        refusals.append(
            Refusal(
                code="past_migration",
                text=f"{short(target)} is older than migrations that cannot be undone: {past}",
                remedy="deploy a commit that mends it; --force goes back all the same, without the database",
                forced=True,
            )
        )
    return plan.model_copy(update={"refusals": _standing(refusals, force=force)})


def plan_restart(facts: ReleaseFacts, app: App) -> ReleasePlan:
    """What bringing the units to the settings on their disks would do; nothing where nothing is released."""
    released = facts.released
    nodes = [node for node in facts.nodes if node.restart_needed and node.reachable] if released else []
    return _roll("restart", facts, app, released, nodes)


# -- the roll ----------------------------------------------------------------------------------------------------------


def _roll(action: Action, facts: ReleaseFacts, app: App, commit: str, nodes: Sequence[NodeFacts]) -> ReleasePlan:
    total = len(facts.nodes)
    in_place = total <= app.min_healthy
    size = 1 if in_place else max(1, min(app.batch, total - app.min_healthy))
    # Those that serve nobody first: they cost nothing and prove something, and a pool keeps those that serve.
    ordered = [node.name for node in sorted(nodes, key=lambda node: (node.in_pool, node.balanced))]
    return ReleasePlan(
        action=action,
        commit=commit,
        previous=facts.released,
        in_place=in_place,
        batches=tuple(tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)),
    )


# -- what stands in the way --------------------------------------------------------------------------------------------


def _of_the_environment(facts: ReleaseFacts, *, freeze: bool = True) -> Iterator[Refusal]:
    if facts.freeze and freeze:
        since = datetime.fromtimestamp(facts.freeze.since, UTC)
        yield Refusal(
            code="frozen",
            text=f"frozen by {facts.freeze.by} since {since:%Y-%m-%d %H:%M} UTC: {facts.freeze.reason}",
            remedy="wait, or lift it: `scaleway-infra unfreeze`",
        )
    for node in facts.nodes:
        if not node.reachable:
            yield Refusal(
                code="unreachable",
                text=f"{node.name} cannot be reached: {node.trouble}",
                remedy=f"mend it, or `scaleway-infra replace` {node.name}",
            )


def _of_the_commit(facts: ReleaseFacts) -> Iterator[Refusal]:
    assert facts.commit is not None
    commit = facts.commit.commit
    yield from _marked(facts, commit)
    if facts.commit.relation in ("older", "unrelated"):
        how = "is older than" if facts.commit.relation == "older" else "does not contain"
        yield Refusal(
            code=facts.commit.relation,
            text=f"{short(commit)} {how} what runs, {short(facts.released)}",
            remedy="`scaleway-infra rollback` goes back; --force deploys it all the same",
            forced=True,
        )


def _marked(facts: ReleaseFacts, commit: str) -> Iterator[Refusal]:
    if bad := facts.bad(commit):
        yield Refusal(
            code="bad",
            text=f"{short(commit)} is marked as bad: {bad}",
            remedy="deploy a commit that mends it, or --force to try it again",
            forced=True,
        )


def _of_the_nodes(facts: ReleaseFacts, app: App, plan: ReleasePlan) -> Iterator[Refusal]:
    for node in facts.nodes:
        if node.reachable:
            yield from _of_a_node(node)
    if plan.previous:
        yield from _missing(facts, plan.previous, "rollback target")
    if not facts.balancer_ready:
        yield Refusal(code="balancer", text="the load balancer is not ready", remedy="wait, or `scaleway-infra apply`")
    if plan.in_place or not plan.previous:
        return
    for batch in plan.batches:
        left = [node for node in facts.nodes if node.balanced and node.name not in batch]
        if len(left) < app.min_healthy:
            names = ", ".join(node.name for node in left) or "no node"
            yield Refusal(
                code="too_few_healthy",
                text=f"without {', '.join(batch)} only {names} would answer; {app.min_healthy} have to",
                remedy="see `scaleway-infra releases` for what is wrong with the others",
            )
            return


def _of_a_node(node: NodeFacts) -> Iterator[Refusal]:
    if node.free_disk < LEAST_DISK:
        yield Refusal(
            code="disk_full",
            text=f"{node.name} has {node.free_disk // 1_000_000} MB free, {LEAST_DISK // 1_000_000} MB are needed",
            remedy="free some space on it",
        )
    if abs(node.clock_offset) > LARGEST_CLOCK_OFFSET:
        yield Refusal(
            code="clock",
            text=f"the clock of {node.name} is off by {node.clock_offset:.0f} s",
            remedy="see why it does not follow its time server",
        )
    missing = [unit.name for unit in node.units if not unit.loaded]
    if missing:
        yield Refusal(
            code="units_missing",
            text=f"{node.name} has no unit {', '.join(missing)}",
            remedy="declare it in the environment file, then `scaleway-infra apply`",
        )


def _missing(facts: ReleaseFacts, commit: str, what: str) -> Iterator[Refusal]:
    for node in facts.nodes:
        release = node.release(commit)
        if node.reachable and not (release and release.prepared) and node.current:
            yield Refusal(
                code="no_target",
                text=f"the {what} {short(commit)} is not on {node.name}",
                remedy="`scaleway-infra apply` brings the node to the environment's release",
                forced=what == "rollback target",
            )


def _standing(refusals: Sequence[Refusal], *, force: bool) -> tuple[Refusal, ...]:
    return tuple(refusal for refusal in refusals if not (force and refusal.forced))


# -- what to go back to ------------------------------------------------------------------------------------------------


def _before(facts: ReleaseFacts) -> str:
    """The newest good release, besides the current one, that every reachable node has.

    Where nodes were left on a release that never became the environment's, the environment's is the one before.
    """
    strayed = any(node.reachable and node.current not in ("", facts.released) for node in facts.nodes)
    if strayed and facts.released and not facts.bad(facts.released):
        return facts.released
    dated = {
        release.commit: release.released_at
        for node in facts.nodes
        for release in node.releases
        if release.released_at is not None and release.commit != facts.released
    }
    for commit in sorted(dated, key=lambda commit: dated[commit] or 0.0, reverse=True):
        if not facts.bad(commit) and not any(_missing(facts, commit, "release")):
            return commit
    return ""


def _named(facts: ReleaseFacts, start: str) -> str:
    found = {
        release.commit for node in facts.nodes for release in node.releases if release.commit.startswith(start.lower())
    }
    return found.pop() if len(found) == 1 else ""


def short(commit: str) -> str:
    """A commit as people say it."""
    return commit[:9]
