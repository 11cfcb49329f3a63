"""Whoever looks at health, as its workflow sees them: they find all well, or cannot look."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from temporalio import activity
from temporalio.worker import Worker

from blueprint.contract import ActivityType, Target
from blueprint.health.contract import ACTIVITIES, Check, Checked, HealthSite, Inside, Queues, Traffic, Zone
from starters.engine import Engine
from tests.workflows.house import UI, House
from tests.workflows.stand_in import StandIn
from workflows.registry import WORKFLOWS


class Lookout(StandIn):
    """An environment that has something of every group.

    Its calls: "look at names", "look at traffic", ...
    """

    def __init__(self) -> None:
        super().__init__()
        self.site = HealthSite(
            target=Target(org=f"h{uuid.uuid4().hex[:8]}", env="test", region="fr-par", zone="fr-par-1"),
            zones=(Zone(name="shop.test", records=()),),
            traffic=Traffic(),
            queues=Queues(),
            inside=Inside(nodes=()),
        )

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """For a worker: one for each group, whose only check has the group's name."""
        return [self._activity(kind) for kind in ACTIVITIES]

    def _activity(self, kind: ActivityType[HealthSite, Checked]) -> Callable[..., Any]:
        group = kind.name.removeprefix("health_")

        @activity.defn(name=kind.name)
        async def look(input: HealthSite) -> Checked:
            await self._do(f"look at {group}")
            return Checked(checks=(Check(name=group, up=True),))

        return look


@contextmanager
def lookout_house(home: House, lookout: Lookout) -> Iterator[Engine]:
    """An engine whose worker has a lookout in place of the real activities, beside the house's own worker.

    Args:
        home: a `House`, for its loop and its connection.
        lookout: the lookout.
    """
    queue = f"lookout-{uuid.uuid4().hex[:8]}"

    async def start() -> tuple[Worker, asyncio.Future[None]]:
        worker = Worker(home.client, task_queue=queue, workflows=WORKFLOWS, activities=lookout.activities)
        return worker, asyncio.ensure_future(worker.run())

    async def stop() -> None:
        await worker.shutdown()
        await working

    worker, working = home.run(start())
    try:
        yield Engine(home.client, UI, queue)
    finally:
        home.run(stop())
