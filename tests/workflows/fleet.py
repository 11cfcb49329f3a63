"""A fleet of nodes behind a pool, as release workflows see it through their activities.

It keeps the promises that the real activities keep (each may be repeated; the pool has a minimum) and goes wrong on
demand, so that every way a release can end is a test of seconds. Real machines: `tests/bench/test_releases.py`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from blueprint.contract import PLAN, PlanInput, Target
from blueprint.environment.app import App
from blueprint.plan import Plan
from blueprint.release import contract
from blueprint.release.contract import (
    DrainOutput,
    FactsInput,
    MarkInput,
    MigrateOutput,
    MigrationPlan,
    NodeInput,
    NodeOutput,
    PoolInput,
    PoolOutput,
    ProbeInput,
    QueueOutput,
    Site,
    SwitchOutput,
    WatchInput,
)
from blueprint.release.facts import CommitFacts, FreezeFacts, NodeFacts, ReleaseFacts, ReleaseOnNode, UnitFacts
from blueprint.release.record import Origin, ProbeRecord, ReleaseRecord
from starters.engine import Engine, Run
from tests.workflows.house import UI
from tests.workflows.stand_in import StandIn
from workflows.messages import ReleaseInput
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS

OLD, NEW = "a" * 40, "b" * 40


@dataclass
class Node:
    """One node.

    Attributes:
        current: what it runs.
        prepared: releases that are ready on it.
        bad: why releases are marked.
        irreversible: migrations without a way back that releases brought.
        released: when releases became the environment's.
        pooled: whether it is in the pool.
        reachable: whether SSH answers.
        stale: whether its units run with older settings than its disk has.
        active: whether its units run.
    """

    current: str = OLD
    prepared: set[str] = field(default_factory=lambda: {OLD})
    bad: dict[str, str] = field(default_factory=dict)
    irreversible: dict[str, str] = field(default_factory=dict)
    released: dict[str, float] = field(default_factory=lambda: {OLD: 1000.0})
    pooled: bool = True
    reachable: bool = True
    stale: bool = False
    active: bool = True


class Fleet(StandIn):
    """Nodes by name, what was done to them, and what is to go wrong.

    Its calls: "switch n1 bbbbbbbbb", "leave n1", ...

    Args:
        names: of the nodes.
        settings: of the application, besides deadlines that pass at once.
    """

    def __init__(self, names: Sequence[str], **settings: Any) -> None:
        super().__init__()
        self.nodes = {name: Node() for name in names}
        self.smallest_pool = len(names)
        """Fewest members that the pool has had."""
        self.dying: set[str] = set()
        """Nodes whose units do not stay up once they are started anew; as long as they stand here."""
        self.planned: Plan | None = None
        """What an apply finds to change."""
        self.relation: Any = "newer"
        self.freeze: FreezeFacts | None = None
        self.pending = MigrationPlan()
        app = {
            "repository": "git://git.test/app.git",
            "soak": 0.1,
            "drain": 0.1,
            "health": "http://{address}/",
        } | settings
        org = f"f{uuid.uuid4().hex[:8]}"
        target = Target(org=org, env="test", region="fr-par", zone="fr-par-1")
        self.site = Site(
            target=target, app=App.model_validate(app), nodes=tuple(names), backend="api", queues=("jobs",)
        )

    def pool(self) -> list[str]:
        """Members of the pool."""
        return [name for name, node in self.nodes.items() if node.pooled]

    def currents(self) -> list[str]:
        """What the nodes run, in order."""
        return [node.current for node in self.nodes.values()]

    async def _do(self, call: str, node: str = "") -> None:
        await super()._do(call)
        if node and not self.nodes[node].reachable:
            raise ApplicationError(f"{node} does not answer", type="ssh_unreachable", non_retryable=True)

    # -- activities --------------------------------------------------------------------------------------------

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """For a worker."""
        return [
            self.plan, self.facts, self.prepare, self.find_pending, self.migrate, self.set_pool, self.wait_balanced,
            self.drain, self.switch, self.restart, self.stop, self.check, self.watch, self.mark, self.prune,
            self.queues, self.probe,
        ]  # fmt: skip

    @activity.defn(name=PLAN.name)
    async def plan(self, input: PlanInput) -> Plan:
        """See `blueprint.contract`."""
        return self.planned or Plan(environment=input.target.environment)

    @activity.defn(name=contract.FACTS.name)
    async def facts(self, input: FactsInput) -> ReleaseFacts:
        """See `blueprint.release.contract`."""
        await self._do(f"facts {input.ref}".strip())
        commit = None
        if input.ref:
            same = all(node.current == input.ref for node in self.nodes.values())
            commit = CommitFacts(commit=input.ref, subject="a change", relation="same" if same else self.relation)
        nodes = tuple(self._node_facts(name, node) for name, node in self.nodes.items())
        return ReleaseFacts(nodes=nodes, commit=commit, freeze=self.freeze)

    def _node_facts(self, name: str, node: Node) -> NodeFacts:
        releases = tuple(
            ReleaseOnNode(
                commit=commit,
                prepared=commit in node.prepared,
                bad=node.bad.get(commit, ""),
                irreversible=node.irreversible.get(commit, ""),
                released_at=node.released.get(commit),
            )
            for commit in sorted(node.prepared | set(node.bad))
        )
        unit = UnitFacts(name="api", loaded=True, active=node.active, commit=node.current)
        return NodeFacts(
            name=name, address="10.0.0.2", reachable=node.reachable, trouble="" if node.reachable else "no answer",
            free_disk=10**10, current=node.current, releases=releases, units=(unit,), in_pool=node.pooled,
            balanced=node.pooled and node.active, restart_needed=node.stale and node.active,
        )  # fmt: skip

    @activity.defn(name=contract.PREPARE.name)
    async def prepare(self, input: NodeInput) -> NodeOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"prepare {input.node}", input.node)
        self.nodes[input.node].prepared.add(input.commit)
        return NodeOutput()

    @activity.defn(name=contract.PENDING.name)
    async def find_pending(self, input: NodeInput) -> MigrationPlan:
        """See `blueprint.release.contract`."""
        await self._do(f"pending {input.node}", input.node)
        return self.pending.model_copy(update={"backup_point": "backup-1"})

    @activity.defn(name=contract.MIGRATE.name)
    async def migrate(self, input: NodeInput) -> MigrateOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"migrate {input.node}", input.node)
        return MigrateOutput()

    @activity.defn(name=contract.SET_POOL.name)
    async def set_pool(self, input: PoolInput) -> PoolOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"leave {', '.join(input.leave)}" if input.leave else f"join {', '.join(input.join)}")
        members = (set(self.pool()) - set(input.leave)) | set(input.join)
        if len(members) < input.site.app.min_healthy:
            raise ApplicationError("too few", type="pool_too_small", non_retryable=True)
        for name, node in self.nodes.items():
            node.pooled = name in members
        self.smallest_pool = min(self.smallest_pool, len(members))
        return PoolOutput(members=tuple(self.pool()))

    @activity.defn(name=contract.WAIT_BALANCED.name)
    async def wait_balanced(self, input: PoolInput) -> PoolOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"balance {', '.join(input.join)}")
        return PoolOutput(members=tuple(self.pool()))

    @activity.defn(name=contract.DRAIN.name)
    async def drain(self, input: NodeInput) -> DrainOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"drain {input.node}", input.node)
        return DrainOutput(before=7, left=3)

    @activity.defn(name=contract.SWITCH.name)
    async def switch(self, input: NodeInput) -> SwitchOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"switch {input.node} {input.commit[:9]}", input.node)
        node = self.nodes[input.node]
        previous, node.current = node.current, input.commit
        node.active = input.node not in self.dying
        return SwitchOutput(previous=previous, connections=3)

    @activity.defn(name=contract.RESTART.name)
    async def restart(self, input: NodeInput) -> SwitchOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"restart {input.node}", input.node)
        self.nodes[input.node].stale = False
        self.nodes[input.node].active = input.node not in self.dying
        return SwitchOutput()

    @activity.defn(name=contract.STOP.name)
    async def stop(self, input: NodeInput) -> SwitchOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"stop {input.node}", input.node)
        self.nodes[input.node].active = False
        return SwitchOutput()

    @activity.defn(name=contract.CHECK.name)
    async def check(self, input: NodeInput) -> NodeOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"check {input.node} {input.commit[:9]}", input.node)
        if not self.nodes[input.node].active:
            raise ApplicationError(f"{input.node} does not run", type="unhealthy", non_retryable=True)
        return NodeOutput()

    @activity.defn(name=contract.WATCH.name)
    async def watch(self, input: WatchInput) -> NodeOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"watch {', '.join(input.nodes)}")
        return NodeOutput()

    @activity.defn(name=contract.MARK.name)
    async def mark(self, input: MarkInput) -> NodeOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"mark {input.node} {input.commit[:9]} {input.mark}", input.node)
        node = self.nodes[input.node]
        if input.mark == "irreversible":
            node.irreversible[input.commit] = input.reason
        elif input.mark == "bad":
            node.bad[input.commit] = input.reason
        else:
            node.bad.pop(input.commit, None)
            node.released[input.commit] = input.at
        return NodeOutput()

    @activity.defn(name=contract.PRUNE.name)
    async def prune(self, input: NodeInput) -> NodeOutput:
        """See `blueprint.release.contract`."""
        await self._do(f"prune {input.node}", input.node)
        return NodeOutput()

    @activity.defn(name=contract.QUEUES.name)
    async def queues(self, input: FactsInput) -> QueueOutput:
        """See `blueprint.release.contract`."""
        await self._do("queues")
        return QueueOutput(waiting={"jobs": 2})

    @activity.defn(name=contract.PROBE.name)
    async def probe(self, input: ProbeInput) -> ProbeRecord:
        """See `blueprint.release.contract`."""
        await self._do("probe")
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            return ProbeRecord(requests=5)


class FleetHouse:
    """A fleet with a worker, and the engine that works on it.

    Args:
        fleet: the nodes.
        engine: connected to the worker's task queue.
        run: gives the answer of a coroutine.
        deciding: the worker of its workflows.
    """

    def __init__(self, fleet: Fleet, engine: Engine, run: Callable[..., Any], deciding: _Working) -> None:
        self.fleet = fleet
        self.engine = engine
        self.run = run
        self.deciding = deciding

    def until_ended(self, run: Run[Any], activity_type: str, times: int) -> None:
        """Wait until so many activities of a type have ended in a run's history."""

        async def ended() -> int:
            history = await run.handle.fetch_history()
            names = {
                event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
                for event in history.events
                if event.HasField("activity_task_scheduled_event_attributes")
            }
            done = (event.activity_task_completed_event_attributes.scheduled_event_id for event in history.events)
            return sum(names.get(number) == activity_type for number in done)

        deadline = time.monotonic() + 20
        while self.run(ended()) < times:
            assert time.monotonic() < deadline, activity_type
            time.sleep(0.05)

    def request(self, ref: str = NEW, **more: Any) -> ReleaseInput:
        """A deploy of the new commit, unless told otherwise."""
        return ReleaseInput(site=self.fleet.site, ref=ref, origin=Origin(by="tests", link="http://ci.test/1"), **more)

    def begin(self, ref: str = NEW, **more: Any) -> Run[ReleaseRecord]:
        """Begin a deploy."""
        run: Run[ReleaseRecord] = self.run(self.engine.deploy(self.request(ref, **more)))
        return run

    def begin_rollback(self, ref: str = "", **more: Any) -> Run[ReleaseRecord]:
        """Begin a rollback."""
        run: Run[ReleaseRecord] = self.run(self.engine.rollback(self.request(ref, **more)))
        return run


