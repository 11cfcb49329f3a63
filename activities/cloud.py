"""One environment's way to Scaleway: clients, credentials and marks of ownership."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import boto3
from botocore.config import Config
from scaleway.account.v3 import AccountV3ProjectAPI
from scaleway_core.api import API
from scaleway_core.client import Client

from activities.secret_store import SecretStore
from activities.settings import ScalewaySettings
from activities.temporal_client import TemporalBridge
from activities.transport import CONNECT_SECONDS, READ_SECONDS, sturdy
from blueprint.contract import Target
from blueprint.names import Names
from telemetry.boto import watched

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

    from activities.ssh.nodes import Nodes

A = TypeVar("A", bound=API)
T = TypeVar("T")
PAGE_SIZE = 100

# One attempt: retries are Temporal's, where they show. A checksum only where the API wants one.
_BOTO = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    max_pool_connections=32,
)
_boto_lock = threading.RLock()
"""Making a boto3 client is not thread-safe; using one is."""


class Cloud:
    """Scaleway, seen from one environment.

    Attributes:
        target: the environment and its region, zone and project.
        names: the naming rules of the environment.
        settings: how to reach Scaleway.
        temporal: how to reach Temporal.
        nodes: how to reach the inside of nodes.
        project_id: the environment's project.
    """

    def __init__(self, settings: ScalewaySettings, target: Target, temporal: TemporalBridge, nodes: Nodes) -> None:
        self.settings = settings
        self.temporal = temporal
        self.nodes = nodes
        self.target = target
        self.names = Names(target.org, target.env)
        self.project_id = target.project_id or settings.project_id
        self._client = Client(
            access_key=settings.access_key,
            secret_key=settings.secret_key.get_secret_value(),
            api_url=settings.api_url,
            default_project_id=self.project_id,
            default_region=target.region,
            default_zone=target.zone,
            user_agent="scaleway-infra",
        )
        self._apis: dict[type[API], API] = {}
        self._sqs: dict[tuple[str, str, str], SQSClient] = {}

    @property
    def region(self) -> str:
        """Region: fr-par."""
        return self.target.region

    @property
    def zone(self) -> str:
        """Zone: fr-par-1."""
        return self.target.zone

    def api(self, cls: type[A]) -> A:
        """The SDK's API of that class, with time-outs and typed errors; made once."""
        found = self._apis.get(cls)
        if found is None:
            found = self._apis[cls] = sturdy(cls, self._client)
        return found  # type: ignore[return-value]

    @cached_property
    def organization_id(self) -> str:
        """The organization that IAM objects belong to."""
        if self.settings.organization_id:
            return self.settings.organization_id
        project = self.api(AccountV3ProjectAPI).get_project(project_id=self.project_id)
        return project.organization_id

    @cached_property
    def secrets(self) -> SecretStore:
        """The environment's secrets."""
        return SecretStore(self.api, self.region, self.project_id)

    @cached_property
    def s3(self) -> S3Client:
        """Object storage of the region, with the project in the access key."""
        client: S3Client = self._boto3(
            "s3",
            self.settings.s3_url or f"https://s3.{self.region}.scw.cloud",
            f"{self.settings.access_key}@{self.project_id}",
            self.settings.secret_key.get_secret_value(),
        )
        return client

    def sqs(self, endpoint: str, access_key: str, secret_key: str) -> SQSClient:
        """Queues of the region, with credentials of their own; made once for each of them."""
        key = (endpoint, access_key, secret_key)
        with _boto_lock:
            known = self._sqs.get(key)
            if known is None:
                known = self._boto3("sqs", self.settings.sqs_url or endpoint, access_key, secret_key)
                self._sqs = {key: known}
            return known

    def _boto3(self, service: Literal["s3", "sqs"], endpoint: str, access_key: str, secret_key: str) -> Any:
        with _boto_lock:
            client = boto3.client(
                service,
                region_name=self.region,
                endpoint_url=endpoint,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                config=_BOTO,
            )
            # Made at their first use otherwise, by each of the threads that come first: what one of them then catches
            # is not what another one's classes raise.
            _ = client.exceptions
        return watched(client)


def pages(fetch: Callable[..., Any], key: str, *, size: str = "page_size", **arguments: Any) -> Iterator[Any]:
    """Every item of a paged list, one request for each page and none beyond the last.

    Args:
        fetch: a list method of the SDK.
        key: the attribute of its answer that holds the items.
        size: name of the page size argument: Instance calls it `per_page`.
        arguments: the other arguments.
    """
    page = 1
    while True:
        items = getattr(fetch(page=page, **{size: PAGE_SIZE}, **arguments), key)
        yield from items
        if len(items) < PAGE_SIZE:
            return
        page += 1
