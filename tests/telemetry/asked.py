"""What queries of dashboards and alert rules ask for, held against what the engine exports."""

from __future__ import annotations

import re

from starters.render.exposition import prometheus_name
from telemetry.catalogue import METRICS

OWN = "scaleway_infra_"
_SERIES = r"(?<![\w\"])([a-z][a-z0-9]*(?:_[a-z0-9]+){2,})(?=[{\[\s)]|$)"
_GROUPED = r"\b(?:by|on|without|ignoring|group_left) *\(([^)]*)\)"
_EVERYWHERE = frozenset({"job", "instance"})


def metrics_of(query: str) -> set[str]:
    """Names of the metrics that a query asks for: words of at least three parts, outside of labels."""
    bare = re.sub(_GROUPED, "", re.sub(r"\{[^}]*\}", "", query))
    return {name for name in re.findall(_SERIES, bare) if name not in ("count_over_time", "last_over_time")}


def exported_by_the_engine() -> dict[str, frozenset[str]]:
    """Series of the catalogue, as Prometheus has them, with their labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in METRICS:
        name = prometheus_name(metric.name, metric.unit, metric.type)
        labels = _EVERYWHERE | {re.sub(r"\W", "_", attribute) for attribute in metric.attributes}
        if metric.type == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


def unknown(query: str) -> set[str]:
    """What a query asks the engine for, and nobody exports: metrics, and labels as `metric{label}`.

    A label by which values are grouped is one of some metric that the query asks for; `{label}` if it is not.
    """
    exported = exported_by_the_engine()
    own = {name for name in metrics_of(query) if name.startswith(OWN)}
    wrong = own - exported.keys()
    for name, matchers in re.findall(rf"\b({OWN}\w+)\{{([^}}]*)\}}", query):
        asked = set(re.findall(r"(\w+) *(?:=~|!~|!=|=) *\"", matchers))
        wrong |= {f"{name}{{{label}}}" for label in asked - exported.get(name, asked)}
    if own and own == metrics_of(query) and not wrong & own:
        grouped = {label.strip() for labels in re.findall(_GROUPED, query) for label in labels.split(",")} - {""}
        known = frozenset().union(*(exported[name] for name in own))
        wrong |= {f"{{{label}}}" for label in grouped - known}
    return wrong
