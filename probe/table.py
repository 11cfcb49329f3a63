"""The report as people read it."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from probe.report import Latency, Moment, Report

SHOWN = 10
"""Failures that are shown in full, and releases."""


def render(report: Report) -> RenderableType:
    """Lay it out: the verdict comes last, where the eye is."""
    parts: list[RenderableType] = [_requests(report), Text()]
    parts += [Text(line) for line in _lines(report)]
    for example in report.examples[:SHOWN]:
        parts.append(Text(f"  +{example.at:.2f} s {example.what}: {example.failure} {example.detail}"[:200], "red"))
    told = ", ".join(f"{count} {name}" for name, count in report.failures.items())
    parts.append(Text(f"{report.failed} failed: {told}", "bold red") if told else Text("nothing failed", "bold green"))
    return Group(*parts)


def show(report: Report, console: Console) -> None:
    """Print it."""
    console.print(render(report))


def _requests(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("requests")
    for head in ("sent", "failed", "retried", "p50 ms", "p99 ms", "p99.9 ms", "max ms"):
        table.add_column(head, justify="right")
    for name, seen in [*report.kinds.items(), ("all", report.requests)]:
        table.add_row(
            name,
            str(seen.sent),
            Text(str(seen.failed), "red" if seen.failed else ""),
            str(seen.retried),
            *_milliseconds(seen.latency),
        )
    return table


def _lines(report: Report) -> list[str]:
    sockets, jobs, own = report.sockets, report.jobs, report.probe
    lines = [
        f"arrivals for {report.seconds:.1f} s from {report.started:%Y-%m-%d %H:%M:%S} UTC",
        f"longest pause {_moment(report.longest_pause)}, longest wait {_moment(report.longest_wait)}",
    ]
    if sockets.opened or sockets.refused:
        lines += [
            f"sockets: {sockets.opened} opened, {sockets.going_away} closed with 1001, {sockets.cut} cut, "
            f"{sockets.refused} refused, longest without one {_moment(sockets.longest_gap)}",
            f"heartbeats: {sockets.heartbeats} sent, {sockets.lost} lost, {sockets.in_the_air} crossed a 1001, "
            f"echo p99 {sockets.echo.p99 * 1000:.0f} ms, max {sockets.echo.max * 1000:.0f} ms",
        ]
    for name, seen in list(report.releases.items())[:SHOWN]:
        lines.append(
            f"release {name}: {seen.requests} requests, {seen.sockets} sockets, "
            f"+{seen.first:.2f} s to +{seen.last:.2f} s"
        )
    if jobs.posted:
        lines.append(f"jobs: {jobs.posted} posted, {jobs.done} done, {len(jobs.repeated)} more than once")
    lines.append(
        f"probe: {own.cpu:.2f} cores, late by {own.lag_p99 * 1000:.0f} ms at p99, {own.lag_max * 1000:.0f} ms at most"
    )
    return lines


def _milliseconds(latency: Latency) -> list[str]:
    return [f"{seconds * 1000:.1f}" for seconds in (latency.p50, latency.p99, latency.p999, latency.max)]


def _moment(moment: Moment) -> str:
    return f"{moment.seconds * 1000:.0f} ms at +{moment.at:.2f} s"
