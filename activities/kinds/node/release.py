"""Which release a node runs: a new node gets the environment's, one that leaves drains and stops."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scaleway.instance.v1 import Server, ServerState

from activities.kinds.instance.answers import list_servers
from activities.kinds.node.place import Place
from activities.kinds.node.setup import look_at_setup
from activities.lifecycle import Lifecycle, Parent, Scope
from activities.release.on_node import OnNode
from activities.release.remembered import last_released
from activities.ssh.nodes import is_to_end, side_by_side
from blueprint.environment.app import App
from blueprint.errors import EngineError, Gone, NotReady, SshUnreachable
from blueprint.kinds.node import RELEASE, release_id
from blueprint.plan import Difference
from blueprint.release.contract import MarkInput, Site
from blueprint.release.facts import NodeFacts, ReleaseFacts
from blueprint.resource import Observed, Resource

LEAVING_SECONDS = 30.0
"""How long a node that has to leave may be out of reach before it goes without draining, from the first failure on."""
BETWEEN_TRIES = 1.0
"""Seconds until such a node is tried again."""

log = logging.getLogger(__name__)


class _Released(NamedTuple):
    commit: str
    at: float
    """When it became the environment's release, seconds since the epoch."""


class NodeReleaseLifecycle(Lifecycle):
    """The environment's release on each node of the application: what the last finished roll left there.

    A node has one from its first setup on. Which nodes are meant is told by their names: those of a role of which the
    file names nodes, and so also those that the file names no more. One of these that is out of reach has nothing that
    could leave in order.
    """

    kind = "node_release"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. All nodes are looked at at once."""
        roles = {_role(name.removesuffix(f"/{RELEASE}")) for name in scope.names}
        servers = [server for server in list_servers(self.cloud) if _role(server.name) in roles and self._runs(server)]
        looks = side_by_side(self._look, [server.name for server in servers])
        released = ReleaseFacts(nodes=tuple(facts for _, facts in looks if facts)).released
        found = []
        for server, (app, facts) in zip(servers, looks, strict=True):
            named = f"{server.name}/{RELEASE}" in scope.names
            if facts and (facts.reachable or named):
                found.append(_observed(server, app, facts, released))
        return found

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        self._bring_up(resource)
        return release_id(resource.inputs["nic_id"])

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """Change it outside the pool, if the others can stand in for it; in place otherwise. Then it is in the pool.

        Nodes take turns: the kind says so.
        """
        node = resource.name.removesuffix(f"/{RELEASE}")
        place = Place(self.cloud, self._site(resource), node)
        if self._bring_up(resource, place):
            place.join()

    def delete(self, item: Observed) -> None:
        """Let the connections of the node end, and stop its units. One that was out of reach already just goes.

        Raises:
            SshUnreachable: it cannot be reached, and the worker is to end. One that cannot be reached for half a minute
                counts as broken, and so as gone.
            NotReady: the worker is to end, or the run is cancelled: its connections may still be draining.
        """
        if not item.inputs:
            return
        node = item.name.removesuffix(f"/{RELEASE}")
        inside = self._on(node, App.model_validate(item.inputs["app"]))
        failed_first: float | None = None
        while True:
            try:
                inside.drain()
                inside.stop()
                return
            except (SshUnreachable, NotReady) as error:
                if is_to_end():
                    raise
                failed_first = failed_first or time.monotonic()
                if time.monotonic() - failed_first > LEAVING_SECONDS:
                    log.warning("%s goes without draining: %s", node, error)
                    return
            time.sleep(BETWEEN_TRIES)

    # -- one node ----------------------------------------------------------------------------------------------

    def _bring_up(self, resource: Resource, place: Place | None = None) -> bool:
        """The environment's release on the node, if there is one.

        Args:
            resource: what should be.
            place: in the pool; None for a node that is new.

        Returns:
            Whether there is one.

        Raises:
            Unhealthy: it does not run well there.
            SshUnreachable: the node, or the only one that could tell what is released, cannot be reached.
        """
        site = self._site(resource)
        node = resource.name.removesuffix(f"/{RELEASE}")
        released = self._released(site)
        if not released:
            return False
        inside = self._on(node, site.app)
        if not inside.look().runs(released.commit):
            inside.prepare(released.commit)
            # The building took its time; the deadlines of the rest begin when it does.
            if place and place.leave():
                inside.drain(since=time.time())
            inside.switch(released.commit)
            inside.check(released.commit, since=time.time())
        # From now on it can tell too, should the others go.
        inside.mark(MarkInput(site=site, node=node, commit=released.commit, mark="released", at=released.at))
        return True

    def _site(self, resource: Resource) -> Site:
        return Site.model_validate({"target": self.cloud.target, **resource.inputs["site"]})

    def _released(self, site: Site) -> _Released | None:
        """What its nodes say, or Temporal where none of them knows: the only one may just have been replaced."""
        looks = side_by_side(lambda name: self._try(name, site.app), site.nodes)
        facts = ReleaseFacts(nodes=tuple(look for look in looks if isinstance(look, NodeFacts)))
        if commit := facts.released:
            told = [release.released_at for node in facts.nodes if (release := node.release(commit))]
            return _Released(commit, max(at for at in told if at is not None))
        if record := last_released(self.cloud.temporal, site.target.environment):
            return _Released(record.commit, record.ended)
        for look in looks:
            if isinstance(look, EngineError) and not isinstance(look, Gone):
                raise look
        return None

    def _look(self, node: str) -> tuple[App | None, NodeFacts | None]:
        """What is known of the application there, and what runs; nothing before the first setup."""
        try:
            setup = look_at_setup(self.cloud, node)
            if setup is None:
                return None, None
            app = App.model_validate(setup.app)
            return app, self._on(node, app).look()
        except EngineError as error:
            log.info("%s cannot be looked into: %s", node, error)
            return None, NodeFacts(name=node, reachable=False, trouble=error.message)

    def _try(self, node: str, app: App) -> NodeFacts | EngineError:
        try:
            return self._on(node, app).look()
        except EngineError as error:
            return error

    def _on(self, node: str, app: App) -> OnNode:
        return OnNode(self.cloud.nodes, Site(target=self.cloud.target, app=app, nodes=(node,)), node)

    def _runs(self, server: Server) -> bool:
        return self.is_ours(server.tags) and server.state == ServerState.RUNNING and bool(server.private_nics)


def _role(node: str) -> str:
    """The node's name without its number."""
    return node.rpartition("-")[0]


def _observed(server: Server, app: App | None, facts: NodeFacts, released: str) -> Observed:
    nic = server.private_nics[0].id
    as_released = facts.reachable and (not released or facts.runs(released))
    return Observed(
        kind=NodeReleaseLifecycle.kind,
        name=f"{server.name}/{RELEASE}",
        id=release_id(nic),
        fields={"as_released": as_released},
        outputs={"id": release_id(nic)},
        status=facts.current or "no release" if facts.reachable else "unreachable",
        parent_id=server.id,
        uses=(server.id, nic),
        inputs={"app": app.model_dump(mode="json")} if app and facts.reachable else {},
    )