@contextmanager
def fleet_house(home: Any, fleet: Fleet, queue: str = "") -> Iterator[FleetHouse]:
    """A worker that has a fleet in place of real nodes, beside the house's own worker.

    Args:
        home: a `House`, for its loop and its connection.
        fleet: the nodes.
        queue: where its worker listens; a queue of its own if empty.
    """
    queue = queue or f"fleet-{uuid.uuid4().hex[:8]}"
    client = home.run(Client.connect(home.address, plugins=[EnginePlugin()]))
    # Two workers: the one that decides can be away while the other one works.
    deciding = _Working(home.run, lambda: Worker(client, task_queue=queue, workflows=WORKFLOWS))
    acting = _Working(home.run, lambda: Worker(client, task_queue=queue, activities=fleet.activities))
    deciding.begin()
    acting.begin()
    try:
        yield FleetHouse(fleet, Engine(client, UI, queue), home.run, deciding)
    finally:
        deciding.end()
        acting.end()


class _Working:
    """A worker that can be stopped and started anew.

    Args:
        run: gives the answer of a coroutine.
        make: makes the worker, on the loop that runs coroutines.
    """

    def __init__(self, run: Callable[..., Any], make: Callable[[], Worker]) -> None:
        self._run = run
        self._make = make
        self._worker: Worker | None = None

    def begin(self) -> None:
        """Start it."""

        async def start() -> tuple[Worker, asyncio.Future[None]]:
            worker = self._make()
            return worker, asyncio.ensure_future(worker.run())

        self._worker, self._ending = self._run(start())

    def end(self) -> None:
        """Stop it; harmless if it does not run."""

        async def stop(worker: Worker) -> None:
            await worker.shutdown()
            await self._ending

        if self._worker:
            self._run(stop(self._worker))
            self._worker = None
