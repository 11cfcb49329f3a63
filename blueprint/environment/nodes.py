"""Instances: how many of which role, and what they are when they first boot."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from blueprint.environment.base import Section
from blueprint.environment.scalars import Bytes, CommercialType, Label, Matching


class WrittenFile(Section):
    """A file that cloud-init writes at the first boot. Never a secret: every process can read it."""

    path: Annotated[str, Matching("/.+", "an absolute path", limit=4096)]
    """Where."""
    content: str
    """What."""
    permissions: Annotated[str, Matching("0[0-7]{3}", "octal with a leading zero, such as 0644")] = "0644"
    """Mode."""
    owner: str = "root:root"
    """User and group."""


class CloudInit(Section):
    """What is added to the first boot. The host name is set by rule to the node's own name."""

    packages: list[str] = Field(default=[])
    """Debian packages to install."""
    write_files: list[WrittenFile] = Field(default=[])
    """Files to write, before `runcmd`."""
    runcmd: list[str] = Field(default=[])
    """Shell commands to run at the end of the first boot."""


class Volume(Section):
    """The root volume."""

    type: Literal["l_ssd", "sbs_volume"] = "l_ssd"
    """Local disk, or network block storage that outlives the node."""
    size: Bytes = Field(examples=["20GB"])
    """Size."""


class NodeRole(Section):
    """The nodes of one role, `<org>-<env>-<role>-01` and up: one NIC in the private network, no public address."""

    count: int = Field(default=1, ge=0, le=99)
    """How many."""
    type: CommercialType = "DEV1-M"
    """Commercial type."""
    image: str = Field(default="debian_bookworm", min_length=1)
    """Label of a marketplace image, or the id of an image."""
    security_group: Label = "backend"
    """One of `security_groups`."""
    volume: Volume | None = None
    """Root volume; what the type and image give if left out."""
    cloud_init: CloudInit = CloudInit()
    """Additions to the first boot.

    A change reaches nodes made later: one that has booted keeps running as it is, and reads nothing of it.
    """

    def user_data(self, hostname: str) -> str:
        """The node's cloud-config document."""
        document: dict[str, Any] = {"hostname": hostname, "preserve_hostname": False}
        if self.cloud_init.packages:
            document |= {"package_update": True, "packages": self.cloud_init.packages}
        if self.cloud_init.write_files:
            document["write_files"] = [written.model_dump() for written in self.cloud_init.write_files]
        if self.cloud_init.runcmd:
            document["runcmd"] = self.cloud_init.runcmd
        return "#cloud-config\n" + yaml.safe_dump(document, sort_keys=False)
