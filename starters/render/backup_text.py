"""Backups for people: the catalogue, how the assets are, how runs ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.contract import BucketRestoreOutput, ManagedRestoreOutput
from blueprint.backup.health import AssetHealth
from blueprint.backup.manifest import DrillRecord
from blueprint.backup.retention import RetentionPlan
from starters.render.transfer_text import duration, size
from workflows.backup.messages import BackupOutput, RestoreDatabaseOutput, RetentionOutput

_STATES = {"good": "green", "unproven": "yellow", "bad": "red"}
_MOST_KEYS = 20
"""Objects that are named one by one."""


def catalogue_text(catalogue: Catalogue, now: float) -> RenderableType:
    """Every backup, by asset, the newest first; then what failed since the newest of each."""
    table = _table("asset", "backup", "age", "size", "state", "drilled", "why it was made", "")
    last = ""
    for entry in catalogue.entries:
        drill = entry.drills[-1] if entry.drills else None
        table.add_row(
            "" if entry.asset == last else entry.asset,
            entry.id,
            duration(now - entry.point),
            size(entry.size),
            Text(entry.state, style=_STATES[entry.state]),
            f"{duration(now - drill.at)} ago" if drill else "",
            entry.reason,
            entry.damaged or "; ".join(f"pinned by {pin.by}: {pin.reason}" for pin in entry.pins),
        )
        last = entry.asset
    newest = {entry.asset: entry.started for entry in reversed(catalogue.entries)}
    failed = [
        Text(f"{item.asset}: {_moment(item.at)} failed: {item.message}", style="red")
        for item in catalogue.failures
        if item.at > newest.get(item.asset, 0.0)
    ]
    if not catalogue.entries and not failed:
        return Text("There is no backup yet: `scaleway-infra backup ENV` makes one.")
    return Group(table, *failed)


def assets_text(assets: Iterable[AssetHealth]) -> RenderableType:
    """How every asset is: its newest good backup, its newest one, its last drill; then every finding."""
    table = _table("asset", "newest good backup", "age", "size", "restore took", "newest", "drill", "")
    findings = []
    for item in assets:
        drill = {True: Text("passed", style="green"), False: Text("failed", style="red"), None: Text("")}
        table.add_row(
            item.asset,
            item.good,
            _age(item.good_age),
            size(item.good_size) if item.good else "",
            _age(item.restore_seconds),
            _age(item.newest_age),
            drill[item.drill_passed],
            Text(", ".join(finding.trouble for finding in item.findings), style="red"),
        )
        findings += [Text(f"  ! {item.asset}: {finding.text}", style="red") for finding in item.findings]
    return Group(table, *findings)


def backup_text(output: BackupOutput) -> RenderableType:
    """What a backup run made."""
    lines = [Text(f"Backup {output.id}")]
    lines += [_made(entry) for entry in output.entries]
    lines += [Text(f"  {item.asset}: no new backup: {item.message}", style="red") for item in output.failures]
    return Group(*lines)


def _made(entry: Entry) -> Text:
    return Text(f"  {entry.asset}: {size(entry.size)} in {duration(entry.ended - entry.started)}, {entry.state}")


def drills_text(records: Iterable[DrillRecord]) -> RenderableType:
    """How drills went."""
    lines = []
    for record in records:
        line = Text(f"{record.asset} {record.id}: ")
        line.append("passed" if record.passed else "failed", style="green" if record.passed else "red")
        line.append(f", {size(record.bytes)} restored and usable after {duration(record.seconds)}")
        lines += [line, *(Text(f"  ✗ {finding}", style="red") for finding in record.findings)]
        lines += [Text(f"  ✓ {checked}", style="dim") for checked in record.checked]
    return Group(*lines)


def retention_plan_text(plan: RetentionPlan) -> RenderableType:
    """What goes, what stays, and why."""
    table = _table("asset", "backup", "size", "", "why")
    last = ""
    for verdict in plan.verdicts:
        mark = Text("stays") if verdict.keep else Text("goes", style="yellow")
        asset = "" if verdict.asset == last else verdict.asset
        table.add_row(asset, verdict.id, size(verdict.size), mark, "; ".join(verdict.reasons))
        last = verdict.asset
    going = plan.deletions
    held = [Text(f"  nothing of {asset} goes: {reason}", style="yellow") for asset, reason in plan.held.items()]
    total = Text(f"{len(going)} of {len(plan.verdicts)} go, {size(sum(item.size for item in going))}")
    return Group(table, *held, total)


def retention_text(output: RetentionOutput) -> RenderableType:
    """What a retention run did."""
    swept = output.swept
    lines = [Text(f"Deleted {output.deleted} backups; {size(output.bytes + swept.bytes)} are free.")]
    if swept.objects or swept.uploads:
        lines.append(Text(f"  of runs that never ended, and of no backup: {swept.objects + swept.uploads} objects"))
    if output.locked:
        lines.append(Text(f"  {output.locked} objects are still kept by the bucket's lock", style="yellow"))
    if swept.skipped:
        unread = f"  not swept, because a backup of it cannot be read: {', '.join(swept.skipped)}"
        lines.append(Text(unread, style="yellow"))
    lines += [Text(f"  {trouble}", style="red") for trouble in output.troubles]
    return Group(*lines)


def restored_database_text(output: RestoreDatabaseOutput) -> RenderableType:
    """How the restore of a database went."""
    lines = [Text(f"{output.database} is back, as of {_moment(output.point)}" if output.point else output.database)]
    if output.bytes:
        lines.append(Text(f"  backup {output.id}: {size(output.bytes)} in {duration(output.seconds)}"))
    lines += [Text(f"  ✓ {checked}", style="dim") for checked in output.checked]
    lines += [Text(f"  ✗ {finding}", style="red") for finding in output.findings]
    lines += [Text(f"  ! only a superuser can make it, so it is not there: {item}") for item in output.left_out]
    if output.kept:
        lines.append(Text(f"  nobody could connect for {duration(output.away)}"))
        lines.append(Text(f"  what was live is kept as {output.kept}"))
    if output.safety:
        lines.append(Text(f"  backed up before: {output.safety}"))
    return Group(*lines)


def restored_bucket_text(output: BucketRestoreOutput, *, written: bool) -> RenderableType:
    """How the restore of a bucket went, or would go."""
    verb = "restored" if written else "would be restored"
    lines = [Text(f"{output.same} objects are as they were, {output.restored} {verb} ({size(output.bytes)})")]
    if output.newer:
        fate = f"{output.removed} removed" if output.removed else "left alone: --remove-newer removes them"
        lines.append(Text(f"  {output.newer} came later, {fate}"))
        lines += [Text(f"    {key}", style="dim") for key in output.newer_keys[:_MOST_KEYS]]
        if output.newer > _MOST_KEYS:
            lines.append(Text(f"    … and {output.newer - _MOST_KEYS} more", style="dim"))
    return Group(*lines)


def restored_instance_text(output: ManagedRestoreOutput, name: str) -> RenderableType:
    """The instance that was made from a snapshot."""
    return Group(
        Text(f"{name} is there: {output.address}:{output.port}, id {output.instance}"),
        Text(f"  it was open to the internet for {duration(output.closed_after)}, and is closed"),
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _age(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
