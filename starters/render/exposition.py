"""OpenTelemetry's metrics in the text form that Prometheus scrapes, with the names that a collector would give them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes"}


@dataclass(frozen=True)
class Point:
    """One series at one moment."""

    metric: Metric
    attributes: Mapping[str, Any]
    data: Any
    """A `NumberDataPoint` or a `HistogramDataPoint`."""


def prometheus_name(name: str, unit: str, type: str) -> str:
    """How a collector's Prometheus exporter calls a metric.

    Args:
        name: with dots.
        unit: in UCUM.
        type: "counter", "gauge" or "histogram".
    """
    spoken = re.sub(r"[^a-zA-Z0-9_:]+", "_", name)
    suffix = "ratio" if unit == "1" and type == "gauge" else _UNITS.get(unit, "")
    if suffix and not spoken.endswith(f"_{suffix}"):
        spoken += f"_{suffix}"
    return f"{spoken}_total" if type == "counter" and not spoken.endswith("_total") else spoken


def exposition(points: Iterable[Point]) -> str:
    """All of them, each metric with its type and its meaning."""
    by_metric: dict[str, list[Point]] = {}
    for point in points:
        by_metric.setdefault(point.metric.name, []).append(point)
    return "".join(f"{line}\n" for name in sorted(by_metric) for line in _lines(by_metric[name]))


def _lines(points: list[Point]) -> Iterator[str]:
    metric = points[0].metric
    kind = _type(metric)
    name = prometheus_name(metric.name, metric.unit, kind)
    yield f"# HELP {name} {metric.description}"
    yield f"# TYPE {name} {kind}"
    for point in points:
        if kind == "histogram":
            counts = accumulate(point.data.bucket_counts)
            for bound, count in zip((*point.data.explicit_bounds, "+Inf"), counts, strict=True):
                yield f"{name}_bucket{_labels(point.attributes, le=bound)} {count}"
            yield f"{name}_sum{_labels(point.attributes)} {point.data.sum}"
            yield f"{name}_count{_labels(point.attributes)} {point.data.count}"
        else:
            yield f"{name}{_labels(point.attributes)} {getattr(point.data, str(point.data.WhichOneof('value')))}"


def _type(metric: Metric) -> str:
    data = metric.WhichOneof("data")
    if data == "sum":
        return "counter" if metric.sum.is_monotonic else "gauge"
    return str(data)


def _labels(attributes: Mapping[str, Any], **more: Any) -> str:
    spoken = {re.sub(r"[^a-zA-Z0-9_]", "_", name): value for name, value in attributes.items()} | more
    pairs = (f"{name}={json.dumps(str(value), ensure_ascii=False)}" for name, value in sorted(spoken.items()))
    return f"{{{','.join(pairs)}}}"
