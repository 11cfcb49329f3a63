"""The activities of a release: see `blueprint.release.contract`."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Sequence

from temporalio import activity

from activities.polling import poll
from activities.registry import Clouds
from activities.release.balancer import Balancer
from activities.release.on_node import OnNode
from activities.release.pool import members_after, names_of
from activities.release.surroundings import backup_point, freeze_of, messages_in
from activities.ssh.nodes import is_to_end, side_by_side
from activities.ssh.routes import addresses_of
from blueprint.errors import EngineError, NotReady, SshUnreachable, Unhealthy
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
    QueueOutput,
    Site,
    SwitchOutput,
    WatchInput,
)
from blueprint.release.facts import CommitFacts, NodeFacts, ReleaseFacts

AFTER_A_SOAK = 10.0
"""Seconds that the load balancer has to agree that nodes are well, once these have said so to the end."""


class Releases:
    """What workflows do to nodes and pools.

    Args:
        clouds: gives an environment's way to Scaleway and to its nodes.
    """

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._writing: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    # -- looks -------------------------------------------------------------------------------------------------

    @activity.defn(name=contract.FACTS.name, no_thread_cancel_exception=True)
    def facts(self, input: FactsInput) -> ReleaseFacts:
        """Look at nodes, pool, freeze and commit.

        Raises:
            UnknownRef: the ref leads to nothing.
            Unavailable: Scaleway, Temporal or the repository do not answer.
        """
        site = input.site
        cloud = self._clouds.cloud(site.target)
        freeze = freeze_of(cloud.temporal, site.target.environment)
        found = side_by_side(lambda node: self._look(site, node), site.nodes)
        facts = ReleaseFacts(nodes=tuple(found), freeze=freeze)
        if site.backend:
            balancer = Balancer(cloud, site.backend)
            pool = balancer.look()
            healthy = balancer.healthy(pool)
            addresses = addresses_of(self._clouds.lifecycles(site.target), site.nodes)
            nodes = (
                node.model_copy(
                    update={
                        "address": addresses.get(node.name, ""),
                        "in_pool": addresses.get(node.name) in pool.members,
                        "balanced": addresses.get(node.name) in healthy,
                    }
                )
                for node in found
            )
            facts = facts.model_copy(update={"nodes": tuple(nodes), "balancer_ready": pool.ready})
        return facts.model_copy(update={"commit": self._resolve(site, input.ref, facts)}) if input.ref else facts

    def _look(self, site: Site, node: str) -> NodeFacts:
        try:
            try:
                return self._on(site, node).look()
            except SshUnreachable:
                # A connection that was kept may be broken without our knowing; a new one tells.
                return self._on(site, node).look()
        except EngineError as error:
            if is_to_end():
                raise
            return NodeFacts(name=node, reachable=False, trouble=error.message)

    def _resolve(self, site: Site, ref: str, facts: ReleaseFacts) -> CommitFacts | None:
        reachable = next((node.name for node in facts.nodes if node.reachable), None)
        return self._on(site, reachable).resolve(ref, facts.released) if reachable else None

    @activity.defn(name=contract.QUEUES.name, no_thread_cancel_exception=True)
    def queues(self, input: FactsInput) -> QueueOutput:
        """How many messages wait in the environment's queues."""
        if not input.site.queues:
            return QueueOutput()
        return messages_in(self._clouds.cloud(input.site.target), input.site.queues)

    # -- what no traffic notices -------------------------------------------------------------------------------

    @activity.defn(name=contract.PREPARE.name, no_thread_cancel_exception=True)
    def prepare(self, input: NodeInput) -> NodeOutput:
        """Fetch, check out, install, warm up."""
        return NodeOutput(log=self._on(input.site, input.node).prepare(input.commit))

    @activity.defn(name=contract.PENDING.name, no_thread_cancel_exception=True)
    def pending(self, input: NodeInput) -> MigrationPlan:
        """Ask the new release which migrations it brings, and note the backup point."""
        found = self._on(input.site, input.node).pending(input.commit)
        if found.known and not found.pending:
            return found
        point = backup_point(self._clouds.cloud(input.site.target), activity.info().scheduled_time)
        return found.model_copy(update={"backup_point": point})

    @activity.defn(name=contract.MIGRATE.name, no_thread_cancel_exception=True)
    def migrate(self, input: NodeInput) -> MigrateOutput:
        """Run the migrations."""
        return MigrateOutput(log=self._on(input.site, input.node).migrate(input.commit))

    @activity.defn(name=contract.MARK.name, no_thread_cancel_exception=True)
    def mark(self, input: MarkInput) -> NodeOutput:
        """Note on a node that a release is bad, or that it is the environment's."""
        self._on(input.site, input.node).mark(input)
        return NodeOutput()

    @activity.defn(name=contract.PRUNE.name, no_thread_cancel_exception=True)
    def prune(self, input: NodeInput) -> NodeOutput:
        """Remove the oldest releases of a node."""
        return NodeOutput(log=self._on(input.site, input.node).prune(input.commit))

    # -- the pool ----------------------------------------------------------------------------------------------

    @activity.defn(name=contract.SET_POOL.name, no_thread_cancel_exception=True)
    def set_pool(self, input: PoolInput) -> PoolOutput:
        """Change the pool, and wait until every balancer instance has applied it.

        Raises:
            PoolTooSmall: too few nodes would stay in it.
        """
        site = input.site
        balancer = Balancer(self._clouds.cloud(site.target), site.backend)
        nodes = self._addresses(site, [*site.nodes, *input.leave, *input.join])
        if missing := [node for node in input.join if node not in nodes]:
            raise NotReady(f"{', '.join(missing)} has no private address yet", subject=site.backend)
        # Two changes of one pool at once would each write over the other's.
        with self._writing[site.target.environment, site.backend]:
            pool = balancer.look()
            wanted = members_after(pool.members, nodes, input.leave, input.join, site.app.min_healthy)
            if set(wanted) != set(pool.members):
                balancer.set(pool, wanted)
        coming = {nodes[node] for node in input.join}
        going = {nodes[node] for node in input.leave if node in nodes}

        def members() -> list[str]:
            now = balancer.look()
            if not now.applied or coming.difference(now.members) or going.intersection(now.members):
                raise NotReady("the load balancer has not applied the pool yet", subject=site.backend)
            return now.members

        return PoolOutput(members=tuple(names_of(poll(members), nodes)))

    @activity.defn(name=contract.WAIT_BALANCED.name, no_thread_cancel_exception=True)
    def wait_balanced(self, input: PoolInput) -> PoolOutput:
        """Wait until every balancer instance finds the nodes in `join` healthy.

        Raises:
            Unhealthy: one is not found healthy in time.
        """
        return self._balanced(input.site, input.join, input.site.app.healthy_within)

    def _balanced(self, site: Site, join: Collection[str], within: float) -> PoolOutput:
        """Wait for the load balancer, `within` seconds from the activity's first attempt."""
        balancer = Balancer(self._clouds.cloud(site.target), site.backend)
        nodes = self._addresses(site, [*site.nodes, *join])
        deadline = activity.info().scheduled_time.timestamp() + within

        def members() -> list[str]:
            pool = balancer.look()
            healthy = balancer.healthy(pool)
            unwell = [node for node in join if nodes.get(node) not in healthy]
            if not unwell:
                return pool.members
            text = f"the load balancer does not find {', '.join(unwell)} healthy"
            if time.time() > deadline:
                raise Unhealthy(f"{text} within {within:g} s", subject=site.backend)
            raise NotReady(f"{text} yet", subject=site.backend)

        return PoolOutput(members=tuple(names_of(poll(members), nodes)))

    # -- what traffic may notice -------------------------------------------------------------------------------

    @activity.defn(name=contract.DRAIN.name, no_thread_cancel_exception=True)
    def drain(self, input: NodeInput) -> DrainOutput:
        """Wait until the node has no connection of the balancer any more, or the deadline is over."""
        return self._on(input.site, input.node).drain()

    @activity.defn(name=contract.SWITCH.name, no_thread_cancel_exception=True)
    def switch(self, input: NodeInput) -> SwitchOutput:
        """Run another release."""
        return self._on(input.site, input.node).switch(input.commit)

    @activity.defn(name=contract.RESTART.name, no_thread_cancel_exception=True)
    def restart(self, input: NodeInput) -> SwitchOutput:
        """Run the same release anew, with the settings that are on the disk now."""
        return self._on(input.site, input.node).restart()

    @activity.defn(name=contract.STOP.name, no_thread_cancel_exception=True)
    def stop(self, input: NodeInput) -> SwitchOutput:
        """Stop the units with grace: the node goes away."""
        return self._on(input.site, input.node).stop()

    @activity.defn(name=contract.CHECK.name, no_thread_cancel_exception=True)
    def check(self, input: NodeInput) -> NodeOutput:
        """Wait until the units run that release and the node says that it is well."""
        self._on(input.site, input.node).check(input.commit)
        return NodeOutput()

    @activity.defn(name=contract.WATCH.name, no_thread_cancel_exception=True)
    def watch(self, input: WatchInput) -> NodeOutput:
        """See that nodes stay well for a while, and that the load balancer agrees."""
        site = input.site
        side_by_side(lambda node: self._on(site, node).watch(input.commit, input.seconds), input.nodes)
        if site.backend:
            self._balanced(site, input.nodes, input.seconds + AFTER_A_SOAK)
        return NodeOutput()

    def _on(self, site: Site, node: str) -> OnNode:
        return OnNode(self._clouds.nodes, site, node)

    def _addresses(self, site: Site, nodes: Sequence[str]) -> dict[str, str]:
        return addresses_of(self._clouds.lifecycles(site.target), nodes)
