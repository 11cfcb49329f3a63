"""Deploys in a row under load: no request lost, sockets closed only in order, little time of the engine's own.

The load comes from the probe, a program of its own, through the load balancer.
"""

from __future__ import annotations

import statistics

from bench.rehearsed import ENVIRONMENT, RELEASED, Deployed, Measured, declared, measured
from bench.report import Report
from probe.report import Report as Seen
from starters.rehearsal import Traffic

NAME = "releases"
SUMMARY = "deploys in a row under load, two nodes and one; 1 -> 2 -> 1 nodes under load: 0 failed requests"

DEPLOYS, FEW, MANY = 20, 2, 10
LONGEST_SHARE = 3.0
"""Seconds that the p99.9 of a single node's requests stays under."""
OWN_SECONDS = 10.0
"""The engine's own time in a deploy to two nodes stays under this."""


async def measure(*, full: bool, rate: float = 500.0, sockets: int = 200, limits: bool = True) -> Report:
    """Deploy again and again.

    Args:
        full: twenty deploys each instead of a few.
        rate: requests per second.
        sockets: WebSockets held open.
        limits: whether times have to stay under their limits, or are only reported.
    """
    traffic = Traffic(rate=rate, sockets=sockets, jobs=2.0)
    count = DEPLOYS if full else FEW
    report = Report(("what", "requests", "failed", "p99.9 s", "pause s", "sockets 1001", "cut", "jobs lost", "own s"))
    with measured(2) as two:
        seen, deployed = _in_a_row(two, traffic, count)
        own = _own(deployed)
        _row(report, f"{count} deploys, 2 nodes", seen, deployed, own)
        report.require(not limits or own < OWN_SECONDS, f"{own:.1f} s of the engine's own")
    with measured(1) as one:
        seen, deployed = _in_a_row(one, traffic, count)
        _row(report, f"{count} deploys, 1 node", seen, deployed, _own(deployed))
        p999 = max(kind.latency.p999 for kind in seen.kinds.values())
        report.require(not limits or p999 < LONGEST_SHARE, f"p99.9 of one node is {p999:.2f} s")
        seen = _scaled(one, traffic)
        _row(report, "1 -> 2 -> 1 nodes", seen, [], 0.0)
    if full:
        with measured(MANY) as many:
            deployed = [many.deploy()]
            _row(report, f"1 deploy, {MANY} nodes, no load", None, deployed, _own(deployed))
            report.notes.append(_explained(deployed[0]))
    report.notes.append("own: time of a deploy without drains, soaks and building, median")
    return report


def _in_a_row(site: Measured, traffic: Traffic, count: int) -> tuple[Seen, list[Deployed]]:
    with site.rehearsal.load(traffic) as load:
        deployed = [site.deploy() for _ in range(count)]
        return load.end(), deployed


def _scaled(site: Measured, traffic: Traffic) -> Seen:
    """One node more, and one less, under load."""
    data = site.rehearsal.read()
    with site.rehearsal.load(traffic) as load:
        for number in (2, 1):
            data["nodes"]["core"]["count"] = number
            site.rehearsal.write(data)
            site.rehearsal.run("apply", ENVIRONMENT, "--yes", capture=True)
        return load.end()


def _own(deployed: list[Deployed]) -> float:
    """Median of what deploys took besides what the file declares, and the building."""
    own = []
    for item in deployed:
        if item.record:
            own.append(item.record.ended - item.record.started - declared(item.record) - item.record.preparing)
    return statistics.median(own) if own else 0.0


def _explained(item: Deployed) -> str:
    """Where the time of a deploy to many nodes went."""
    if item.record is None:
        return "no record"
    rolled = sum((node.ended or node.began) - node.began for node in item.record.nodes)
    total = item.record.ended - item.record.started
    rest = total - item.record.preparing - rolled
    parts = f"{item.record.preparing:.1f} preparing side by side + {rolled:.1f} rolling + {rest:.1f}"
    return f"{MANY} nodes: {total:.1f} s = {parts}"


def _row(report: Report, what: str, seen: Seen | None, deployed: list[Deployed], own: float) -> None:
    for item in deployed:
        report.require(item.code == RELEASED, f"{what}: a deploy ended with {item.code}: {item.told}")
    if seen is None:
        report.rows.append((what, "", "", "", "", "", "", "", own))
        return
    slowest = max((kind.latency.p999 for kind in seen.kinds.values()), default=0.0)
    jobs = seen.jobs
    report.rows.append(
        (
            what,
            seen.requests.sent,
            sum(seen.failures.values()),
            slowest,
            seen.longest_pause.seconds,
            seen.sockets.going_away,
            seen.sockets.cut,
            len(jobs.lost) if jobs else 0,
            own,
        )
    )
    for failure, number in seen.failures.items():
        report.require(False, f"{what}: {number} x {failure}")
    for example in seen.examples[:5]:
        report.notes.append(f"{what}: {example}")
