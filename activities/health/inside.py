"""Databases and Redis, asked from a node: they are in the private network, and the worker need not be."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Sequence

from scaleway.redis.v1 import Cluster, RedisV1API

from activities.backup.on_node import Reach, Server, server_of
from activities.cloud import pages
from activities.registry import Clouds
from activities.ssh.nodes import on_any, side_by_side
from activities.ssh.script import Script, load
from blueprint.backup.site import DatabaseAsset
from blueprint.errors import EngineError, Gone, HostKeyChanged, NotReady, SecretMissing, SshKeyMissing, SshUnreachable
from blueprint.health.contract import Cache, Check, HealthSite
from blueprint.health.verdicts import check
from blueprint.resource import secret

PACKAGE = "activities.health"
NO_PYTHON = 127
"""Exit code of the script: there is no python3."""
_CANNOT_LOOK = (SshUnreachable, SshKeyMissing, HostKeyChanged, NotReady, SecretMissing)
"""Errors that say nothing of a database: nobody came near enough to ask it."""


class Inside:
    """What one environment has in its private network.

    Args:
        clouds: gives the way to Scaleway and to nodes.
        site: what there is to ask.
    """

    def __init__(self, clouds: Clouds, site: HealthSite) -> None:
        assert site.inside
        self._nodes = clouds.nodes
        self._cloud = clouds.cloud(site.target)
        self._site = site
        self._inside = site.inside
        self._from: tuple[str, ...] = ()

    def look(self) -> list[Check]:
        """A check for each database, and one for Redis.

        Raises:
            Gone: there is no node to ask from.
            SshUnreachable: none lets us in.
            SecretMissing: nobody knows a password.
        """
        self._from = self._there()
        checks = self._databases(self._inside.databases) if self._inside.databases else []
        if cache := self._inside.cache:
            checks.append(_checked("redis", lambda: self._cache(cache)))
        return checks

    def _there(self) -> tuple[str, ...]:
        """Those of the nodes that exist: that one does not says nothing of what it would have asked."""
        found: list[str] = []
        missing: EngineError = Gone("there is no node to ask from")
        for node in self._inside.nodes:
            try:
                self._nodes.route(self._site.target, node)
            except (Gone, NotReady, SshUnreachable) as error:
                missing = error
            else:
                found.append(node)
        if not found:
            raise missing
        return tuple(found)

    def _databases(self, databases: Sequence[DatabaseAsset]) -> list[Check]:
        names = [asset.name for asset in databases]
        try:
            server = server_of(self._cloud, databases[0])
        except Gone as error:
            return [check(f"database/{name}", 0.0, str(error.message)) for name in names]
        return side_by_side(lambda name: _checked(f"database/{name}", lambda: self._query(server, name)), names)

    def _query(self, server: Server, database: str) -> str:
        reach = Reach(self._nodes, self._site.target, self._from, server)
        answer = reach.sql(database, "SELECT 40 + 2;")
        return "" if answer == ("42",) else f"it answers {answer}"

    def _cache(self, cache: Cache) -> str:
        """Write a value, read it back and remove it; what went wrong, if anything did."""
        script = self._script(cache, self._cluster(cache))
        target, ok = self._site.target, (0, 1, NO_PYTHON)
        outcome = on_any(lambda node: self._nodes.run(target, node, script, ok=ok), self._from)
        if outcome.status == NO_PYTHON:
            return "the node has no python3 to ask with"
        return "" if outcome.status == 0 else outcome.tail.strip().rpartition("\n")[2]

    def _script(self, cache: Cache, cluster: Cluster) -> Script:
        private = next((each for each in cluster.endpoints if each.private_network and each.ips), None)
        if private is None:
            raise Gone("has no private endpoint", subject=cache.name)
        return load(
            PACKAGE,
            "redis",
            host=str(private.ips[0]),
            port=private.port,
            user=cache.user,
            password=self._cloud.secrets.reveal(secret(cache.password.path, cache.password.name)),
            authority=self._certificate(cluster) if cluster.tls_enabled else "",
            key=f"scaleway-infra:health:{secrets.token_hex(8)}",
            timeout=self._site.timeout,
        )

    def _cluster(self, cache: Cache) -> Cluster:
        fetch = self._cloud.api(RedisV1API).list_clusters
        for cluster in pages(fetch, "clusters", project_id=self._cloud.project_id, name=cache.name):
            if cluster.name == cache.name:
                found: Cluster = cluster
                return found
        raise Gone("there is no such cluster", subject=cache.name)

    def _certificate(self, cluster: Cluster) -> str:
        """What a cluster signs its own certificate with, in PEM: no authority knows it."""
        told = self._cloud.api(RedisV1API).get_cluster_certificate(cluster_id=cluster.id)
        return base64.b64decode(told.content).decode()


def _checked(name: str, look: Callable[[], str]) -> Check:
    began, trouble = time.monotonic(), ""
    try:
        trouble = look()
    except _CANNOT_LOOK:
        raise
    except EngineError as error:
        trouble = error.message
    return check(name, time.monotonic() - began, trouble)
