"""Checks of what keeps data: PostgreSQL, Redis, buckets, queues."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.postgresql import Postgresql
from blueprint.environment.problems import Problem, unknown

_TAKEN = {"postgres", "rdb", "template0", "template1"}
"""Databases and users that every instance has."""
_GLACIER_REGIONS = {"fr-par", "nl-ams"}


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of the data services."""
    if environment.postgresql:
        yield from _postgresql(environment, environment.postgresql)
    for section in ("postgresql", "redis"):
        service = environment.postgresql if section == "postgresql" else environment.redis
        for index, role in enumerate(service.clients or [] if service else []):
            if role not in environment.nodes:
                yield Problem((section, "clients", index), unknown(role, environment.nodes, "nodes"))
    yield from _buckets(environment)
    yield from _queues(environment)


def _postgresql(environment: Environment, postgresql: Postgresql) -> Iterator[Problem]:
    for index, name in enumerate(postgresql.databases):
        if name in _TAKEN:
            yield Problem(("postgresql", "databases", index), f"{name!r} is PostgreSQL's own; another name fits")
        if name in postgresql.databases[:index]:
            yield Problem(("postgresql", "databases", index), f"{name!r} is given twice; once is enough")
    admin = environment.names.postgresql_admin
    for name, user in postgresql.users.items():
        if name in {*_TAKEN, admin} or name.startswith("pg_"):
            message = f"{name!r} is a user that exists already; another name fits"
            yield Problem(("postgresql", "users", name), message)
        for database in user.databases:
            if database not in postgresql.databases:
                message = unknown(database, postgresql.databases, "postgresql.databases")
                yield Problem(("postgresql", "users", name, "databases", database), message)
    if postgresql.volume.size % 5_000_000_000:
        yield Problem(("postgresql", "volume", "size"), "the size must be a multiple of 5GB; 10GB fits")
    if postgresql.backup.every % 3600:
        yield Problem(("postgresql", "backup", "every"), "whole hours only; 24h fits")


def _buckets(environment: Environment) -> Iterator[Problem]:
    for key, bucket in environment.buckets.items():
        name = environment.names.bucket(key)
        if len(name) > 63:
            yield Problem(("buckets", key), f"its name {name} has {len(name)} characters; at most 63 fit")
        for application in bucket.access:
            if application not in environment.applications:
                message = unknown(application, environment.applications, "applications")
                yield Problem(("buckets", key, "access", application), message)
        for index, rule in enumerate(bucket.lifecycle):
            path = ("buckets", key, "lifecycle", index)
            if rule.expire_noncurrent_days and not bucket.versioned:
                message = "without versioning there are no noncurrent versions; versioning: true fits, or no such rule"
                yield Problem((*path, "expire_noncurrent_days"), message)
            glacier = rule.transition and rule.transition.storage_class == "GLACIER"
            if glacier and environment.region not in _GLACIER_REGIONS:
                message = f"the region {environment.region} has no GLACIER; ONEZONE_IA fits"
                yield Problem((*path, "transition", "storage_class"), message)


def _queues(environment: Environment) -> Iterator[Problem]:
    sqs = environment.sqs
    if not sqs:
        return
    if environment.region != "fr-par":
        yield Problem(("sqs",), f"the region {environment.region} has no SQS; only fr-par has")
    count = len(sqs.queues) + sum(1 for queue in sqs.queues.values() if queue.dlq) + bool(environment.health)
    if count > sqs.quota:
        message = (
            f"{count} with the dead-letter queues, but the project's quota is {sqs.quota}; "
            "remove some, or have Scaleway raise it and set sqs.quota"
        )
        yield Problem(("sqs", "queues"), message)
    for key, queue in sqs.queues.items():
        base = key.removesuffix("-dlq")
        if base != key and base not in sqs.queues:
            message = f"a dead-letter queue belongs to a queue; {base}: {{dlq: true}} makes both"
            yield Problem(("sqs", "queues", key), message)
        elif base != key and not sqs.queues[base].dlq:
            message = f"the name says dead-letter queue of {base}; dlq: true there makes it, and this key must go"
            yield Problem(("sqs", "queues", key), message)
        if queue.content_based_deduplication and not queue.fifo:
            message = "only FIFO queues know it; fifo: true fits, or false here"
            yield Problem(("sqs", "queues", key, "content_based_deduplication"), message)
        if queue.dlq and queue.dlq.retention < queue.retention:
            message = "shorter than the queue's own retention, and a message keeps its age; at least as long fits"
            yield Problem(("sqs", "queues", key, "dlq", "retention"), message)
