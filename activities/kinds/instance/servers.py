"""Servers, switched off and on elsewhere."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from uuid import UUID

from scaleway.instance.v1 import (
    SecurityGroupTemplate,
    Server,
    ServerAction,
    VolumeServerTemplate,
    VolumeVolumeType,
)
from scaleway.instance.v1.custom_api import InstanceUtilsV1API
from scaleway.marketplace.v2 import LocalImageType, MarketplaceV2API

from activities.cloud import pages
from activities.kinds.instance.answers import get_server, list_servers, present
from activities.lifecycle import Lifecycle, Parent, Scope, is_protected
from activities.secret_store import mark_of
from blueprint.errors import Busy, Gone, Refused
from blueprint.plan import Difference
from blueprint.resource import Observed, Resource

IMAGE = "image"
"""Mark of a server: the image as the file names it. The server itself knows only the id of one of its versions."""
LOCAL_VOLUME = "l_ssd"


class ServerLifecycle(Lifecycle):
    """Servers, told apart by name and tags. They are made switched off and without a public address."""

    kind = "server"

    def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
        """See `Lifecycle`."""
        return [self._observed(server, scope) for server in list_servers(self.cloud)]

    def read(self, item: Observed) -> Observed:
        """See `Lifecycle`."""
        return self._observed(get_server(self.cloud, item.id), Scope())

    def find(self, resource: Resource) -> Sequence[Observed]:
        """See `Lifecycle`."""
        found = list_servers(self.cloud, resource.name)
        return [self._observed(server, Scope()) for server in found if server.name == resource.name]

    def create(self, resource: Resource) -> str:
        """See `Lifecycle`."""
        fields = resource.fields
        answer = self.cloud.api(InstanceUtilsV1API).create_server(
            name=resource.name,
            commercial_type=fields["commercial_type"],
            image=self._image_id(resource),
            volumes=_volumes(resource),
            security_group=fields["security_group_id"],
            dynamic_ip_required=fields["dynamic_ip"],
            project=self.cloud.project_id,
            tags=self._marked(resource),
        )
        return present(answer.server).id

    def update(self, resource: Resource, item: Observed, differences: Sequence[Difference]) -> None:
        """See `Lifecycle`."""
        # The API wants a name beside the id, and ignores it.
        group = SecurityGroupTemplate(id=resource.fields["security_group_id"], name=resource.name)
        self.cloud.api(InstanceUtilsV1API)._update_server(
            server_id=item.id,
            name=resource.name,
            tags=self._marked(resource),
            dynamic_ip_required=resource.fields["dynamic_ip"],
            security_group=group,
        )

    def delete(self, item: Observed) -> None:
        """Terminate it if it is on, delete it if it is off. Its volumes have steps of their own.

        Raises:
            Busy: it is on its way from one to the other, or out.
        """
        api = self.cloud.api(InstanceUtilsV1API)
        match str(get_server(self.cloud, item.id).state):
            case "stopped":
                api.delete_server(server_id=item.id)
            case "starting" | "stopping" as state:
                raise Busy(f"is {state}", subject=f"{self.kind}.{item.name}")
            case _:
                api.server_action(server_id=item.id, action=ServerAction.TERMINATE)

    def _marked(self, resource: Resource) -> builtins.list[str]:
        return [*self.tags(resource), f"{IMAGE}={resource.fields['image']}"]

    # -- images ------------------------------------------------------------------------------------------------

    def _image_id(self, resource: Resource) -> str:
        """The newest version of the image in the zone that suits the server's type and root volume.

        Raises:
            Refused: there is none.
        """
        label, commercial_type = resource.fields["image"], resource.fields["commercial_type"]
        if _is_id(label):
            return str(label)
        local = resource.fields.get("volume", {}).get("type") == LOCAL_VOLUME
        found = pages(
            self.cloud.api(MarketplaceV2API).list_local_images,
            "local_images",
            image_label=label,
            zone=self.cloud.zone,
            type_=LocalImageType.INSTANCE_LOCAL if local else LocalImageType.INSTANCE_SBS,
        )
        for image in found:
            if commercial_type in image.compatible_commercial_types:
                return str(image.id)
        volume = "local" if local else "block"
        raise Refused(
            f"the marketplace has no image {label!r} for {commercial_type} with a {volume} root volume "
            f"in {self.cloud.zone}",
            subject=resource.key,
            remedy="abort, choose another image, type or volume.type in the environment file and apply again",
        )

    def _image_of(self, server: Server, scope: Scope) -> str | None:
        """The image as the file would name it."""
        if (mark := mark_of(server.tags, IMAGE)) or server.image is None or server.name not in scope.names:
            return mark
        try:
            return self.cloud.api(MarketplaceV2API).get_local_image(local_image_id=server.image.id).label
        except Gone:
            return server.image.id

    def _observed(self, server: Server, scope: Scope) -> Observed:
        group = server.security_group.id if server.security_group else None
        root = server.volumes.get("0")
        state = str(server.state)
        return Observed(
            kind=self.kind,
            name=server.name,
            id=server.id,
            fields={
                "commercial_type": server.commercial_type.upper(),
                "image": self._image_of(server, scope),
                "security_group_id": group,
                "dynamic_ip": server.dynamic_ip_required,
                "volume": {"type": str(root.volume_type), "size": root.size} if root else {},
            },
            outputs={"id": server.id},
            status=state,
            health="failed" if state == "locked" else "ok",
            ownership="ours" if self.is_ours(server.tags) else "foreign",
            protected=is_protected(server.tags),
            uses=(*([group] if group else []), *(volume.id for volume in server.volumes.values())),
        )


def _volumes(resource: Resource) -> dict[str, VolumeServerTemplate] | None:
    volume = resource.fields.get("volume")
    if not volume:
        return None
    kind = VolumeVolumeType(volume["type"])
    return {"0": VolumeServerTemplate(volume_type=kind, name=resource.name, size=resource.inputs["volume_size"])}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
