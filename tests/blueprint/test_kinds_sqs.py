"""What the queues of a file become, and the seal over them."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.errors import EnvironmentFileError
from blueprint.graph import resources_of
from blueprint.plan import Plan
from blueprint.planner import make_destroy_plan, make_plan
from blueprint.resource import Observed, Resource, ref, resolve
from tests.blueprint.steps import before

KINDS = ("vpc", "seal", "secret", "sqs", "sqs_credentials", "queue")
JOBS = "queue.equitya-prod-jobs"


def resources(credentials: Any = None, quota: int = 50, **queues: Any) -> dict[str, Resource]:
    """The resources of a file with these queues of the domain `equitya`."""
    sqs = {
        "queues": {f"equitya/{name}": queue for name, queue in queues.items()},
        "credentials": credentials or {},
        "quota": quota,
    }
    file = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}, "sqs": sqs}
    return {item.key: item for item in resources_of(parse(file)) if item.kind in KINDS}


def existing(found: dict[str, Resource]) -> list[Observed]:
    """Their objects, as they should be."""
    objects = []
    for key, item in found.items():
        fields = resolve(item.fields, lambda key, output: key)
        uses = ["sqs.main"] if item.kind in ("queue", "sqs_credentials") else []
        if redrive := fields.get("redrive"):
            uses.append(redrive["dead_letter_queue"])
        objects.append(
            Observed(
                kind=item.kind,
                name=item.name,
                id=key,
                fields=fields,
                outputs={"id": key, "arn": key},
                parent_id=item.parent,
                uses=tuple(uses),
            )
        )
    return objects


def actions(plan: Plan) -> dict[str, str]:
    """What happens to each key."""
    return {change.key: change.action for change in plan.changes}


def test_queue_by_default() -> None:
    """Under the activation, made with the engine's own credentials."""
    found = resources(jobs={})
    queue = found[JOBS]
    assert (queue.name, queue.parent) == ("lssm-prod-sqs/equitya-prod-jobs", "sqs.main")
    assert queue.fields == {
        "retention": 345_600,
        "visibility_timeout": 30,
        "fifo": False,
        "content_based_deduplication": False,
        "redrive": None,
    }
    assert set(queue.dependencies()) == {"sqs.main", "sqs_credentials.engine"}
    assert found["sqs_credentials.engine"].fields["permissions"] == ["manage", "publish", "receive"]


@pytest.mark.parametrize(
    ("queue", "name", "dead_letters"),
    [
        ({"dlq": True}, "equitya-prod-jobs", "equitya-prod-jobs-dlq"),
        ({"dlq": True, "fifo": True}, "equitya-prod-jobs.fifo", "equitya-prod-jobs-dlq.fifo"),
    ],
)
def test_dead_letters(queue: dict[str, Any], name: str, dead_letters: str) -> None:
    """Of the same type, kept as long as can be, referred to by ARN, and with no redrive of their own."""
    found = resources(jobs=queue)
    redrive = {"dead_letter_queue": ref(f"queue.{dead_letters}", "arn"), "max_receive_count": 5}
    assert found[f"queue.{name}"].fields["redrive"] == redrive
    target = found[f"queue.{dead_letters}"].fields
    assert (target["retention"], target["redrive"], target["fifo"]) == (1_209_600, None, queue.get("fifo", False))
    assert f"queue.{dead_letters}" in found[f"queue.{name}"].dependencies()


def test_credentials_and_their_places() -> None:
    """The place of a secret half is there first."""
    found = resources(credentials={"backend": ["receive", "publish"]})
    backend = found["sqs_credentials.backend"]
    assert backend.fields == {"permissions": ["publish", "receive"], "kept": True}
    assert backend.inputs == {"secret": {"path": "/lssm/prod", "name": "sqs-backend"}}
    assert set(backend.depends_on) == {"sqs.main", "secret.sqs-backend"}


def test_without_the_section_nothing() -> None:
    """Neither SQS nor the engine's credentials."""
    file = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}}
    assert not {"sqs", "sqs_credentials", "queue"} & {item.kind for item in resources_of(parse(file))}


@pytest.mark.parametrize(
    ("queues", "problem"),
    [
        ({"jobs": {"content_based_deduplication": True}}, "only FIFO"),
        ({"jobs-dlq": {}}, "belongs to a queue"),
        ({"jobs": {}, "jobs-dlq": {}}, "this key must go"),
        ({"jobs": {"dlq": {"retention": "1d"}}}, "shorter than"),
        ({"a": {"dlq": True}, "b": {}}, "quota is 2"),
    ],
)
def test_nonsense(queues: dict[str, Any], problem: str) -> None:
    """Refused before anything is asked of Scaleway."""
    with pytest.raises(EnvironmentFileError, match=problem):
        resources(quota=2, **queues)


def test_lost_secret_half_replaces_credentials() -> None:
    """And then the queues, which nobody could see without them, are found again."""
    found = resources(jobs={})
    objects = [
        item.model_copy(update={"fields": item.fields | {"kept": False}}) if item.kind == "sqs_credentials" else item
        for item in existing(found)
        if item.kind != "queue"
    ]
    plan = make_plan("lssm-prod", found.values(), objects)
    assert actions(plan) == {"sqs_credentials.engine": "replace", JOBS: "create", "seal.queues": "update"}
    assert before(plan, "create sqs_credentials.engine", f"create {JOBS}")
    assert before(plan, f"create {JOBS}", "update seal.queues")


def test_a_queue_lets_go_of_its_dead_letters_first() -> None:
    """Then they go; the seal is set once both is done."""
    plan = make_plan("lssm-prod", resources(jobs={}).values(), existing(resources(jobs={"dlq": True})))
    removal = "delete queue.lssm-prod-sqs/equitya-prod-jobs-dlq"
    assert before(plan, f"update {JOBS}", removal)
    assert before(plan, removal, "update seal.queues")


def test_fifo_is_for_life() -> None:
    """The name says it too, so it is another queue."""
    plan = make_plan("lssm-prod", resources(jobs={"fifo": True}).values(), existing(resources(jobs={})))
    assert actions(plan) == {
        f"{JOBS}.fifo": "create",
        "queue.lssm-prod-sqs/equitya-prod-jobs": "delete",
        "seal.queues": "update",
    }


def test_destroy() -> None:
    """Queues are removed while there is a key for it; the place of the key is protected."""
    found = resources(jobs={"dlq": True})
    plan = make_destroy_plan("lssm-prod", found.values(), existing(found))
    assert before(plan, f"delete {JOBS}", f"delete {JOBS}-dlq")
    assert before(plan, f"delete {JOBS}-dlq", "delete sqs_credentials.engine")
    assert before(plan, "delete sqs_credentials.engine", "delete sqs.main")
    assert actions(plan)["secret.sqs-engine"] == "held"


def test_digest_follows_the_meaning() -> None:
    """Not the order of the file, nor credentials; everything that is set on a queue or its dead letters counts."""

    def digest(**file: Any) -> Any:
        return resources(**file)["seal.queues"].fields["digest"]

    assert digest(a={}, b={"dlq": True}) == digest(b={"dlq": {}}, a={}, credentials={"backend": ["publish"]})
    settings: list[dict[str, Any]] = [
        {},
        {"retention": "1h"},
        {"visibility_timeout": "1m"},
        {"fifo": True},
        {"fifo": True, "content_based_deduplication": True},
        {"dlq": True},
        {"dlq": {"max_receive_count": 6}},
        {"dlq": {"retention": "5d"}},
    ]
    assert len({digest(jobs=setting) for setting in settings}) == len(settings)
