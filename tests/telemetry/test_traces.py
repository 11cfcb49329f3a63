"""One connected trace for each run: every call to the outside is a span of it, and a replay adds none."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Replayer, Worker

from blueprint.release.record import Origin
from starters.engine import Engine
from starters.temporal_server import TemporalServer
from telemetry import calls
from telemetry.run_spans import RunTracing, ids_of
from tests.emulator.conftest import running
from tests.telemetry.spans import installed, sampling
from tests.telemetry.test_dashboards import searches
from tests.workflows.fleet import NEW, Fleet
from tests.workflows.house import UI, House, small
from workflows.messages import ReleaseInput
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS

QUEUE = "traced"


class TracedHouse(House):
    """A house whose client and workers write spans."""

    async def _connect(self) -> Client:
        return await Client.connect(self.address, plugins=[EnginePlugin()], interceptors=[RunTracing()])


@pytest.fixture(scope="module")
def traced(temporal: TemporalServer) -> Iterator[TracedHouse]:
    """A house with a worker."""
    with running() as api:
        house = TracedHouse(api, temporal.address, QUEUE)
        with house.working():
            yield house
        house.close()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans that this test makes."""
    exporter = InMemorySpanExporter()
    with installed(exporter):
        yield exporter


def told(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes."""
    return dict(span.attributes or {})


def of_trace(spans: InMemorySpanExporter, root: str) -> Sequence[ReadableSpan]:
    """Every span of the trace that begins with a span of that name; all of them lead there."""
    found = spans.get_finished_spans()
    (start,) = [span for span in found if span.name == root]
    assert start.context
    whole = [span for span in found if span.context and span.context.trace_id == start.context.trace_id]
    ids = {span.context.span_id for span in whole if span.context}
    astray = [span.name for span in whole if span is not start and (not span.parent or span.parent.span_id not in ids)]
    assert not astray
    return whole


def replay(house: House, handle: WorkflowHandle[Any, Any]) -> None:
    """Run a workflow's code once more over its history, as another worker would."""
    history = house.run(handle.fetch_history())
    replayer = Replayer(workflows=WORKFLOWS, plugins=[EnginePlugin()], interceptors=[RunTracing()])
    asyncio.run(replayer.replay_workflow(history))


def test_an_apply_is_one_trace(traced: TracedHouse, spans: InMemorySpanExporter) -> None:
    """From whoever starts it to each call; what the local Scaleway was asked is what spans say was asked."""
    data = small(
        secrets={"token": {"generate": 32}},
        buckets={"shop/files": {"versioning": True}},
        sqs={"queues": {"shop/orders": {}}},
        applications={"backend": {"api_key": True}},
    )
    traced.api.request("POST", "/_emulator/reset")
    traced.forget_requests()
    run = traced.begin(data)
    traced.result(run)

    trace = of_trace(spans, "StartWorkflow:Apply")
    names = Counter(span.name for span in trace)
    assert names["RunWorkflow:Apply"] == names["CompleteWorkflow:Apply"] == 1
    assert names["RunActivity:create"] > 5

    _, answer = traced.api.request("GET", "/_emulator/requests?last=20000")
    asked = Counter((entry["method"], entry["path"].partition("?")[0]) for entry in answer["requests"])
    calls = [span for span in trace if span.kind is SpanKind.CLIENT and "http.request.method" in told(span)]
    assert (
        Counter((told(span)["http.request.method"], urlsplit(told(span)["url.full"]).path) for span in calls) == asked
    )
    assert {told(span)["rpc.system.name"] for span in calls} == {"scaleway", "aws-api"}
    assert {"VpcV2API/create_vpc", "S3/CreateBucket", "SQS/CreateQueue"} <= names.keys()

    (create,) = [span for span in trace if told(span).get("scaleway_infra.step") == "create vpc.main"]
    assert (
        told(create).items()
        >= {
            "scaleway_infra.environment": f"{data['org']}-test",
            "scaleway_infra.operation": "apply",
            "scaleway_infra.resource.kind": "vpc",
            "scaleway_infra.resource.key": ("vpc.main",),
            "temporalWorkflowID": run.handle.id,
            "temporalRunID": run.handle.result_run_id,
        }.items()
    )
    (began,) = [span for span in trace if span.name == "RunWorkflow:Apply"]
    # Dashboards find the run by its first span, and none of the queries of those who watch it: each is a trace, too.
    for search in searches(environment=f"{data['org']}-test", workflow="Apply"):
        assert began.name == search.span
        assert told(began).items() >= search.attributes.items()

    text = json.dumps([span.to_json() for span in trace])
    assert not [value for value in traced.secret_values() if value in text]
    assert "?" not in "".join(told(span)["url.full"] for span in calls)

    spans.clear()
    replay(traced, run.handle)
    assert not spans.get_finished_spans()


def test_a_deploy_is_one_trace(traced: TracedHouse, spans: InMemorySpanExporter) -> None:
    """Its activities say which node they are about; a worker that forgets everything in between changes nothing."""
    fleet = Fleet(("n1", "n2"))
    queue = f"{QUEUE}-fleet"

    async def deploy() -> tuple[WorkflowHandle[Any, Any], str]:
        # Without a cache every task begins with a replay.
        worker = Worker(
            traced.client, task_queue=queue, workflows=WORKFLOWS, activities=fleet.activities, max_cached_workflows=0
        )
        async with worker:
            release = ReleaseInput(site=fleet.site, ref=NEW, origin=Origin(by="tests"))
            run = await Engine(traced.client, UI, queue).deploy(release)
            return run.handle, (await run.result()).result

    handle, result = traced.run(deploy())
    assert result == "released"
    trace = of_trace(spans, "StartWorkflow:Deploy")
    names = Counter(span.name for span in trace)
    assert names["RunWorkflow:Deploy"] == names["CompleteWorkflow:Deploy"] == 1
    # Each attempt of an activity has a span, and an attempt each activity.
    history = traced.run(handle.fetch_history())
    asked = Counter(
        f"RunActivity:{event.activity_task_scheduled_event_attributes.activity_type.name}"
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    assert asked
    assert not asked - names

    spans.clear()
    replay(traced, handle)
    assert not spans.get_finished_spans()


def test_a_run_that_nobody_traced_is_a_trace_too(traced: TracedHouse, spans: InMemorySpanExporter) -> None:
    """As one that a schedule starts: its ids follow from the run's id, so every worker knows them."""
    untraced = House(traced.api, traced.address, QUEUE)
    run = untraced.begin(small())
    untraced.result(run)
    run_id = str(run.handle.result_run_id)
    untraced.close()

    trace = of_trace(spans, "RunWorkflow:Apply")
    (root,) = [span for span in trace if span.parent is None]
    assert root.name == "RunWorkflow:Apply"
    assert root.context
    assert (root.context.trace_id, root.context.span_id) == ids_of(run_id)
    assert {"RunActivity:plan", "CompleteWorkflow:Apply"} <= {span.name for span in trace}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, StatusCode.UNSET),
        (ApplicationError("not yet", category=ApplicationErrorCategory.BENIGN), StatusCode.UNSET),
        (ApplicationError("refused"), StatusCode.ERROR),
    ],
)
def test_an_attempt_of_a_worker_that_found_no_trace(
    spans: InMemorySpanExporter, error: Exception | None, status: StatusCode
) -> None:
    """It is a part of the trace that its run would have; what is expected is no error."""

    class Next(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, input: ExecuteActivityInput) -> Any:
            if error:
                raise error

    environment = ActivityEnvironment()
    environment.info = replace(environment.info, workflow_run_id=str(uuid.uuid4()))
    attempt = RunTracing().intercept_activity(Next())
    given = ExecuteActivityInput(fn=print, args=(), executor=None, headers={})
    with pytest.raises(type(error)) if error else nullcontext():
        asyncio.run(environment.run(attempt.execute_activity, given))

    (span,) = spans.get_finished_spans()
    assert span.context
    assert span.parent
    assert (span.context.trace_id, span.parent.span_id) == ids_of(environment.info.workflow_run_id or "")
    assert told(span).get("error.type") == (getattr(error, "type", None) or type(error).__name__ if error else None)
    assert span.status.status_code is status
    assert (span.status.description or "") == ("ApplicationError: refused" if status is StatusCode.ERROR else "")


