"""How a node is reached: where its bastion and itself are, and by which host keys they are known."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping

from scaleway.instance.v1.custom_api import InstanceUtilsV1API
from scaleway.vpcgw.v2 import Gateway, VpcgwV2API

from activities.cloud import Cloud, pages
from activities.lifecycle import NO_PARENT, Lifecycle, Scope
from activities.ssh.connections import Hop
from activities.ssh.fingerprints import USER_DATA, published
from blueprint.errors import Gone, NotReady, SecretMissing
from blueprint.resource import Observed, secret

BASTION_USER = "bastion"
NODE_USER = "root"
SSH_PORT = 22


def nics_of(lifecycles: Mapping[str, Lifecycle], nodes: Collection[str]) -> dict[str, Observed]:
    """The NICs of these nodes in the environment's private network, by the node's name; those that have none lack."""
    nic = lifecycles["private_nic"]
    network = nic.cloud.names.private_network
    names = {f"{node}/{network}": node for node in nodes}
    found = nic.list(NO_PARENT, Scope(names=frozenset(names)))
    return {names[item.name]: item for item in found if item.name in names and item.outputs.get("address")}


def addresses_of(lifecycles: Mapping[str, Lifecycle], nodes: Collection[str]) -> dict[str, str]:
    """Private addresses, by the node's name, in order; nodes without one lack."""
    nics = nics_of(lifecycles, nodes)
    return {node: str(nics[node].outputs["address"]) for node in nodes if node in nics}


class Routes:
    """Looks routes up through Scaleway's API, whose word is believed.

    Args:
        meet: asks a machine that is met for the first time for its host key.
    """

    def __init__(self, meet: Callable[[Hop], str]) -> None:
        self._meet = meet
        self._pinning = threading.Lock()

    def to(self, lifecycles: Mapping[str, Lifecycle], node: str) -> Hop:
        """The route to a node.

        Raises:
            Gone: there is no such node, or no bastion.
            NotReady: the node has not told its host keys yet.
            HostKeyChanged: the bastion is another machine.
        """
        cloud = lifecycles["private_nic"].cloud
        nic = nics_of(lifecycles, [node]).get(node)
        if nic is None:
            raise Gone("has no private address", subject=node, remedy="apply the environment file")
        return Hop(
            name=node,
            host=str(nic.outputs["address"]),
            port=SSH_PORT,
            user=NODE_USER,
            fingerprints=_told_by(cloud, node, nic.parent_id),
            through=self._bastion(cloud),
            if_changed=f"if nobody rebuilt it by hand, somebody is in between; `scaleway-infra replace` {node} makes a "
            "new one, which tells its own key",
        )

    def _bastion(self, cloud: Cloud) -> Hop:
        gateway, names = _gateway(cloud), cloud.names
        assert gateway.ipv4 is not None
        place = f"{names.secret_path}/{names.bastion_secret}"

        def hop(fingerprints: frozenset[str]) -> Hop:
            return Hop(
                name=f"bastion of {gateway.name}",
                host=gateway.ipv4.address if gateway.ipv4 else "",
                port=gateway.bastion_port,
                user=BASTION_USER,
                fingerprints=fingerprints,
                if_changed=f"if Scaleway gave the bastion another key, delete the secret {place} and apply; "
                "otherwise somebody is in between",
            )

        with self._pinning:
            known = _pinned(cloud, gateway.id)
            if not known:
                known = self._meet(hop(frozenset()))
                _pin(cloud, gateway.id, known)
        return hop(frozenset({known}))


def _gateway(cloud: Cloud) -> Gateway:
    fetch, name = cloud.api(VpcgwV2API).list_gateways, cloud.names.gateway
    for gateway in pages(fetch, "gateways", project_id=cloud.project_id, name=name):
        if gateway.name == name and gateway.bastion_enabled and gateway.ipv4:
            return gateway  # type: ignore[no-any-return]
    raise Gone("has no bastion that is open", subject=name, remedy="apply the environment file")


def _told_by(cloud: Cloud, node: str, server_id: str) -> frozenset[str]:
    try:
        content = cloud.api(InstanceUtilsV1API).get_server_user_data(server_id=server_id, key=USER_DATA).content
    except Gone:
        content = b""
    if fingerprints := published(content.decode(errors="replace")):
        return fingerprints
    raise NotReady("has not told its SSH host keys yet: its first boot is not over", subject=node)


def _pinned(cloud: Cloud, gateway_id: str) -> str:
    """The host key of the bastion when it was first met; empty if it was not, or if that was another gateway's."""
    try:
        value = cloud.secrets.reveal(secret(cloud.names.secret_path, cloud.names.bastion_secret))
    except SecretMissing:
        return ""
    pinned = json.loads(value)
    return str(pinned["fingerprint"]) if pinned["gateway"] == gateway_id else ""


def _pin(cloud: Cloud, gateway_id: str, fingerprint: str) -> None:
    value = json.dumps({"gateway": gateway_id, "fingerprint": fingerprint})
    try:
        cloud.secrets.store(cloud.names.secret_path, cloud.names.bastion_secret, value)
    except SecretMissing as error:
        raise SecretMissing(error.message, subject=error.subject, remedy="apply the environment file") from None
