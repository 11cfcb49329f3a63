"""Queues, SQS-compatible."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from blueprint.environment.base import Section, Shorthand
from blueprint.environment.scalars import DomainKey, Label, Seconds


class DeadLetterQueue(Section):
    """Where messages go that cannot be processed: `<queue>-dlq`."""

    max_receive_count: int = Field(default=5, ge=1, le=1000)
    """Deliveries after which a message is given up."""
    retention: Annotated[Seconds, Field(ge=60, le=1_209_600)] = 1_209_600.0
    """How long given-up messages are kept, 14d at most."""


def _dead_letter_queue(value: Any) -> Any:
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


class Queue(Section):
    """A queue, `<domain>-<env>-<what>`."""

    visibility_timeout: Annotated[Seconds, Field(ge=0, le=43_200)] = 30.0
    """How long a delivered message is hidden from others, 12h at most.

    Longer than the longest job: Scaleway cannot extend it for a message in work.
    """
    retention: Annotated[Seconds, Field(ge=60, le=1_209_600)] = 345_600.0
    """How long a message is kept, 14d at most."""
    fifo: bool = False
    """Whether order is kept and one message at a time is in work; the name ends with .fifo."""
    content_based_deduplication: bool = False
    """Whether equal bodies within five minutes count once. For FIFO queues."""
    dlq: Annotated[DeadLetterQueue | None, Shorthand(_dead_letter_queue, {"type": "boolean"})] = None
    """Dead-letter queue: `true`, or its settings; none if left out."""


Permission = Literal["publish", "receive", "manage"]


class Sqs(Section):
    """SQS, activated for the project if this section is there."""

    queues: dict[DomainKey, Queue] = Field(default={})
    """Queues, by `<domain>/<what>`."""
    quota: int = Field(default=50, ge=1)
    """Queues that Scaleway allows the project, dead-letter queues included: 50, and more on request."""
    credentials: dict[Label, Annotated[list[Permission], Field(min_length=1)]] = Field(
        default={}, examples=[{"backend": ["publish", "receive"]}]
    )
    """Credentials, by name, each with what it may do; they are kept in Secret Manager. The engine has its own."""