@pytest.mark.parametrize(
    ("sampler", "header", "kept"),
    [
        (ALWAYS_OFF, "01", 0),
        (ALWAYS_ON, "00", 2),
        (ParentBased(ALWAYS_OFF), "01", 2),
        (ParentBased(ALWAYS_ON), "00", 0),
        (ParentBased(ALWAYS_OFF), "", 0),
        (ParentBased(ALWAYS_ON), "", 2),
    ],
)
def test_the_sampler_decides(spans: InMemorySpanExporter, sampler: Sampler, header: str, kept: int) -> None:
    """About an attempt, with its calls; in a run whose trace is kept, or is not, or that has none."""
    sampling.to = sampler
    carrier = json.dumps({"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-{header}"}).encode()

    class Next(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, input: ExecuteActivityInput) -> Any:
            calls.http("", "GET", "http://127.0.0.1/").end()

    environment = ActivityEnvironment()
    environment.info = replace(environment.info, workflow_run_id=str(uuid.uuid4()))
    headers = {"_tracer-data": Payload(data=carrier)} if header else {}
    given = ExecuteActivityInput(fn=print, args=(), executor=None, headers=headers)
    asyncio.run(environment.run(RunTracing().intercept_activity(Next()).execute_activity, given))
    assert len(spans.get_finished_spans()) == kept


def test_the_sampler_decides_about_a_run_that_nobody_traced(traced: TracedHouse, spans: InMemorySpanExporter) -> None:
    """As about any other: with its activities and their calls, or none of it."""
    sampling.to = ParentBased(ALWAYS_OFF)
    untraced = House(traced.api, traced.address, QUEUE)
    untraced.result(untraced.begin(small()))
    untraced.close()
    assert [span.name for span in spans.get_finished_spans()] == []
