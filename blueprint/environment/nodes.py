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


class User(Section):
    """A user that software runs as. It has no password: people log in as root, with one of `ssh_keys`."""

    name: Annotated[str, Matching("[a-z_][a-z0-9_-]*", "a user's name, such as lssm", limit=32)]
    """Its name, and that of its group."""
    home: Annotated[str, Matching("/[A-Za-z0-9._/-]+", "an absolute path, such as /home/lssm", limit=255)] | None = None
    """Its home folder; /home/<name> if left out."""
    shell: Annotated[str, Matching("/[A-Za-z0-9._/-]+", "an absolute path, such as /bin/bash", limit=255)] = "/bin/bash"
    """Its shell."""
    groups: list[Annotated[str, Matching("[a-z_][a-z0-9_-]*", "a group's name", limit=32)]] = Field(default=[])
    """Further groups that it is in."""

    @property
    def home_folder(self) -> str:
        """Where its home is."""
        return self.home or f"/home/{self.name}"


class CloudInit(Section):
    """What is added to the first boot. The host name is set by rule to the node's own name.

    Of the nodes that run `app`, an apply keeps all but `runcmd` as declared; of others it is the first boot's alone.
    """

    packages: list[str] = Field(default=[])
    """Debian packages to install."""
    users: list[User] = Field(default=[])
    """Users to make."""
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

    A machine reads them once. A later change reaches nodes made later, and over SSH those that run `app`.
    """

    def user_data(self, hostname: str) -> str:
        """The node's cloud-config document."""
        document: dict[str, Any] = {"hostname": hostname, "preserve_hostname": False}
        if self.cloud_init.packages:
            document |= {"package_update": True, "packages": self.cloud_init.packages}
        if self.cloud_init.users:
            document["users"] = ["default", *(_cloud_config_user(user) for user in self.cloud_init.users)]
        if self.cloud_init.write_files:
            document["write_files"] = [_cloud_config_file(written) for written in self.cloud_init.write_files]
        if self.cloud_init.runcmd:
            document["runcmd"] = self.cloud_init.runcmd
        return "#cloud-config\n" + yaml.safe_dump(document, sort_keys=False)


def _cloud_config_user(user: User) -> dict[str, Any]:
    groups = {"groups": user.groups} if user.groups else {}
    return {"name": user.name, "homedir": user.home_folder, "shell": user.shell, "lock_passwd": True, **groups}


def _cloud_config_file(written: WrittenFile) -> dict[str, Any]:
    # Files are written before users are made, unless they are told to wait (cloud-init, module write_files).
    return written.model_dump() | ({} if written.owner == "root:root" else {"defer": True})
