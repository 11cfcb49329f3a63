"""The roll: nodes change in batches, the pool never falls below its minimum, and what was touched can go back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from blueprint.release import contract
from blueprint.release.contract import NodeInput, PoolInput, Site, WatchInput
from blueprint.release.decision import ReleasePlan, short
from blueprint.release.record import NodeRecord
from workflows.failures import told
from workflows.parking import Decision, Parking
from workflows.release.timeline import Timeline

SPARE = timedelta(minutes=3)
"""What an attempt may take beyond what the file declares for it."""
BACK = "back: "
"""How the steps of the way back begin."""
BACK_CHOICES: Mapping[Decision, str] = {
    "retry": "the node's way back is tried again: mend the cause first",
    "skip": "the node stays as it is, outside the pool if it could leave it; the others go back",
    "abort": "all nodes stay as they are now, and the run fails",
}


class LeftAlone(Exception):
    """An operator wants the nodes to stay as they are."""


class Roll:
    """Carries out one release plan on the nodes.

    Args:
        site: the application.
        plan: what to do.
        members: nodes that are in the pool now.
        timeline: carries out the steps.
        parking: where a node that cannot go back waits for an operator.
        soak: seconds that a batch is watched before the next.
    """

    def __init__(
        self,
        site: Site,
        plan: ReleasePlan,
        members: Iterable[str],
        timeline: Timeline,
        parking: Parking,
        soak: float,
    ) -> None:
        self._site = site
        self._plan = plan
        self._members = set(members)
        self._timeline = timeline
        self._parking = parking
        self._soak = soak
        self._records: dict[str, NodeRecord] = {}

    @property
    def records(self) -> tuple[NodeRecord, ...]:
        """Nodes that were touched, in order."""
        return tuple(self._records.values())

    def steps(self) -> Iterable[str]:
        """Ids of the steps of the way forward, in order."""
        for batch in self._plan.batches:
            names = _listed(batch)
            away = not self._stays(batch)
            if away:
                yield f"leave {names}"
                yield from (f"drain {node}" for node in batch)
            yield from (f"switch {node}" for node in batch)
            yield from (f"check {node}" for node in batch)
            if away:
                yield f"join {names}"
            if self._site.backend:
                yield f"balance {names}"
            if self._soak:
                yield f"soak {names}"

    async def forward(self) -> None:
        """Change every batch.

        Raises:
            ActivityError: a step failed for good; what was touched stays as it is.
            Stopped: the run is to end.
        """
        for batch in self._plan.batches:
            await self._change(batch, self._plan.commit, soak=self._soak)
            for node in batch:
                self._note(node, ended=workflow.time(), result="released")

    async def back(self) -> None:
        """Bring every touched node back to the release before, the last one first, without soak.

        Raises:
            LeftAlone: an operator wants it so.
        """
        for node in reversed(list(self._records)):
            await self._back(node)

    async def _back(self, node: str) -> None:
        while True:
            try:
                await self._change((node,), self._plan.previous, prefix=BACK)
            except ActivityError as error:
                trouble = told(error)
            else:
                self._note(node, ended=workflow.time(), result="back")
                return
            decision = await self._ask(f"{BACK}{node}", trouble)
            if decision == "retry":
                continue
            self._note(node, ended=workflow.time(), result="left alone")
            if decision == "abort":
                raise LeftAlone
            return

    async def _ask(self, step: str, trouble: str) -> Decision:
        self._parking.park(step, trouble, BACK_CHOICES)
        self._timeline.parked(step, trouble)
        decision = await self._parking.decision(step)
        self._timeline.decided(
            step, "running" if decision == "retry" else "skipped" if decision == "skip" else "dropped"
        )
        return decision

    # -- one batch ---------------------------------------------------------------------------------------------

    def _stays(self, nodes: Sequence[str]) -> bool:
        """Whether the pool cannot spare these nodes, so that they change while they are in it."""
        return (
            self._plan.in_place
            or not self._site.backend
            or len(self._members.intersection(self._site.nodes).difference(nodes)) < self._site.app.min_healthy
        )

    async def _change(self, nodes: Sequence[str], commit: str, *, prefix: str = "", soak: float = 0.0) -> None:
        for node in nodes:
            if node not in self._records:
                self._records[node] = NodeRecord(node=node, began=workflow.time())
        away = not self._stays(nodes)
        if away and self._members.intersection(nodes):
            await self._pool(f"{prefix}leave", nodes, leave=tuple(nodes))
            await _all(self._drain(node, prefix) for node in nodes)
        await _all(self._switch(node, commit, prefix) for node in nodes)
        await _all(self._check(node, commit, prefix) for node in nodes)
        if away:
            await self._pool(f"{prefix}join", nodes, join=tuple(nodes))
        if self._site.backend:
            await self._balance(nodes, prefix)
        if soak:
            await self._watch(nodes, commit, soak, prefix)

    async def _pool(self, verb: str, nodes: Sequence[str], **change: tuple[str, ...]) -> None:
        title = f"{verb} the pool {self._site.backend}: {_listed(nodes)}"
        step = f"{verb} {_listed(nodes)}"
        done = await self._timeline.carry_out(step, contract.SET_POOL, PoolInput(site=self._site, **change), title)
        self._members = set(done.members)
        self._time(nodes, verb, step)

    async def _balance(self, nodes: Sequence[str], prefix: str) -> None:
        step = f"{prefix}balance {_listed(nodes)}"
        request = PoolInput(site=self._site, join=tuple(nodes))
        title = f"until the load balancer finds {_listed(nodes)} healthy"
        await self._timeline.carry_out(step, contract.WAIT_BALANCED, request, title)
        self._time(nodes, f"{prefix}balance", step)

    async def _drain(self, node: str, prefix: str) -> None:
        step = f"{prefix}drain {node}"
        title = f"until {node} has no connection, for {self._site.app.drain:g} s at most"
        attempt = timedelta(seconds=self._site.app.drain) + SPARE
        await self._timeline.carry_out(step, contract.DRAIN, self._input(node), title, attempt)
        self._time((node,), f"{prefix}drain", step)

    async def _switch(self, node: str, commit: str, prefix: str) -> None:
        step = f"{prefix}switch {node}"
        restart = self._plan.action == "restart"
        activity = contract.RESTART if restart else contract.SWITCH
        title = f"restart {node}" if restart else f"{node}: {short(commit)} instead of what it runs"
        attempt = timedelta(seconds=self._site.app.stop * len(self._site.app.units)) + SPARE
        done = await self._timeline.carry_out(step, activity, self._input(node, commit), title, attempt)
        self._note(node, closed=self._records[node].closed + done.connections)
        self._time((node,), f"{prefix}switch", step)

    async def _check(self, node: str, commit: str, prefix: str) -> None:
        step = f"{prefix}check {node}"
        attempt = timedelta(seconds=self._site.app.healthy_within) + SPARE
        title = f"until {node} runs {short(commit)} and is well"
        await self._timeline.carry_out(step, contract.CHECK, self._input(node, commit), title, attempt)
        self._time((node,), f"{prefix}check", step)

    async def _watch(self, nodes: Sequence[str], commit: str, seconds: float, prefix: str) -> None:
        step = f"{prefix}soak {_listed(nodes)}"
        request = WatchInput(site=self._site, nodes=tuple(nodes), commit=commit, seconds=seconds)
        title = f"watch {_listed(nodes)} for {seconds:g} s"
        await self._timeline.carry_out(step, contract.WATCH, request, title, timedelta(seconds=seconds) + SPARE)
        self._time(nodes, f"{prefix}soak", step)

    # -- bookkeeping -------------------------------------------------------------------------------------------

    def _input(self, node: str, commit: str = "") -> NodeInput:
        return NodeInput(site=self._site, node=node, commit=commit)

    def _note(self, node: str, **facts: Any) -> None:
        self._records[node] = self._records[node].model_copy(update=facts)

    def _time(self, nodes: Iterable[str], what: str, step: str) -> None:
        for node in nodes:
            self._note(node, seconds={**self._records[node].seconds, what: round(self._timeline.seconds(step), 2)})


async def _all(steps: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Carry out steps side by side; each comes to its end, then the first failure counts, a real one before a stop."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in sorted(
        failures, key=lambda error: not isinstance(error, ActivityError) or is_cancelled_exception(error)
    ):
        raise failure


def _listed(nodes: Sequence[str]) -> str:
    return ", ".join(nodes)
