"""What is said about backups, and to whom."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.backup.report import ATTEMPTS, Reports, reassure
from blueprint.backup.contract import ReportOutput, SiteInput
from telemetry.looks import of_assets
from tests.activities.backup_site import BUCKET, BackupHouse
from tests.activities.conftest import Control

ALL = ("db/shop", BUCKET, "environment")


@dataclass
class Switch:
    """A dead man's switch that answers what it is told to, in order, and then 200."""

    url: str
    answers: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def switch() -> Iterator[Switch]:
    """One that listens."""
    with listening() as found:
        yield found


@contextmanager
def listening() -> Iterator[Switch]:
    """A switch while it listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Switch(f"http://127.0.0.1:{server.server_port}/ping/s3cret")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join(10)


class Report:
    """The activity, with the metrics of what it finds."""

    def __init__(self, house: BackupHouse, dead_man: str = "") -> None:
        site = house.site.model_copy(update={"dead_man": dead_man})
        self.output: ReportOutput = ActivityEnvironment().run(Reports(house.clouds).report, SiteInput(site=site))
        self.metrics: dict[tuple[str, str], float] = {}
        for metric, value, attributes in of_assets("lssm-prod", self.output.assets):
            assert attributes["environment"] == "lssm-prod"
            self.metrics[metric.name.removeprefix("scaleway_infra.backup."), attributes["asset"]] = value

    def troubles(self) -> set[tuple[str, str]]:
        """Findings, with their assets."""
        return {(item.asset, finding.trouble) for item in self.output.assets for finding in item.findings}


@pytest.fixture
def house(emulator: Control) -> BackupHouse:
    """An empty store."""
    return BackupHouse(emulator)


def make_well(house: BackupHouse) -> None:
    """Every asset has a backup of three hours ago, drilled where drills are."""
    for asset in ALL:
        house.backup(0.125, asset, passed=None if asset == "environment" else True, content=b"four")


def test_all_is_well(house: BackupHouse, switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    """Each number is a metric of its asset, nobody is warned, and the switch is asked."""
    make_well(house)

    report = Report(house, switch.url)

    assert report.troubles() == set()
    assert switch.asked == ["/ping/s3cret"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    for asset in ALL:
        assert 10_790 <= report.metrics["age", asset] < 12_000
        assert report.metrics["size", asset] == 4
        assert report.metrics["duration", asset] == 60
        assert report.metrics["findings", asset] == 0
    assert report.metrics["rto", "db/shop"] == 3
    assert report.metrics["rpo", "db/shop"] == report.metrics["age", "db/shop"]
    assert report.metrics["drill.passed", BUCKET] == 1
    assert ("rto", "environment") not in report.metrics


def test_findings_are_events(house: BackupHouse, switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    """A line each, with a code, and the switch is not asked: silence is the alarm."""
    make_well(house)
    entry = house.backup(0.01, content=b"four", passed=False)

    report = Report(house, switch.url)

    assert report.troubles() == {("db/shop", "drill_failed")}
    assert switch.asked == []
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    told = vars(record)
    assert (told["code"], told["environment"], told["asset"]) == ("backup_drill_failed", "lssm-prod", "db/shop")
    assert entry.id in record.getMessage()
    assert report.metrics["drill.passed", "db/shop"] == 0
    assert report.metrics["findings", "db/shop"] == 1
    assert report.metrics["rpo", "db/shop"] > report.metrics["age", "db/shop"]


def test_nothing_yet(house: BackupHouse, switch: Switch) -> None:
    """An empty store is a finding of each asset."""
    report = Report(house, switch.url)
    assert report.troubles() == {(asset, "missing") for asset in ALL}
    assert switch.asked == []
    assert {name for name, _ in report.metrics} == {"findings"}


def test_a_switch_that_stumbles_is_asked_again(switch: Switch) -> None:
    """Three times in all."""
    switch.answers = [500, 503]
    assert reassure(switch.url, 0)
    switch.answers = [500] * (ATTEMPTS + 1)
    assert not reassure(switch.url, 0)
    assert len(switch.asked) == 2 * ATTEMPTS


def test_a_switch_that_is_not_there_fails_nothing(house: BackupHouse, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, without its path, which is a secret."""
    make_well(house)
    with listening() as gone:
        url = gone.url

    assert Report(house, url).troubles() == set()

    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert vars(record)["code"] == "dead_man_unreached"
    assert "s3cret" not in caplog.text
