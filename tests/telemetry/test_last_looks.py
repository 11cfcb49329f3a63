"""What the last looks found reaches every worker, whoever did them, and is as old as it is."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import (
    Client,
    FetchWorkflowHistoryEventsInput,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
    WorkflowFailureError,
    WorkflowHistoryEventAsyncIterator,
)
from temporalio.common import RawValue, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from blueprint.health.contract import Check
from starters.collector import Collector, collecting
from starters.temporal_server import TemporalServer
from telemetry.catalogue import BACKUP_AGE, BACKUP_RPO, BACKUP_SIZE, DRIFT, HEALTH_UP, LOOK_AGE, RUNS, Metric
from telemetry.looks import of_checks
from telemetry.metrics import runtime
from tests.emulator.real.local import eventually
from tests.telemetry.site import worked
from tests.workflows.house import House, house, request, small
from workflows.identity import ENVIRONMENT, OPERATION
from workflows.last_looks import LastLooks
from workflows.open_runs import telling_open_runs

ASSET: dict[str, Any] = {
    "asset": "db/equitya",
    "newest": "b",
    "newest_age": 90_000.0,
    "newest_size": 5,
    "good_age": 700_000.0,
}
BACKUP = {"id": "b", "entries": [], "assets": [ASSET]}
WELL = {"checks": [{"name": "healthz", "up": True}]}
UNREADABLE = {"a field of": "another version"}


@workflow.defn(dynamic=True)
class Looked:
    """A look of any type that finds what it is told to."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Give that, or fail with it in the error's details."""
        found, fails = [workflow.payload_converter().from_payload(arg.payload) for arg in args]
        if fails:
            raise ApplicationError("it failed", *found, type="failed", non_retryable=True)
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """What this process tells."""
    with collecting() as found, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
        made = runtime()
        assert made
        yield found
        # It would go on sending to an address where nobody listens any more.
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
        assert runtime() is None
        del made
        gc.collect()


@pytest.fixture(scope="module")
def home(temporal: TemporalServer) -> Iterator[House]:
    """A house without a worker."""
    with house(temporal.address, f"looks-{uuid.uuid4().hex}") as built:
        yield built


@pytest.fixture
def environment() -> str:
    """One that nobody else has."""
    return f"t{uuid.uuid4().hex[:8]}-prod"


def of(environment: str, operation: str = "") -> TypedSearchAttributes:
    """Search attributes."""
    pairs = [SearchAttributePair(ENVIRONMENT, environment), SearchAttributePair(OPERATION, operation)]
    return TypedSearchAttributes(pairs)


