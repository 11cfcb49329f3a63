"""Metrics leave the process where OpenTelemetry's own settings say so, and only then."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.emulator.real.local import eventually
from workflows.telemetry import runtime


class Received:
    """What a collector was sent.

    Attributes:
        gauges: values by name of the metric and by its attribute `asset`.
        headers: of the last request.
    """

    def __init__(self) -> None:
        self.gauges: dict[tuple[str, str], float] = {}
        self.headers: dict[str, str] = {}

    def add(self, body: bytes) -> None:
        """Note a request."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in metric.gauge.data_points:
                    asset = next((item.value.string_value for item in point.attributes if item.key == "asset"), "")
                    self.gauges[metric.name, asset] = point.as_double or point.as_int


@contextmanager
def collector() -> Iterator[tuple[str, Received]]:
    """A collector's address, and what it was sent."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/metrics":
                received.headers = {name.lower(): value for name, value in self.headers.items()}
                received.add(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_gauges_arrive_with_their_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, attributes and headers are what OpenTelemetry's settings and conventions say."""
    with collector() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{url}/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20b")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
        made = runtime()
        assert made
        made.metric_meter.create_gauge_float("scaleway_infra.backup.age").set(42.5, {"asset": "db/equitya"})
        eventually(lambda: received.gauges.get(("scaleway_infra.backup.age", "db/equitya")), "the gauge arrives")
        # It would go on sending to an address where nobody listens any more.
        del made
        gc.collect()
    assert received.gauges["scaleway_infra.backup.age", "db/equitya"] == 42.5
    assert received.headers["x-token"] == "a b"


@pytest.mark.parametrize(
    "settings",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"}],
)
def test_off(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Nothing is measured where nobody asks for it."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert runtime() is None
