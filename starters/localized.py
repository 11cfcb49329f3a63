"""An environment file for the local Scaleway: the same environment, on addresses of this computer."""

from __future__ import annotations

import copy
import ipaddress
import zlib
from pathlib import Path
from typing import Any

HERE = "127.0.0.1/32"
"""Where a command on this computer comes from, as the bastion sees it."""
KEY = "rehearsal"
"""Name of the SSH key of the rehearsal's worker."""
BACKUPS = "rehearsal/backups"
"""Key of the bucket for backups that the real environment keeps elsewhere."""
SQS_ENDPOINT = "${sqs.endpoint}"
"""In the env file: what an API of queues is reached by."""
_BLOCK = ipaddress.IPv4Network("127.32.0.0/11")
"""Where the private networks of rehearsals are: far from 127.0.0.1, and from the public addresses."""


def localized(
    data: dict[str, Any], *, folder: Path, public_key: str, repository: str, sqs_endpoint: str
) -> dict[str, Any]:
    """The file for a rehearsal. What only production has (people's secrets, its project) is stood in for.

    Args:
        data: the environment file as read.
        folder: of the rehearsal; its private network follows from it, so that two do not meet.
        public_key: that of the rehearsal's worker.
        repository: where nodes fetch releases.
        sqs_endpoint: where the local Scaleway's SQS answers; the API names Scaleway's own.
    """
    local = copy.deepcopy(data)
    local.pop("project_id", None)
    local["production"] = False
    local.pop("approval", None)
    network = local["network"]
    # The network ACL names addresses of the real network, and nothing filters on loopback.
    network.pop("acl", None)
    network["cidr"] = _network_of(folder, ipaddress.IPv4Network(network["cidr"]).prefixlen)
    gateway = network["gateway"] = network.get("gateway") or {}
    gateway["bastion"] = {**(gateway.get("bastion") or {}), "allowed": [HERE], "allow_everyone": False}
    local["ssh_keys"] = {**(local.get("ssh_keys") or {}), KEY: public_key.strip()}
    local["secrets"] = {name: _made_up(settings) for name, settings in (local.get("secrets") or {}).items()}
    for role in (local.get("nodes") or {}).values():
        # It fetches programs from the internet. The machines here have them.
        ((role or {}).get("cloud_init") or {}).pop("runcmd", None)
    if local.get("monitoring"):
        # Machines here share a network: two agents would take the same port.
        local["monitoring"].pop("agent", None)
    if local.get("backup"):
        _keep_backups_here(local)
    if "app" in local:
        local["app"]["repository"] = repository
        values = (local["app"].get("env_file") or {}).get("values") or {}
        values.update({name: str(value).replace(SQS_ENDPOINT, sqs_endpoint) for name, value in values.items()})
    return local


def _keep_backups_here(local: dict[str, Any]) -> None:
    """Nothing of a rehearsal leaves this computer, and its health is not told to whoever watches the real one."""
    backup = local["backup"]
    backup.pop("dead_man", None)
    if backup.pop("store", None):
        backup["bucket"] = BACKUPS
        local["buckets"] = {**(local.get("buckets") or {}), BACKUPS: {}}


def _network_of(folder: Path, prefix: int) -> str:
    subnets = 1 << (prefix - _BLOCK.prefixlen)
    number = zlib.crc32(str(folder.resolve()).encode()) % subnets
    return str(ipaddress.IPv4Network((int(_BLOCK.network_address) + (number << (32 - prefix)), prefix)))


def _made_up(settings: dict[str, Any]) -> dict[str, Any]:
    if "generate" in settings:
        return settings
    return {"generate": 32} | ({"description": settings["description"]} if "description" in settings else {})
