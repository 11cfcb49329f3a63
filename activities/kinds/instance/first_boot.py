"""What a server is told before it first boots, and the switch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scaleway.instance.v1 import Server, ServerAction
from scaleway.instance.v1.custom_api import InstanceUtilsV1API

from activities.kinds.instance.answers import get_server, list_servers
from activities.lifecycle import Lifecycle, Parent, Scope
from blueprint.errors import Gone
from blueprint.kinds.instance import digest
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

CLOUD_INIT = "cloud-init"
"""Key of the user data that the image's cloud-init reads at the first boot."""
POWER = "power"
ON, COMING_ON = "running", "starting"


class _OfServer(Lifecycle):
    """What belongs to a server and has no tags: ours if the server is. All servers are listed at once."""

    def servers(self, scope: Scope) -> Iterable[Server]:
        """Those of ours, and those that stand under the name of one."""
        for server in list_servers(self.cloud):
            if self.is_ours(server.tags) or any(name.startswith(f"{server.name}/") for name in scope.names):
                yield server


class UserDataLifecycle(_OfServer):
    """cloud-config documents. A machine reads its own at its first boot only: a later change touches nothing in it."""

    kind = "user_data"
    repeatable = True

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`. One request for each server."""
        api, found = self.cloud.api(InstanceUtilsV1API), []
        for server in self.servers(scope):
            try:
                content = api.get_server_user_data(server_id=server.id, key=CLOUD_INIT).content
            except Gone:
                continue
            found.append(
                Observed(
                    kind=self.kind,
                    name=f"{server.name}/{CLOUD_INIT}",
                    id=server.id,
                    fields={"next_first_boot": digest(content)},
                    outputs={"id": server.id},
                    ownership="ours" if self.is_ours(server.tags) else "foreign",
                    parent_id=server.id,
                )
            )
        return found

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        server_id: str = resource.inputs["parent_id"]
        self._write(server_id, resource)
        return server_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        self._write(item.id, resource)

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(InstanceUtilsV1API).delete_server_user_data(server_id=item.id, key=CLOUD_INIT)

    def _write(self, server_id: str, resource: Resource) -> None:
        content: str = resource.inputs["content"]
        self.cloud.api(InstanceUtilsV1API).set_server_user_data(
            server_id=server_id, key=CLOUD_INIT, content=content.encode()
        )


class ServerPowerLifecycle(_OfServer):
    """Servers that are switched on. "running" is what the API says of the machine, not of the software in it."""

    kind = "server_power"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        return [self._observed(server) for server in self.servers(scope) if str(server.state) in (ON, COMING_ON)]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`. One that is off has failed to start: for want of hardware, as a rule."""
        return self._observed(get_server(self.cloud, item.id))

    def find(self, resource: Resource) -> Sequence[Observed]:
        """See `Lifecycle`."""
        server = get_server(self.cloud, resource.inputs["parent_id"])
        return [self._observed(server)] if str(server.state) in (ON, COMING_ON) else []

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        server_id: str = resource.inputs["parent_id"]
        self.cloud.api(InstanceUtilsV1API).server_action(server_id=server_id, action=ServerAction.POWERON)
        return server_id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """Nothing to do: a server that is adopted while it runs is as declared."""

    def delete(self, item: Observed) -> None:
        """See `Lifecycle`."""
        self.cloud.api(InstanceUtilsV1API).server_action(server_id=item.id, action=ServerAction.POWEROFF)

    def _observed(self, server: Server) -> Observed:
        state = str(server.state)
        return Observed(
            kind=self.kind,
            name=f"{server.name}/{POWER}",
            id=server.id,
            outputs={"id": server.id},
            status=f"{state}: {server.state_detail}" if server.state_detail else state,
            health="ok" if state == ON else "pending" if state in (COMING_ON, "stopping") else "failed",
            ownership="ours" if self.is_ours(server.tags) else "foreign",
            parent_id=server.id,
        )
