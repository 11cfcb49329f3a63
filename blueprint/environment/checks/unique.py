"""Checks that no two objects of one kind end up with one name."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.environment import Environment
from blueprint.environment.problems import Problem

Named = tuple[str, str, tuple[str | int, ...]]


def check(environment: Environment) -> Iterator[Problem]:
    """Problems of names that follow from two places."""
    seen: dict[tuple[str, str], tuple[str | int, ...]] = {}
    for kind, name, path in named(environment):
        if (kind, name) in seen:
            other = Problem(seen[kind, name], "").place
            yield Problem(path, f"the {kind} would be named {name}, as that of {other}; another key fits")
        seen.setdefault((kind, name), path)


def named(environment: Environment) -> Iterator[Named]:
    """Kind, name and place of everything whose name could follow from two places."""
    names = environment.names
    for role in environment.nodes:
        for name in environment.node_names(role):
            yield "node", name, ("nodes", role)
    for key in environment.buckets:
        yield "bucket", names.bucket(key), ("buckets", key)
    for key, queue in environment.sqs.queues.items() if environment.sqs else ():
        yield "queue", names.queue(key, fifo=queue.fifo), ("sqs", "queues", key)
        if queue.dlq:
            yield "queue", names.dead_letter_queue(key, fifo=queue.fifo), ("sqs", "queues", key, "dlq")
