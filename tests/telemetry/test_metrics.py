"""Metrics leave the process where OpenTelemetry's own settings say so, and only then."""

from __future__ import annotations

import gc
import os

import pytest

from starters.collector import collecting
from telemetry.catalogue import BACKUP_AGE, HTTP_REQUEST, METRICS, RETRIES
from telemetry.metrics import record, runtime
from tests.emulator.real.local import eventually


def test_metrics_arrive_with_their_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, units, attributes, buckets and headers are what OpenTelemetry's settings and conventions say."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{collector.url}/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20b")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
        made = runtime()
        assert made
        record(BACKUP_AGE, 42.5, {"environment": "", "asset": "db/equitya"})
        record(RETRIES, 2, {"error.type": "throttled"})
        record(HTTP_REQUEST, 0.02, {"http.response.status_code": 200})
        eventually(lambda: HTTP_REQUEST.name in collector.metrics, "the metrics arrive")
        # It would go on sending to an address where nobody listens any more.
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
        assert runtime() is None
        del made
        gc.collect()
    assert collector.headers["x-token"] == "a b"

    (point,) = collector.metrics[BACKUP_AGE.name].gauge.data_points
    assert point.as_double == 42.5
    [(told, _)] = collector.points(BACKUP_AGE.name)
    assert told["asset"] == "db/equitya"
    assert "environment" not in told
    assert told["job"] == "scaleway-infra"
    assert told["instance"].startswith(f"{os.getpid()}@")

    counter = collector.metrics[RETRIES.name]
    assert counter.sum.is_monotonic
    assert collector.points(RETRIES.name)[0][1] == 2

    histogram = collector.metrics[HTTP_REQUEST.name]
    assert histogram.unit == "s"
    assert tuple(histogram.histogram.data_points[0].explicit_bounds) == HTTP_REQUEST.bounds


def test_no_attribute_has_values_without_end() -> None:
    """None is named after an id, a run, a step, an address of an object or a text."""
    names = {name for metric in METRICS for name in metric.attributes}
    assert not names & {"workflow_id", "run_id", "step", "key", "url.full", "url.path", "message", "node", "commit"}
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_off(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Nothing is measured where nobody asks for it."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert runtime() is None
