"""What the last looks found reaches every worker, whoever did them."""

from __future__ import annotations

from pathlib import Path

from starters.collector import collecting
from starters.temporal_server import TemporalServer
from telemetry.catalogue import DRIFT
from tests.emulator.real.local import eventually
from tests.telemetry.site import worked
from tests.workflows.house import request, small


def test_drift_is_told_by_a_worker_that_did_not_look(temporal: TemporalServer, tmp_path: Path) -> None:
    """One that begins only after the look is over."""
    data = small()
    environment = f"{data['org']}-test"
    with worked(temporal, tmp_path / "one") as house:
        looked = house.run(house.engine.drift(request(data)))
        assert looked.plan.changes
    with collecting() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
        with worked(temporal, tmp_path / "other", **settings):

            def told() -> list[float]:
                return [value for about, value in collector.points(DRIFT.name) if about["environment"] == environment]

            eventually(lambda: told() == [float(len(looked.plan.changes))], "the other worker tells it")
