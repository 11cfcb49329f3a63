"""A small OpenTelemetry collector in this process: takes OTLP over HTTP, keeps the newest, shows metrics to Prometheus.

For `dev --observe` and for measurements. It is no replacement for the real one, which a team runs beside its workers:
nothing here is written anywhere, and only loopback reaches it. What comes is read when somebody looks: whoever measures
a sender beside it pays for taking bytes, as from the collector of a team, which is no Python.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from starters.child import HOST
from starters.render.exposition import Point, exposition

MOST = 100_000
"""Spans, and lines of logs, that are kept."""
MOST_UNREAD = 500
"""Requests that wait for somebody to look: with one more, all are read."""
SERIES = {"service.name": "job", "service.instance.id": "instance"}
"""What of a resource tells series apart, and what Prometheus calls it."""
STALE_SECONDS = 300.0
"""A point that nobody has sent for so long is gone: its worker is."""


class Collector:
    """What was sent.

    Attributes:
        url: its address, as OTEL_EXPORTER_OTLP_ENDPOINT takes it.
        headers: of the last request.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self._spans: deque[Span] = deque(maxlen=MOST)
        self._logs: deque[LogRecord] = deque(maxlen=MOST)
        self._metrics: dict[str, Metric] = {}
        self._points: dict[tuple[str, frozenset[tuple[str, Any]]], tuple[float, Point]] = {}
        self._unread: list[tuple[float, str, bytes]] = []
        self._lock = threading.Lock()

    @property
    def spans(self) -> list[Span]:
        """In the order in which they came."""
        with self._lock:
            self._read()
            return list(self._spans)

    @property
    def logs(self) -> list[LogRecord]:
        """Every line."""
        with self._lock:
            self._read()
            return list(self._logs)

    @property
    def metrics(self) -> dict[str, Metric]:
        """The last word about each."""
        with self._lock:
            self._read()
            return dict(self._metrics)

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The points of a metric: attributes and whose it is, and a value or a histogram's count."""
        with self._lock:
            self._read()
            found = [point for _, point in self._points.values() if point.metric.name == name]
        return [
            (dict(point.attributes), data.count if hasattr(data, "count") else data.as_double or data.as_int)
            for point in found
            for data in (point.data,)
        ]

    def exposition(self) -> str:
        """Every metric as Prometheus reads it."""
        with self._lock:
            self._read()
            now = time.monotonic()
            self._points = {key: (at, p) for key, (at, p) in self._points.items() if now - at < STALE_SECONDS}
            return exposition([point for _, point in self._points.values()])

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep what a request brings."""
        with self._lock:
            self.headers = headers
            self._unread.append((time.monotonic(), path, body))
            if len(self._unread) > MOST_UNREAD:
                self._read()

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for at, path, body in unread:
            if path == "/v1/traces":
                for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self._spans.extend(span for scope in traced.scope_spans for span in scope.spans)
            elif path == "/v1/metrics":
                for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    resource = attributes(measured.resource.attributes)
                    whose = {label: resource[name] for name, label in SERIES.items() if name in resource}
                    for metric in (metric for scope in measured.scope_metrics for metric in scope.metrics):
                        self._measure(metric, whose, at)
            elif path == "/v1/logs":
                for logged in ExportLogsServiceRequest.FromString(body).resource_logs:
                    self._logs.extend(record for scope in logged.scope_logs for record in scope.log_records)

    def _measure(self, metric: Metric, whose: dict[str, Any], at: float) -> None:
        self._metrics[metric.name] = metric
        data = getattr(metric, str(metric.WhichOneof("data")))
        for item in data.data_points:
            told = attributes(item.attributes) | whose
            self._points[metric.name, frozenset(told.items())] = at, Point(metric, told, item)


def attributes(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    """Attributes by name."""
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_plain(item) for item in value.array_value.values)
    return getattr(value, kind) if kind else None


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own; `/metrics` is for Prometheus."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self._answer(b"", "application/x-protobuf")

        def do_GET(self) -> None:
            self._answer(collector.exposition().encode(), "text/plain; version=0.0.4; charset=utf-8")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        collector = Collector(f"http://{HOST}:{server.server_port}")
        threading.Thread(target=server.serve_forever, name="collector", daemon=True).start()
        try:
            yield collector
        finally:
            server.shutdown()
