"""What the answers of the Instance API have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from scaleway.instance.v1 import InstanceV1API, Server

from activities.cloud import Cloud, pages
from blueprint.errors import Unavailable

T = TypeVar("T")


def present(value: T | None) -> T:
    """What an answer is about; the SDK's types allow that it is missing.

    Raises:
        Unavailable: it is, so that nobody knows what happened.
    """
    if value is None:
        raise Unavailable("the answer lacks the object that it is about")
    return value


def get_server(cloud: Cloud, server_id: str) -> Server:
    """The server of that id.

    Raises:
        Gone: there is none.
    """
    return present(cloud.api(InstanceV1API).get_server(server_id=server_id).server)


def is_terminating(server: Server) -> bool:
    """Whether the server is on its way out, and only there until it is gone."""
    return server.state_detail == "terminating"


def list_servers(cloud: Cloud, name: str | None = None) -> Iterable[Server]:
    """The servers of the project, without those on their way out: new ones can be made meanwhile.

    Args:
        name: only these; the API compares loosely, so some may have another name.
    """
    fetch = cloud.api(InstanceV1API).list_servers
    found: Iterable[Server] = pages(fetch, "servers", size="per_page", project=cloud.project_id, name=name)
    return (server for server in found if not is_terminating(server))
