"""SQS: activation, credentials, queues and their dead-letter queues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blueprint.environment import Environment
from blueprint.environment.sqs import Permission, Queue
from blueprint.kinds.kind import Kind
from blueprint.names import ENGINE_CREDENTIALS
from blueprint.resource import Resource, ref, secret

SQS = "sqs.main"
ENGINE_KEY = f"sqs_credentials.{ENGINE_CREDENTIALS}"
ENGINE_PERMISSIONS: list[Permission] = ["publish", "receive", "manage"]
"""What the engine's own credentials may do."""


def _activation(environment: Environment) -> Iterable[Resource]:
    if environment.sqs:
        yield Resource(key=SQS, kind="sqs", name=f"{environment.names.stem}-sqs")


def _credentials(environment: Environment) -> Iterable[Resource]:
    if not environment.sqs:
        return
    declared = environment.sqs.credentials | {ENGINE_CREDENTIALS: ENGINE_PERMISSIONS}
    for name, permissions in declared.items():
        secret_name = environment.names.sqs_secret(name)
        yield Resource(
            key=f"sqs_credentials.{name}",
            kind="sqs_credentials",
            name=environment.names.sqs_credentials(name),
            fields={"permissions": sorted(permissions), "kept": True},
            inputs={"secret": {"path": environment.names.secret_path, "name": secret_name}},
            depends_on=(SQS, f"secret.{secret_name}"),
        )


_HEALTH = Queue(visibility_timeout=1.0, retention=60.0)
"""Of the queue for health checks: what one of them leaves behind is gone before anybody counts it."""


def queues(environment: Environment) -> Iterable[Resource]:
    """The queues, each after the dead-letter queue that it refers to, and the one of the health checks."""
    if environment.sqs and environment.health:
        yield _queue(
            environment, environment.names.health_queue, _fields(_HEALTH, _HEALTH.retention) | {"redrive": None}
        )
    for key, queue in environment.sqs.queues.items() if environment.sqs else ():
        name = environment.names.queue(key, fifo=queue.fifo)
        dead_letters = environment.names.dead_letter_queue(key, fifo=queue.fifo)
        if queue.dlq:
            yield _queue(environment, dead_letters, _fields(queue, queue.dlq.retention) | {"redrive": None})
        redrive = {}
        if queue.dlq:
            redrive = {
                "dead_letter_queue": ref(f"queue.{dead_letters}", "arn"),
                "max_receive_count": queue.dlq.max_receive_count,
            }
        yield _queue(environment, name, _fields(queue, queue.retention) | {"redrive": redrive or None})


def _fields(queue: Queue, retention: float) -> dict[str, object]:
    return {
        "retention": int(retention),
        "visibility_timeout": int(queue.visibility_timeout),
        "fifo": queue.fifo,
        "content_based_deduplication": queue.content_based_deduplication,
    }


def _queue(environment: Environment, name: str, fields: Mapping[str, object]) -> Resource:
    names = environment.names
    return Resource(
        key=f"queue.{name}",
        kind="queue",
        name=f"{names.stem}-sqs/{name}",
        parent=SQS,
        fields=dict(fields),
        inputs={"credentials": secret(names.secret_path, names.sqs_secret(ENGINE_CREDENTIALS))},
        depends_on=(ENGINE_KEY,),
    )


KINDS = (
    Kind(
        name="sqs",
        title="SQS activation",
        product="sqs",
        resources=_activation,
        permission_sets=("MessagingAndQueuingFullAccess",),
        settles=False,
        lingers=False,
        tells_more=True,
    ),
    Kind(
        name="sqs_credentials",
        title="SQS credentials",
        product="sqs",
        resources=_credentials,
        permission_sets=("MessagingAndQueuingFullAccess", "SecretManagerFullAccess"),
        immutable={"kept": "its secret half was told once and is not in Secret Manager"},
        outlives=("queue",),
        settles=False,
        lingers=False,
    ),
    Kind(
        name="queue",
        title="queue",
        product="sqs",
        resources=queues,
        permission_sets=("MessagingAndQueuingFullAccess", "SecretManagerFullAccess"),
        parent="sqs",
        immutable={"fifo": "a queue is FIFO or not from its birth"},
        settles=False,
        lingers=False,
        tells_more=True,
        seal="queues",
    ),
)
