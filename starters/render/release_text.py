"""Releases for people: what a deploy would do, what a deploy did, what is on the nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from blueprint.environment.app import App
from blueprint.release.decision import ReleasePlan, short
from blueprint.release.facts import NodeFacts, ReleaseFacts
from blueprint.release.record import NodeRecord, ReleaseRecord

_RESULT_STYLES = {"released": "green", "rolled back": "yellow", "failed": "red"}


def release_plan_text(plan: ReleasePlan, app: App) -> RenderableType:
    """What would happen, how long it may take at most, and why it must not."""
    lines = [Text(f"{plan.action} of {short(plan.commit)} {plan.subject}".rstrip(), style="bold")]
    if plan.previous:
        lines.append(Text(f"  runs now: {short(plan.previous)}; a failure goes back to it"))
    if not plan.batches and not plan.refusals:
        lines.append(Text("  all nodes run it already: nothing to do"))
    how = "one after the other, each restarted in the pool" if plan.in_place else "out of the pool one batch at a time"
    for batch in plan.batches:
        lines.append(Text(f"  change {', '.join(batch)}, {how}"))
    if plan.batches:
        lines.append(
            Text(f"  at the longest {_longest(plan, app):.0f} s besides building, if nothing is retried", style="dim")
        )
    for refusal in plan.refusals:
        force = " (--force overrules)" if refusal.forced else ""
        lines += [Text(f"  ! {refusal.text}{force}", style="red"), Text(f"    -> {refusal.remedy}")]
    return Group(*lines)


def _longest(plan: ReleasePlan, app: App) -> float:
    """Seconds that the roll may take by its own deadlines."""
    drain = 0.0 if plan.in_place else app.drain
    soak = app.soak if plan.action == "deploy" else 0.0
    return len(plan.batches) * (drain + app.stop * len(app.units) + app.healthy_within + soak)


def release_record_text(record: ReleaseRecord) -> RenderableType:
    """How a deploy or rollback went, node by node."""
    head = Text(f"{record.action} of {short(record.commit)} {record.subject}: ")
    head.append(record.result, style=_RESULT_STYLES.get(record.result, ""))
    head.append(f" in {record.ended - record.started:.1f} s")
    parts: list[RenderableType] = [head]
    if record.reason:
        parts.append(Text(f"  {record.reason}"))
    if record.nodes:
        parts.append(_node_table(record.nodes))
    parts += [Text(f"  {line}") for line in facts_of(record)]
    return Group(*parts)


def facts_of(record: ReleaseRecord) -> Iterator[str]:
    """What else is to be said of a release, a line each."""
    counted = f"{record.connections_before} before, {record.connections_after} after"
    yield f"connections: {counted}; {record.closed} closed at the drain deadline"
    if record.probe:
        yield (
            f"probe: {record.probe.requests} requests, {record.probe.failed} failed, "
            f"longest pause {record.probe.longest_pause:.2f} s"
        )
    if record.migrations:
        yield f"migrations: {', '.join(record.migrations)}; backup point: {record.backup_point or 'none'}"
    for queue, before in record.queues_before.items():
        yield f"queue {queue}: {before} messages before, {record.queues_after.get(queue, 0)} after"
    if record.approval:
        yield str(record.approval)
    yield f"by {record.origin.by}" + (f", {record.origin.link}" if record.origin.link else "")


def _node_table(nodes: Sequence[NodeRecord]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    verbs = list(dict.fromkeys(verb for node in nodes for verb in node.seconds))
    for column in ("node", "ends", *verbs, "closed"):
        table.add_column(column)
    for node in nodes:
        times = (f"{node.seconds[verb]:.1f} s" if verb in node.seconds else "" for verb in verbs)
        table.add_row(node.node, node.result or "unfinished", *times, str(node.closed))
    return table


def release_markdown(record: ReleaseRecord) -> str:
    """The same for a job summary."""
    verbs = list(dict.fromkeys(verb for node in record.nodes for verb in node.seconds))
    lines = [
        f"### {record.action} {record.environment} `{short(record.commit)}`: {record.result}",
        "",
        record.subject,
        "",
        *([f"> {record.reason}", ""] if record.reason else []),
    ]
    if record.nodes:
        lines += [f"| node | ends | {' | '.join(verbs)} | closed |", "|" + "---|" * (len(verbs) + 3)]
        for node in record.nodes:
            times = " | ".join(f"{node.seconds[verb]:.1f} s" if verb in node.seconds else "" for verb in verbs)
            lines.append(f"| {node.node} | {node.result or 'unfinished'} | {times} | {node.closed} |")
        lines.append("")
    return "\n".join([*lines, *(f"- {line}" for line in facts_of(record)), ""])


def releases_text(facts: ReleaseFacts, records: Sequence[ReleaseRecord]) -> RenderableType:
    """What is on the nodes, and what was deployed lately."""
    parts: list[RenderableType] = []
    if facts.freeze:
        since = _moment(facts.freeze.since)
        parts.append(Text(f"frozen by {facts.freeze.by} since {since}: {facts.freeze.reason}", style="bold red"))
    nodes = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("node", "runs", "units", "pool", "connections", "disk free"):
        nodes.add_column(column)
    for node in facts.nodes:
        nodes.add_row(*_node_row(node))
    releases = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("release", "released", "nodes", ""):
        releases.add_column(column)
    for commit in _commits(facts):
        releases.add_row(*_release_row(facts, commit))
    runs = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("when", "what", "release", "result", "took", "closed", "by"):
        runs.add_column(column)
    for record in records:
        result = Text(record.result, style=_RESULT_STYLES.get(record.result, ""))
        took = f"{record.ended - record.started:.0f} s"
        runs.add_row(
            _moment(record.started),
            record.action,
            short(record.commit),
            result,
            took,
            str(record.closed),
            record.origin.by,
        )
    parts += [nodes, Text(), releases]
    if records:
        parts += [Text(), runs]
    return Group(*parts)


def _node_row(node: NodeFacts) -> tuple[str | Text, ...]:
    if not node.reachable:
        return node.name, Text(node.trouble, style="red"), "", "in" if node.in_pool else "out", "", ""
    units = ", ".join(f"{unit.name} {'active' if unit.active else 'not active'}" for unit in node.units)
    pool = ("in, healthy" if node.balanced else "in, not healthy") if node.in_pool else "out"
    return (
        node.name,
        short(node.current) or "nothing",
        units + (", restart needed" if node.restart_needed else ""),
        pool,
        str(node.connections),
        f"{node.free_disk / 1e9:.1f} GB",
    )


def _commits(facts: ReleaseFacts) -> list[str]:
    """Releases on the nodes, those that were released last first."""
    newest: dict[str, float] = {}
    for node in facts.nodes:
        for release in node.releases:
            newest[release.commit] = max(newest.get(release.commit, 0.0), release.released_at or 0.0)
    return sorted(newest, key=lambda commit: -newest[commit])


def _release_row(facts: ReleaseFacts, commit: str) -> tuple[str | Text, ...]:
    found = [release for node in facts.nodes if (release := node.release(commit))]
    released = max((release.released_at or 0.0 for release in found), default=0.0)
    bad = facts.bad(commit)
    remark = Text(f"bad: {bad}", style="red") if bad else Text("current" if commit == facts.released else "")
    on = sum(release.prepared for release in found)
    return short(commit), _moment(released) if released else "", f"on {on} of {len(facts.nodes)}", remark


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
