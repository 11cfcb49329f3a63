"""The dashboards' files: they load, name data sources that are provisioned, and ask only for what somebody exports."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from temporalio import workflow

from blueprint import alerts
from starters.observe import ENGINE, PROGRAM, observing, pages, plain, queries
from tests.alerts.declared import declared
from tests.telemetry.asked import OWN, exported_by_the_engine, metrics_of, unknown
from workflows.registry import WORKFLOWS

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
NAMES = {path.stem: json.loads(path.read_text()) for path in FILES}
HOSTMETRICS = {"system_cpu_time_seconds_total", "system_memory_usage_bytes"}
"""Of those that the OpenTelemetry Collector's hostmetrics receiver has by default; rules ask for the others."""


def asked_of_the_sdk() -> set[str]:
    """Metrics of Temporal's SDK that dashboards and rules ask for, without what a histogram adds."""
    asked = {name for dashboard in NAMES.values() for query in queries(dashboard) for name in metrics_of(query)}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked if name.startswith("temporal_")}


def panels(*types: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel that asks data sources of these types for something, with its dashboard."""
    for name, dashboard in NAMES.items():
        for panel in dashboard["panels"]:
            if panel["type"] != "row" and panel["datasource"]["type"] in types:
                yield name, panel


@dataclass(frozen=True)
class Search:
    """What a panel looks for traces by: a span of that service and name, with all of these attributes."""

    service: str
    span: str
    attributes: dict[str, str]


def searches(**variables: str) -> list[Search]:
    """What dashboards look for traces by.

    Args:
        variables: what is chosen on the dashboard.
    """
    targets = [target for _, panel in panels("jaeger") for target in panel["targets"]]
    chosen = [{name: Template(str(value)).substitute(variables) for name, value in each.items()} for each in targets]
    # Grafana reads attributes as logfmt.
    pairs = [dict(pair.split("=", 1) for pair in shlex.split(each["tags"])) for each in chosen]
    return [Search(each["service"], each["operation"], told) for each, told in zip(chosen, pairs, strict=True)]


def test_both_are_there() -> None:
    """Runs and the stack, each with a name of its own."""
    assert set(NAMES) == {"runs", "stack"}
    assert len({dashboard["uid"] for dashboard in NAMES.values()}) == 2


def test_every_data_source_is_provisioned() -> None:
    """A panel without one shows nothing, and does not say so."""
    file = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/datasources.yaml").read_text())
    provisioned = [{"type": source["type"], "uid": source["uid"]} for source in file["datasources"]]
    places = [panel for dashboard in NAMES.values() for panel in dashboard["panels"] if panel["type"] != "row"]
    places += [each for dashboard in NAMES.values() for each in dashboard["templating"]["list"] if "datasource" in each]
    for place in places:
        assert place["datasource"] in provisioned, place
        assert all(target["datasource"] == place["datasource"] for target in place.get("targets", ())), place


def test_every_metric_exists() -> None:
    """In the catalogue, or where alert rules look for it too; the SDK's are seen to arrive in `test_run_metrics`."""
    rules = " ".join(rule["expr"] for group in alerts.groups(declared()) for rule in group.rules.values())
    elsewhere = metrics_of(rules) | HOSTMETRICS
    for name, panel in panels("prometheus"):
        known = exported_by_the_engine().keys() if panel["datasource"]["uid"] == "engine" else elsewhere
        for target in panel["targets"]:
            asked = metrics_of(target["expr"])
            assert asked, target["expr"]
            missing = {metric for metric in asked - known if not metric.startswith("temporal_")}
            assert not missing | unknown(target["expr"]), (name, panel["title"])


def test_environments_are_those_of_some_metric() -> None:
    """A variable of metrics or labels that nobody exports offers nothing to choose, and its panels stay empty."""
    for name, dashboard in NAMES.items():
        for variable in (each for each in dashboard["templating"]["list"] if each["type"] == "query"):
            query = variable["query"]["query"]
            [label] = re.findall(r", (\w+)\)$", query)
            metrics = re.findall(rf"{OWN}\w+", query)
            assert metrics, (name, query)
            for metric in metrics:
                assert label in exported_by_the_engine().get(metric, ()), (name, query)


def test_newest_runs_are_looked_for_where_workers_send_them() -> None:
    """By the name that they have in the stack, and under systemd; one table for each environment that is chosen."""
    [search] = searches(environment="shop-prod", workflow="Apply")
    stack = yaml.safe_load((DEPLOY.parent / "docker-compose.temporal.yml").read_text())["services"]
    assert search.service == stack["worker"]["environment"]["OTEL_SERVICE_NAME"]
    assert f"\nOTEL_SERVICE_NAME={search.service}\n" in (DEPLOY / "example/worker.env").read_text()
    # Jaeger knows no patterns: what stands for all environments would be taken for one.
    assert [panel["repeat"] for _, panel in panels("jaeger")] == ["environment"]


def test_newest_runs_are_of_any_workflow() -> None:
    """Each that there is can be chosen; what is applied comes first."""
    [offered] = [each for each in NAMES["runs"]["templating"]["list"] if each["name"] == "workflow"]
    names = [workflow._Definition.must_from_class(each).name for each in WORKFLOWS]
    assert offered["query"].split(",") == names
    assert offered["current"]["value"] == names[0] == "Apply"


def test_a_metric_that_is_not_there_is_found() -> None:
    """The test above can fail."""
    query = 'sum by (some_other_label) (rate(scaleway_infra_no_such_thing_total{a_b_c="d"}[5m])) / x'
    assert metrics_of(query) == unknown(query) == {"scaleway_infra_no_such_thing_total"}
    assert not metrics_of(query) & exported_by_the_engine().keys()
    query = 'sum by (state, kind) (scaleway_infra_runs{operation="apply", asset!="x"}) > 0'
    assert unknown(query) == {"scaleway_infra_runs{asset}", "{kind}"}


def test_panels_do_not_overlap() -> None:
    """Each has a place of its own on a grid of 24 columns."""
    for dashboard in NAMES.values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_prometheus_draws_them(tmp_path: Path) -> None:
    """It understands every query of every dashboard, and reads the collector."""
    if shutil.which(PROGRAM) is None:
        pytest.skip("needs Debian's package prometheus")
    with observing(tmp_path) as observed:
        for dashboard in NAMES.values():
            for query in queries(dashboard):
                asked = requests.get(
                    f"{observed.prometheus_url}/api/v1/query", params={"query": plain(query)}, timeout=10
                )
                assert asked.json()["status"] == "success", (query, asked.text)
        assert set(observed.links) == {title for title, _ in pages()}
        for link in observed.links.values():
            assert requests.get(link, timeout=10).ok


def test_the_first_deploy_is_seen(tmp_path: Path) -> None:
    """A counter that begins with its first event counts it: most of what the engine does, a worker does seldom."""
    if shutil.which(PROGRAM) is None:
        pytest.skip("needs Debian's package prometheus")
    [query] = [
        target["expr"]
        for _, panel in panels("prometheus")
        if panel["title"] == "Deploys and rollbacks, by result"
        for target in panel["targets"]
    ]
    with observing(tmp_path) as observed:
        sent = ExportMetricsServiceRequest()
        scope = sent.resource_metrics.add().scope_metrics.add()
        metric = scope.metrics.add(name="scaleway_infra.deploy.duration", unit="s")
        metric.histogram.data_points.add(count=1, sum=4.0, bucket_counts=[1, 0], explicit_bounds=[10.0])
        where = observed.variables["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"]
        requests.post(where, data=sent.SerializeToString(), timeout=10).raise_for_status()
        deadline = time.monotonic() + 20
        asked = {"query": plain(query)}
        while not (found := _results(observed.prometheus_url, asked)):
            assert time.monotonic() < deadline, asked
            time.sleep(0.1)
        assert [float(item["value"][1]) for item in found] == [1.0]


def _results(url: str, asked: dict[str, str]) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/api/v1/query", params=asked, timeout=10).json()
    results: list[dict[str, Any]] = answer["data"]["result"]
    return results


def test_prometheus_has_a_page_for_each_row() -> None:
    """Every query of the engine's figures is on one, under its title, and none has more than Prometheus shows."""
    asked = [parse_qs(urlsplit(page).query) for _, page in pages()]
    drawn = [value for page in asked for name, [value] in page.items() if name.endswith(".expr")]
    assert sorted(drawn) == sorted(
        f"# {panel['title']}\n{plain(target['expr'])}"
        for _, panel in panels("prometheus")
        for target in panel["targets"]
        if panel["datasource"]["uid"] == ENGINE
    )
    assert not any("$" in query for query in drawn), "a variable of Grafana's is left"
    assert all(not any(name.startswith("g10.") for name in page) for page in asked)
