"""A release that goes wrong in each way, on two nodes under load: back by itself, or parked with a question.

After each way both nodes run one good release, in the pool, as if nothing had been. The engine is told what an operator
would say, by the command line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.mishaps import (
    FIRST,
    FULL_DISK,
    NO_BALANCER_API,
    POWER_CUT,
    SECOND,
    SSH_AWAY,
    SSH_LOST,
    Mishap,
    server_id,
)
from bench.rehearsed import ENVIRONMENT, FAILED, RELEASED, Measured, measured
from bench.report import Report
from blueprint.release.record import ReleaseRecord, Result
from probe.report import Report as Seen
from starters.cli.exits import Exit
from starters.rehearsal import Traffic
from starters.sample import Fault

NAME = "broken-releases"
SUMMARY = "releases that go wrong in each way, under load: back by itself or parked with a question, 0 failed requests"

TRAFFIC = Traffic(rate=200.0, sockets=100)
SOAK = "6s"
"""Longer than the release that dies in its soak lives."""
TELLS = 300.0
"""Seconds until a deploy has come to a step."""
LATE = 1.0
"""Seconds by which a probe that is late spoils what it says about pauses."""
ENDS = 900.0
"""Seconds until a deploy has ended or asks."""


@dataclass(frozen=True)
class Way:
    """How a deploy goes wrong, and how it has to end.

    Attributes:
        name: for people.
        result: what its record says in the end.
        touched: nodes whose turn had come.
        fault: of the release, if it is the release's.
        mishap: what happens to it otherwise.
        answer: what an operator says when the run asks; empty: it has to end without.
    """

    name: str
    result: Result
    touched: tuple[str, ...]
    fault: Fault | None = None
    mishap: Mishap | None = None
    answer: Literal["", "retry", "skip"] = ""


WAYS = (
    Way("does not start", "rolled back", (FIRST,), "does not start"),
    Way("dies in soak", "rolled back", (FIRST,), "dies in soak"),
    Way("disk full", "failed", (), mishap=FULL_DISK),
    Way("does not build", "failed", (), "does not build"),
    Way("fails health", "rolled back", (FIRST,), "fails health"),
    Way("migration fails", "failed", (), "migration fails"),
    Way("SSH lost for 20 s", "released", (FIRST, SECOND), mishap=SSH_AWAY),
    Way("balancer API down for 60 s", "released", (FIRST, SECOND), mishap=NO_BALANCER_API),
    Way("node powered off", "rolled back", (FIRST,), mishap=POWER_CUT, answer="retry"),
    Way("SSH lost", "failed", (FIRST,), mishap=SSH_LOST, answer="skip"),
)
FEW = 3
"""How many of them the short form tries."""


@dataclass(frozen=True)
class Ended:
    """How a deploy ended.

    Attributes:
        commit: what was deployed.
        code: of the command.
        told: what it printed.
        stake: connections that may have been lost.
        seconds: from the command's start to the end of the run, a person's part included.
    """

    commit: str
    code: int
    told: str
    stake: int
    seconds: float


async def measure(*, full: bool) -> Report:
    """Let releases go wrong.

    Args:
        full: in every way, instead of a few.
    """
    report = Report(("what", "code", "result", "seconds", "requests", "failed", "at stake", "1001", "pause s"))
    with measured(2, soak=SOAK) as site:
        good = str(site.releases()["facts"]["nodes"][0]["current"])
        for way in WAYS if full else WAYS[:FEW]:
            with site.rehearsal.load(TRAFFIC) as load:
                ended = _carry_out(site, way)
                seen = load.end()
            good = ended.commit if way.result == "released" else good
            _judge(report, site, way, ended, seen)
            _settled(report, site, way.name, good)
        for name, do in BESIDES.items():
            with site.rehearsal.load(TRAFFIC) as load:
                began = time.monotonic()
                good = do(report, site, good)
                seconds = time.monotonic() - began
                seen = load.end()
            _row(report, name, ("", "", seconds), seen)
            _settled(report, site, name, good)
    return report


# -- one way -----------------------------------------------------------------------------------------------------------


def _carry_out(site: Measured, way: Way) -> Ended:
    """One deploy that goes wrong, with what a person does about it."""
    mishap, stake, began = way.mishap, 0, time.monotonic()
    commit = site.commit(way.fault)
    if mishap and not mishap.after:
        mishap.strike(site)
    deploy = _Deploy(site, commit)
    if mishap and mishap.after:
        deploy.until(f"✓ {mishap.after} ")
        stake = mishap.stake(site)
        mishap.strike(site)
        if mishap.lasts:
            time.sleep(mishap.lasts)
            mishap.mend(site)
    code = deploy.end()
    if mishap and not mishap.lasts:
        mishap.mend(site)
    if code == Exit.OPERATOR:
        _answer(site, way.answer)
    return Ended(commit, code, deploy.told(), stake, time.monotonic() - began)


def _answer(site: Measured, answer: str) -> None:
    """Say what an operator says, and follow the run to its end."""
    if answer == "skip":
        site.rehearsal.run("skip", ENVIRONMENT, f"back: {FIRST}", "--reason", "an apply mends it", capture=True)
    else:
        site.rehearsal.run("retry", ENVIRONMENT, capture=True)
    site.rehearsal.run("watch", ENVIRONMENT, check=False, capture=True)
    if answer == "skip":
        site.rehearsal.run("apply", ENVIRONMENT, "--yes", capture=True)


class _Deploy:
    """A deploy under way, and the lines that it has printed so far."""

    def __init__(self, site: Measured, commit: str) -> None:
        self._process = site.begin(commit)
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, words: str) -> None:
        """Wait for a line with these words.

        Raises:
            TimeoutError: it does not come.
        """
        with self._more:
            if not self._more.wait_for(lambda: words in self.told(), TELLS):
                raise TimeoutError(f"no line with {words!r} in:\n{self.told()}")

    def end(self) -> int:
        """Wait until it has ended, or asks; the exit code."""
        code = self._process.wait(ENDS)
        self._reader.join(ENDS)
        return code

    def told(self) -> str:
        """All that it printed."""
        return "".join(self._lines)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()


# -- besides -----------------------------------------------------------------------------------------------------------


def _deploys(report: Report, site: Measured, good: str) -> str:
    """A good release, after all that."""
    commit = site.commit()
    done = site.deploy_commit(commit)
    report.require(done.code == RELEASED, f"a good release ends with {done.code}: {done.told}")
    return commit


def _repeats(report: Report, site: Measured, good: str) -> str:
    """The release that runs already."""
    before = len(site.releases()["records"])
    done = site.deploy_commit(good)
    report.require(done.code == RELEASED, f"the same release again ends with {done.code}: {done.told}")
    report.require(len(site.releases()["records"]) == before, "the same release again was carried out")
    return good


def _is_frozen(report: Report, site: Measured, good: str) -> str:
    """A release while nothing may be released."""
    site.rehearsal.run("freeze", ENVIRONMENT, "--reason", "Black Friday", capture=True)
    commit = site.commit()
    done = site.rehearsal.run("deploy", ENVIRONMENT, "--ref", commit, "--yes", check=False, capture=True)
    said = " ".join((done.stdout + done.stderr).split())
    report.require(done.returncode == FAILED, f"a release while frozen ends with {done.returncode}")
    report.require("frozen by" in said and "Black Friday" in said, f"frozen, and not said so: {said[-1500:]}")
    site.rehearsal.run("unfreeze", ENVIRONMENT, capture=True)
    return good


def _goes_back(report: Report, site: Measured, good: str) -> str:
    """Back to the release before, which the record of the newest one names."""
    before = _newest(site).previous
    done = site.rehearsal.run("rollback", ENVIRONMENT, "--reason", "measured", "--yes", check=False, capture=True)
    report.require(done.returncode == RELEASED, f"a rollback ends with {done.returncode}: {done.stderr[-1500:]}")
    report.require(bool(_bad(site, good)), f"{good[:9]} went, and is not marked as bad")
    return before


def _replaced(report: Report, site: Measured, good: str) -> str:
    """The second node becomes a new machine."""
    before = server_id(site, SECOND)
    done = site.rehearsal.run("replace", ENVIRONMENT, SECOND, "--yes", check=False, capture=True)
    report.require(done.returncode == RELEASED, f"a replacement ends with {done.returncode}: {done.stderr[-1500:]}")
    report.require(server_id(site, SECOND) != before, f"{SECOND} is the machine that it was")
    return good


BESIDES: Mapping[str, Callable[[Report, Measured, str], str]] = {
    "a good release": _deploys,
    "the same again": _repeats,
    "while frozen": _is_frozen,
    "rollback": _goes_back,
    "a release after it": _deploys,
    f"replace {SECOND}": _replaced,
}
"""What has to work besides; each is given the release that runs, and gives the one that has to run then."""


# -- the verdict -------------------------------------------------------------------------------------------------------


def _judge(report: Report, site: Measured, way: Way, ended: Ended, seen: Seen) -> None:
    record = _newest(site)
    code = Exit.OPERATOR if way.answer else RELEASED if way.result == "released" else FAILED
    says = f"{record.result}: {record.reason}"
    report.require(record.commit == ended.commit, f"{way.name}: the newest record is of another deploy")
    report.require(ended.code == code, f"{way.name}: ended with {ended.code}, not {code}: {ended.told[-1500:]}")
    report.require(record.result == way.result, f"{way.name}: {says}")
    touched = tuple(node.node for node in record.nodes)
    report.require(touched == way.touched, f"{way.name}: {', '.join(touched) or 'no node'} was touched: {says}")
    bad = _bad(site, ended.commit)
    report.require(bool(bad) == bool(way.fault), f"{way.name}: marked as bad: {bad or 'no'}")
    _row(report, way.name, (ended.code, record.result, ended.seconds), seen, ended.stake)
    if record.reason:
        report.notes.append(f"{way.name}: {record.reason.splitlines()[0]}")
    if way.answer:
        asked = next((line for line in ended.told.splitlines() if "waits for an operator" in line), "")
        report.require(bool(asked), f"{way.name}: nothing was asked: {ended.told[-1500:]}")
        report.notes.append(f"{way.name}, {way.answer}: {asked}")


def _row(report: Report, what: str, how: tuple[object, str, float], seen: Seen, stake: int = 0) -> None:
    sockets = seen.sockets
    report.rows.append(
        (what, *how, seen.requests.sent, seen.failed, stake, sockets.going_away, seen.longest_pause.seconds)
    )
    told = ", ".join(f"{number} x {failure}" for failure, number in seen.failures.items())
    report.require(seen.failed <= stake, f"{what}: {told}; {stake} connections were at stake")
    report.notes.extend(f"{what}: {example}" for example in seen.examples[:3])
    if seen.probe.lag_max > LATE:
        report.notes.append(f"{what}: the probe itself was up to {seen.probe.lag_max:.1f} s late: the machine is busy")


def _settled(report: Report, site: Measured, what: str, good: str) -> None:
    """Both nodes run the good release, in the pool, whatever has been."""
    for trouble in site.untidy(good):
        report.require(False, f"after {what}: {trouble}")


def _newest(site: Measured) -> ReleaseRecord:
    records = (ReleaseRecord.model_validate(item) for item in site.releases()["records"])
    return max(records, key=lambda record: record.started)


def _bad(site: Measured, commit: str) -> str:
    """Why any node says that a release is bad; empty if none does."""
    found = (release for node in site.releases()["facts"]["nodes"] for release in node["releases"])
    return next((str(item["bad"]) for item in found if item["commit"] == commit and item["bad"]), "")