def looked(home: House, name: str, environment: str, found: Any, *, fails: bool = False, times: int = 1) -> str:
    """Such looks, each after the one before; the run id of the last."""

    async def look() -> str:
        async with Worker(
            home.client, task_queue=home.task_queue, workflows=[Looked], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            for _ in range(times):
                run = await home.client.start_workflow(
                    name,
                    args=[found, fails],
                    id=f"look/{environment}/{uuid.uuid4()}",
                    task_queue=home.task_queue,
                    search_attributes=of(environment),
                )
                try:
                    await run.result()
                except WorkflowFailureError:
                    assert fails
            return str(run.result_run_id)

    return home.run(look())


def values(collector: Collector, metric: Metric, environment: str) -> list[float]:
    """What is told of an environment."""
    return [value for about, value in collector.points(metric.name) if about.get("environment") == environment]


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
                return values(collector, DRIFT, environment)

            eventually(lambda: told() == [float(len(looked.plan.changes))], "the other worker tells it")


def test_ages_go_on_while_nobody_looks(home: House, collector: Collector, environment: str) -> None:
    """A backup is older each time that it is told, and no larger. A run that says nothing changes nothing."""
    looked(home, "Backup", environment, BACKUP)
    looked(home, "Backup", environment, [], fails=True)
    looks = LastLooks(home.client)

    def told(metric: Metric) -> float:
        home.run(looks.tell())
        return next(iter(values(collector, metric, environment)), 0.0)

    eventually(lambda: told(BACKUP_AGE) > ASSET["newest_age"] + 0.5, "it is as old as it is now")
    eventually(lambda: told(BACKUP_RPO) > ASSET["good_age"] + 0.5, "and so is the one that was tried")
    assert told(BACKUP_SIZE) == ASSET["newest_size"]


def test_the_last_look_is_found_behind_those_of_others(home: House, collector: Collector, environment: str) -> None:
    """However many there were, and one that failed with what it found counts as the last."""
    looked(home, "Health", environment, WELL)
    looked(home, "Health", environment, [{"checks": [{"name": "healthz", "up": False}]}], fails=True)
    looked(home, "Health", f"{environment}-other", WELL, times=60)
    home.run(LastLooks(home.client).tell())
    eventually(lambda: values(collector, HEALTH_UP, environment) == [0.0], "it is told")
    eventually(lambda: values(collector, HEALTH_UP, f"{environment}-other") == [1.0], "and the others'")


class Interrupted(Interceptor, OutboundInterceptor):
    """Temporal goes away in the middle, before it has said how a run ended; and is back."""

    def __init__(self, run_id: str, status: RPCStatusCode) -> None:
        self._run_id = run_id
        self._status = status
        self._away = True

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Called by the client."""
        OutboundInterceptor.__init__(self, next)
        return self

    def fetch_workflow_history_events(
        self, input: FetchWorkflowHistoryEventsInput
    ) -> WorkflowHistoryEventAsyncIterator:
        """How a run ended is the last event of its history."""
        if self._away and input.run_id == self._run_id:
            self._away = False
            raise RPCError("away", self._status, b"")
        return super().fetch_workflow_history_events(input)


@pytest.mark.parametrize("status", [RPCStatusCode.UNAVAILABLE, RPCStatusCode.INTERNAL])
def test_temporal_goes_away_in_the_middle(
    home: House, collector: Collector, environment: str, status: RPCStatusCode
) -> None:
    """What had not been read by then is read the next time, however much newer what others found is."""
    run_id = looked(home, "Drift", environment, {"plan": {"environment": environment}})
    looked(home, "Drift", f"{environment}-other", {"plan": {"environment": environment}})
    client = Client(**(home.client.config() | {"interceptors": [Interrupted(run_id, status)]}))
    looks = LastLooks(client, listed_within=timedelta(0))
    with pytest.raises(RPCError):
        home.run(looks.tell())
    home.run(looks.tell())
    eventually(lambda: values(collector, DRIFT, environment) == [0.0], "it is told")


def test_a_look_that_is_lost(home: House, collector: Collector, environment: str) -> None:
    """Temporal may have forgotten what it still lists: nobody waits for that one, and the others are told."""
    looked(home, "Drift", environment, {"plan": {"environment": environment}})
    run_id = looked(home, "Drift", f"{environment}-other", {"plan": {"environment": environment}})
    lost = Interrupted(run_id, RPCStatusCode.NOT_FOUND)
    looks = LastLooks(Client(**(home.client.config() | {"interceptors": [lost]})))
    for _ in range(2):
        home.run(looks.tell())
    eventually(lambda: values(collector, DRIFT, environment) == [0.0], "it is told")
    assert values(collector, DRIFT, f"{environment}-other") == []


def test_what_nobody_looks_at_any_more(home: House, collector: Collector, environment: str) -> None:
    """A check that is gone from the file is not down for ever; one that could not be looked at is as it was."""
    looks = LastLooks(home.client)

    def told() -> dict[str, str]:
        home.run(looks.tell())
        points = collector.points(HEALTH_UP.name)
        return {about["check"]: f"{value:.0f}" for about, value in points if about.get("environment") == environment}

    down = [{"name": name, "up": False} for name in ("healthz", "websocket")]
    looked(home, "Health", environment, {"checks": down})
    eventually(lambda: told() == {"healthz": "0", "websocket": "0"}, "both are told")
    looked(home, "Health", environment, [{"checks": [down[0] | {"up": True}]}], fails=True)
    eventually(lambda: told() == {"healthz": "1", "websocket": "0"}, "of the other one nothing is new")
    looked(home, "Health", environment, {"checks": down[:1]})
    eventually(lambda: told() == {"healthz": "0", "websocket": "nan"}, "it is gone")


def test_an_asset_is_gone_while_backups_of_another_one_fail(
    home: House, collector: Collector, environment: str
) -> None:
    """A report is of every asset of the file, also at the end of a run that fails."""
    looks = LastLooks(home.client)

    def told() -> dict[str, str]:
        home.run(looks.tell())
        points = collector.points(BACKUP_SIZE.name)
        return {about["asset"]: f"{value:.0f}" for about, value in points if about.get("environment") == environment}

    looked(home, "Backup", environment, {**BACKUP, "assets": [ASSET, {**ASSET, "asset": "db/gone"}]})
    eventually(lambda: told() == {"db/equitya": "5", "db/gone": "5"}, "both are told")
    looked(home, "Backup", environment, [BACKUP], fails=True)
    eventually(lambda: told() == {"db/equitya": "5", "db/gone": "nan"}, "it is gone")


def test_what_cannot_be_read_costs_nothing_else(
    home: House, collector: Collector, environment: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Open runs are told, and so is the look before; it is logged once and not tried again."""
    looked(home, "Backup", environment, BACKUP)
    looked(home, "Backup", environment, UNREADABLE)

    def told() -> bool:
        size = values(collector, BACKUP_SIZE, environment)
        return 1.0 in values(collector, RUNS, environment) and size == [ASSET["newest_size"]]

    async def waits() -> None:
        run = await home.client.start_workflow(
            "Waits", id=environment, task_queue=f"{environment}-nobody", search_attributes=of(environment, "apply")
        )
        async with telling_open_runs(home.client):
            await asyncio.to_thread(eventually, told, "the open run is told, and the look before")
        await run.terminate()

    home.run(waits())

    caplog.clear()
    looks = LastLooks(home.client)
    for _ in range(3):
        home.run(looks.tell())
    assert len([line for line in caplog.messages if environment in line]) == 1


def test_a_look_that_is_missing(home: House, collector: Collector, environment: str) -> None:
    """A schedule that is paused; a run that could not look is no look. Without a schedule nobody has to."""
    looked(home, "Drift", environment, {"plan": {"environment": environment}})

    async def schedule() -> Any:
        action = ScheduleActionStartWorkflow("Health", id=f"{environment}/x", task_queue=home.task_queue)
        return await home.client.create_schedule(
            f"{environment}-health",
            Schedule(action=action, spec=ScheduleSpec(), state=ScheduleState(paused=True)),
            search_attributes=of(environment),
        )

    handle = home.run(schedule())
    looks = LastLooks(home.client)

    def told() -> list[float]:
        home.run(looks.tell())
        return values(collector, LOOK_AGE, environment)

    eventually(lambda: told() and told()[0] > 1.0, "nobody has looked since it was made")
    looked(home, "Health", environment, [WELL], fails=True)
    eventually(lambda: told() and values(collector, HEALTH_UP, environment), "what it found is told")
    [before] = told()
    assert before > 1.0
    looked(home, "Health", environment, WELL)
    eventually(lambda: told()[0] < before, "somebody has looked")
    home.run(handle.delete())
    eventually(lambda: [str(age) for age in told()] == ["nan"], "nobody has to look any more")


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (Check(name="tls/a.example", up=True, certificate_seconds=90.0), [90.0, 30.0]),
        (Check(name="tls/a.example", up=False), [0.0, -60.0]),
        (Check(name="healthz", up=False), []),
    ],
    ids=["good", "none that is good", "no certificate"],
)
def test_certificates(check: Check, expected: list[float]) -> None:
    """Each second has one less; without a good one, nothing is left of what was told before."""
    [*told] = (item for item in of_checks("e", [check]) if item.metric.name.endswith("certificate.remaining"))
    assert [value for item in told for value in (item.value, item.after(60.0))] == expected
