"""What a release needs to know beside nodes and pool: the freeze, the database's backups, the queues."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from scaleway.rdb.v1 import ListDatabaseBackupsRequestOrderBy, ListSnapshotsRequestOrderBy, RdbV1API
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.boto_errors import boto_errors
from activities.cloud import Cloud, pages
from activities.kinds.sqs import QueueLifecycle
from activities.temporal_client import TemporalBridge
from blueprint.contract import freeze_id
from blueprint.errors import Gone, Unavailable
from blueprint.release.contract import QueueOutput
from blueprint.release.facts import FreezeFacts

NEWEST = 20
"""Backups and snapshots that are looked at, the newest first: those that are not ready yet do not count."""


def freeze_of(temporal: TemporalBridge, environment: str) -> FreezeFacts | None:
    """The freeze in force, or None.

    Raises:
        Unavailable: Temporal does not answer.
    """

    async def look() -> FreezeFacts | None:
        run = await temporal.client.get_workflow_handle(freeze_id(environment)).describe()
        if run.status != WorkflowExecutionStatus.RUNNING:
            return None
        memo = await run.memo()
        return FreezeFacts(
            by=str(memo.get("by", "")),
            reason=str(memo.get("reason", "")),
            since=run.start_time.timestamp(),
            until=memo.get("until"),
        )

    try:
        return temporal.run(look())
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise Unavailable(f"Temporal does not tell whether {environment} is frozen: {error.message}") from None
    except TimeoutError:
        raise Unavailable(f"Temporal does not tell whether {environment} is frozen") from None


def backup_point(cloud: Cloud, now: datetime) -> str:
    """What to restore if a migration that begins now went wrong, in words."""
    api, name = cloud.api(RdbV1API), cloud.names.postgresql
    found = pages(api.list_instances, "instances", project_id=cloud.project_id, name=name)
    instance = next((item for item in found if item.name == name), None)
    begins = f"the migration began at {_said(now)}"
    if instance is None:
        return f"no managed database; {begins}"
    backups = api.list_database_backups(
        instance_id=instance.id, order_by=ListDatabaseBackupsRequestOrderBy.CREATED_AT_DESC, page_size=NEWEST
    ).database_backups
    snapshots = api.list_snapshots(
        instance_id=instance.id, order_by=ListSnapshotsRequestOrderBy.CREATED_AT_DESC, page_size=NEWEST
    ).snapshots
    kept = [*_ready("backup", backups), *_ready("snapshot", snapshots)]
    if not kept:
        return f"no backup of {name} yet; {begins}"
    kind, item = max(kept, key=lambda kind_and_item: kind_and_item[1].created_at)
    return f"{kind} {item.name} ({item.id}) of {_said(item.created_at)}; {begins}"


def _ready(kind: str, items: Iterable[Any]) -> list[tuple[str, Any]]:
    return [(kind, item) for item in items if str(item.status) == "ready" and item.created_at]


def _said(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def messages_in(cloud: Cloud, queues: Iterable[str]) -> QueueOutput:
    """How many messages wait in these queues; those that are not there lack."""
    waiting: dict[str, int] = {}
    in_flight: dict[str, int] = {}
    sqs = QueueLifecycle(cloud).client()
    for queue in queues:
        try:
            with boto_errors(f"count the messages of {queue}"):
                url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
                told = sqs.get_queue_attributes(
                    QueueUrl=url,
                    AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
                )["Attributes"]
        except Gone:
            continue
        waiting[queue] = int(told["ApproximateNumberOfMessages"])
        in_flight[queue] = int(told["ApproximateNumberOfMessagesNotVisible"])
    return QueueOutput(waiting=waiting, in_flight=in_flight)
