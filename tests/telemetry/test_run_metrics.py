"""What runs are counted as: from a real worker to a collector, and by the names that dashboards ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from blueprint.approval import APPROVAL
from starters.collector import Collector, collecting
from starters.render.exposition import prometheus_name
from starters.temporal_server import TemporalServer
from telemetry.catalogue import ACTIVITY, HTTP_REQUEST, LONGEST_PATH, METRICS, RETRIES, RUN, RUNS
from tests.emulator.real.local import eventually
from tests.telemetry.site import worked
from tests.telemetry.test_dashboards import asked_of_the_sdk
from tests.workflows.house import small
from workflows.identity import BLOCKED_STEP, ENVIRONMENT, NEEDS_OPERATOR, OPERATION
from workflows.open_runs import counted


def of(collector: Collector, name: str, **wanted: Any) -> list[Any]:
    """Values of a metric's points that have these attributes."""
    return [value for told, value in collector.points(name) if told.items() >= wanted.items()]


def test_a_run_is_counted(temporal: TemporalServer, tmp_path: Path) -> None:
    """Its steps, retries and calls; that it waits for a person while it does, and how it ended."""
    with collecting() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
        with worked(temporal, tmp_path / "log", **settings) as house:
            data = small(secrets={"token": {"generate": 32}})
            environment = f"{data['org']}-test"
            house.fault("POST /vpc/v2/regions/{region}/vpcs", kind="quota_exceeded", count=1)
            run = house.begin(data)
            house.until_parked(run, "create vpc.main")
            state = {"environment": environment, "operation": "apply"}
            eventually(lambda: of(collector, RUNS.name, state="parked", **state) == [1.0], "it is told as parked")
            house.fault("POST /vpc/v2/regions/{region}/private-networks", kind="throttled", count=1)
            house.run(house.engine.retry(run))
            house.result(run)
            eventually(lambda: of(collector, RUNS.name, state="parked", **state) == [0.0], "and as going on")
            eventually(lambda: of(collector, RUN.name, outcome="done", **state) == [1], "the run is counted")

        assert of(collector, LONGEST_PATH.name, **state) == [1]
        assert of(collector, RETRIES.name, **{"error.type": "throttled"}) == [1]
        assert of(collector, ACTIVITY.name, kind="vpc", activity="create", outcome="quota_exceeded") == [1]
        assert of(collector, ACTIVITY.name, kind="vpc", activity="create", outcome="done") == [1]
        assert of(
            collector, HTTP_REQUEST.name, **{"rpc.method": "VpcV2API/create_vpc", "http.response.status_code": 200}
        )

        # What leaves the process is in the catalogue, or the SDK's own, and has no attribute that is not named there.
        own = {metric.name: metric for metric in METRICS}
        everywhere = {
            "job",
            "instance",
            "namespace",
            "task_queue",
            "workflow_type",
            "activity_type",
        }
        for name in collector.metrics:
            if name in own:
                for told, _ in collector.points(name):
                    assert told.keys() <= {*own[name].attributes, *everywhere}, name
            else:
                assert name.startswith("temporal_"), name
        exported = {prometheus_name(metric.name, metric.unit, kind_of(metric)) for metric in collector.metrics.values()}
        assert asked_of_the_sdk() <= exported


def kind_of(metric: Any) -> str:
    """One of "counter", "gauge" and "histogram"."""
    data = str(metric.WhichOneof("data"))
    return {"sum": "counter"}.get(data, data)


def run(environment: str, operation: str, waits_for: str = "") -> TypedSearchAttributes:
    """The search attributes of a run."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(ENVIRONMENT, environment),
        SearchAttributePair(OPERATION, operation),
    ]
    if waits_for:
        pairs += [SearchAttributePair(NEEDS_OPERATOR, True), SearchAttributePair(BLOCKED_STEP, waits_for)]
    return TypedSearchAttributes(pairs)


def test_runs_are_counted_by_what_they_wait_for() -> None:
    """And what is over is 0, and not what it was."""
    found = [run("a-prod", "apply"), run("a-prod", "backup", "copy"), run("a-stg", "deploy", APPROVAL)]
    numbers = counted(found)
    assert {key: number for key, number in numbers.items() if number} == {
        ("a-prod", "apply", "running"): 1,
        ("a-prod", "backup", "parked"): 1,
        ("a-stg", "deploy", "approval"): 1,
    }
    assert set(counted([], numbers).values()) == {0}
