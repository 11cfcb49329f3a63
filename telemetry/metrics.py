"""Metrics leave by Temporal's own runtime: one pipe for what the SDK measures and what the engine does."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from temporalio.common import MetricCounter, MetricGaugeFloat, MetricHistogramFloat, MetricMeter
from temporalio.runtime import LogForwardingConfig, LoggingConfig, OpenTelemetryConfig, Runtime, TelemetryConfig

from telemetry import settings
from telemetry.catalogue import METRICS, Metric

Attributes = Mapping[str, str | int]
_Instrument = MetricCounter | MetricGaugeFloat | MetricHistogramFloat


class Instruments:
    """The metrics of the catalogue on one meter, each made at its first use, and with each set of attributes.

    What is made is kept: attributes take few values, and to hand them over is most of what a point costs.

    Args:
        meter: of Temporal's runtime, of a workflow or of an activity.
    """

    def __init__(self, meter: MetricMeter) -> None:
        self._meter = meter
        self._made: dict[Metric, _Instrument] = {}
        self._series: dict[tuple[str, frozenset[tuple[str, str | int]]], _Instrument] = {}

    def record(self, metric: Metric, value: float, attributes: Attributes) -> None:
        """Set a gauge, add to a counter, or put a value into a histogram.

        Args:
            metric: which.
            value: in its unit; a counter takes whole numbers.
            attributes: empty values are left out.
        """
        key = metric.name, frozenset(attributes.items())
        instrument = self._series.get(key) or self._make(metric, key)
        if isinstance(instrument, MetricCounter):
            instrument.add(int(value))
        elif isinstance(instrument, MetricGaugeFloat):
            instrument.set(value)
        else:
            instrument.record(value)

    def _make(self, metric: Metric, key: tuple[str, frozenset[tuple[str, str | int]]]) -> _Instrument:
        makers: Mapping[str, Callable[[str, str, str], _Instrument]] = {
            "counter": self._meter.create_counter,
            "gauge": self._meter.create_gauge_float,
            "histogram": self._meter.create_histogram_float,
        }
        made = self._made.get(metric) or makers[metric.type](metric.name, metric.description, metric.unit)
        self._made[metric] = made
        present = {name: value for name, value in key[1] if value != ""}
        self._series[key] = made.with_additional_attributes(present)
        return self._series[key]


_process = Instruments(MetricMeter.noop)


def record(metric: Metric, value: float, attributes: Attributes) -> None:
    """Record for this process; nothing happens unless `runtime` has found somebody to tell. Not for workflow code.

    Args:
        metric: which.
        value: see `Instruments.record`.
        attributes: some of those that the metric names.
    """
    _process.record(metric, value, attributes)


def runtime() -> Runtime | None:
    """What carries metrics, the SDK's own and those of the engine, and the SDK's log to where ours goes.

    None if an OTLP endpoint is set for neither metrics nor logs, and the log is one for people.

    Only OTLP over HTTP: names of metrics have dots, as OpenTelemetry's conventions want them, and Temporal's own
    Prometheus endpoint drops those.
    """
    global _process
    _process = Instruments(MetricMeter.noop)
    metrics = _exported()
    if metrics is None and not settings.logs_have_fields():
        return None
    # Left to itself the SDK's core prints text between the lines of the log, which no program expects there.
    core = LogForwardingConfig(logging.getLogger("temporalio.core"))
    log = replace(LoggingConfig.default, forwarding=core if settings.logs_have_fields() else None)
    # Two workers tell the same gauges of two moments: without a name of its own, each would overwrite the other's.
    tags = {"service.name": settings.service(), "service.instance.id": f"{os.getpid()}@{socket.gethostname()}"}
    made = Runtime(telemetry=TelemetryConfig(logging=log, metrics=metrics, global_tags=tags, attach_service_name=False))
    if metrics:
        _process = Instruments(made.metric_meter)
    return made


def _exported() -> OpenTelemetryConfig | None:
    if settings.exporter("metrics") != "otlp" or not (url := settings.endpoint("metrics")):
        return None
    return OpenTelemetryConfig(
        url=url,
        headers=settings.headers("metrics"),
        metric_periodicity=timedelta(milliseconds=settings.metric_interval()),
        http=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={metric.name: metric.bounds for metric in METRICS if metric.bounds},
    )
