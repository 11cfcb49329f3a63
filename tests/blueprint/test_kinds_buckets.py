"""What the buckets of a file become, and the seal over them."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.environment import parse
from blueprint.errors import EnvironmentFileError
from blueprint.graph import resources_of
from blueprint.plan import Plan
from blueprint.planner import Wishes, make_destroy_plan, make_plan
from blueprint.resource import Observed, Resource, ref, resolve

NAME = "equitya-prod-files"
KINDS = ("vpc", "seal", "application", "bucket", "bucket_policy")


def resources(applications: Any = None, **buckets: Any) -> dict[str, Resource]:
    """The resources of a file with these buckets of the domain `equitya`."""
    file = {
        "org": "lssm",
        "env": "prod",
        "network": {"cidr": "10.0.0.0/24"},
        "applications": applications or {"backend": {}, "reports": {}},
        "buckets": {f"equitya/{name}": bucket for name, bucket in buckets.items()},
    }
    return {item.key: item for item in resources_of(parse(file)) if item.kind in KINDS}


def existing(found: dict[str, Resource]) -> list[Observed]:
    """Their objects, as they should be."""
    return [
        Observed(
            kind=item.kind,
            name=item.name,
            id=key,
            fields=resolve(item.fields, lambda key, output: key),
            outputs={"id": key},
            parent_id=item.parent,
            protected=True if item.kind == "bucket" else None,
        )
        for key, item in found.items()
    ]


def digest(**buckets: Any) -> Any:
    """What the seal says of them."""
    return resources(**buckets)["seal.buckets"].fields["digest"]


def actions(plan: Plan) -> dict[str, str]:
    """What happens to each key."""
    return {change.key: change.action for change in plan.changes}


def test_bucket_by_default() -> None:
    """Named after its domain, protected, with nothing set; without access there is no policy."""
    found = resources(files={})
    bucket = found[f"bucket.{NAME}"]
    assert (bucket.name, bucket.protected) == (NAME, True)
    assert bucket.fields == {"versioning": False, "locks": False, "retention": None, "lifecycle": [], "cors": []}
    assert f"bucket_policy.{NAME}" not in found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"expire_days": 7}, {"expire_days": 7}),
        ({"prefix": "tmp/", "abort_multipart_days": 1}, {"prefix": "tmp/", "abort_multipart_days": 1}),
        (
            {"transition": {"after_days": 30, "storage_class": "GLACIER"}},
            {"transition_days": 30, "transition_class": "GLACIER"},
        ),
    ],
)
def test_lifecycle(rule: dict[str, Any], expected: dict[str, Any]) -> None:
    """Every part is declared, so that one added by hand shows."""
    none = ("expire_days", "expire_noncurrent_days", "transition_days", "transition_class", "abort_multipart_days")
    (found,) = resources(files={"lifecycle": [rule]})[f"bucket.{NAME}"].fields["lifecycle"]
    assert found == {"prefix": "", **dict.fromkeys(none), **expected}


def test_object_lock_brings_versioning() -> None:
    """Which is why rules about old versions make sense; and it is no setting that could be changed later."""
    locked = {"object_lock": {"days": 30}, "lifecycle": [{"expire_noncurrent_days": 31}]}
    with_lock = resources(files=locked)
    fields = with_lock[f"bucket.{NAME}"].fields

    assert (fields["versioning"], fields["locks"]) == (True, True)
    assert fields["retention"] == {"mode": "governance", "days": 30}
    without = resources(files={**locked, "object_lock": None, "versioning": True})
    longer = resources(files={**locked, "object_lock": {"days": 60}})
    assert actions(make_plan("lssm-prod", list(without.values()), existing(with_lock)))[f"bucket.{NAME}"] == "conflict"
    assert actions(make_plan("lssm-prod", list(longer.values()), existing(with_lock)))[f"bucket.{NAME}"] == "update"


def test_the_bucket_of_backups_is_the_engines_alone() -> None:
    """It has a policy even if it names nobody: an application of the project could read and delete all backups."""
    file = {"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}, "buckets": {"lssm/backups": {}}}
    found = {item.key: item for item in resources_of(parse(file | {"backup": {"bucket": "lssm/backups"}}))}

    assert found["bucket_policy.lssm-prod-backups"].fields == {"access": []}


def test_methods_of_cors_have_no_order() -> None:
    """Origins and headers keep theirs: the first that matches counts."""
    rule = {"origins": ["https://b", "https://a"], "methods": ["PUT", "GET"], "headers": ["x", "a"]}
    (found,) = resources(files={"cors": [rule]})[f"bucket.{NAME}"].fields["cors"]
    assert found == {**rule, "methods": ["GET", "PUT"], "expose_headers": [], "max_age": 3600}


def test_policy() -> None:
    """Of the bucket, after its applications, in the order of their names."""
    found = resources(files={"access": {"reports": "read", "backend": "readwrite"}})
    policy = found[f"bucket_policy.{NAME}"]
    assert (policy.parent, policy.name) == (f"bucket.{NAME}", f"{NAME}/policy")
    assert policy.fields["access"] == [
        {"application": "backend", "level": "readwrite", "application_id": ref("application.backend")},
        {"application": "reports", "level": "read", "application_id": ref("application.reports")},
    ]
    assert set(policy.dependencies()) == {f"bucket.{NAME}", "application.backend", "application.reports"}


@pytest.mark.parametrize(
    ("bucket", "problem"),
    [
        ({"access": {"nobody": "read"}}, "nobody"),
        ({"lifecycle": [{"expire_noncurrent_days": 1}]}, "without versioning"),
        ({"lifecycle": [{}]}, "does nothing"),
    ],
)
def test_nonsense(bucket: dict[str, Any], problem: str) -> None:
    """Refused before anything is asked of Scaleway."""
    with pytest.raises(EnvironmentFileError, match=problem):
        resources(files=bucket)


def test_buckets_are_held() -> None:
    """With what is in them; one that is named may go, and its policy goes with it."""
    before = resources(files={"access": {"backend": "read"}})
    without = [item for item in before.values() if item.kind in ("vpc", "application")]
    assert actions(make_plan("lssm-prod", without, existing(before)))[f"bucket.{NAME}"] == "held"
    allowed = Wishes(allow_destroy=(f"bucket.{NAME}",))
    assert actions(make_destroy_plan("lssm-prod", before.values(), existing(before), allowed))[f"bucket.{NAME}"] == (
        "delete"
    )


# -- the seal --------------------------------------------------------------------------------------------------


def test_seal_comes_last() -> None:
    """It depends on all that it vouches for; a file without buckets has none."""
    found = resources(files={"access": {"backend": "read"}}, logs={})
    assert set(found["seal.buckets"].depends_on) == {
        f"bucket.{NAME}",
        f"bucket_policy.{NAME}",
        "bucket.equitya-prod-logs",
    }
    assert (found["seal.buckets"].parent, found["seal.buckets"].name) == ("vpc.main", "vpc-lssm-prod/buckets")
    assert "seal.buckets" not in resources()


def test_digest_follows_the_meaning() -> None:
    """Not the order of the file; everything that is set on a bucket or in its policy counts."""
    assert digest(files={}, logs={"versioning": True}) == digest(logs={"versioning": True}, files={"versioning": False})
    settings: list[dict[str, Any]] = [
        {},
        {"versioning": True},
        {"lifecycle": [{"expire_days": 7}]},
        {"cors": [{"origins": ["*"], "methods": ["GET"]}]},
        {"access": {"backend": "read"}},
        {"access": {"backend": "readwrite"}},
        {"access": {"reports": "read"}},
    ]
    assert len({digest(files=setting) for setting in settings}) == len(settings)
    assert digest(files={}) != digest(logs={})


def test_seal_is_made_again_after_any_write() -> None:
    """A write breaks it, whether or not the file changed; a write elsewhere does not."""
    found = resources(files={"access": {"backend": "read"}})
    objects = existing(found)

    def plan_with(kind: str, **fields: Any) -> Plan:
        return make_plan(
            "lssm-prod",
            found.values(),
            [
                item.model_copy(update={"fields": item.fields | fields}) if item.kind == kind else item
                for item in objects
            ],
        )

    assert not make_plan("lssm-prod", found.values(), objects).changes
    assert not {"seal.buckets"} & set(actions(plan_with("application", description="x")))
    for plan, written in (
        (plan_with("bucket", versioning=True), f"bucket.{NAME}"),
        (plan_with("bucket_policy", access=[]), f"bucket_policy.{NAME}"),
    ):
        assert actions(plan) == {written: "update", "seal.buckets": "update"}
        (seal,) = [step for step in plan.steps if step.changes == ("seal.buckets",)]
        assert seal.after == (f"update {written}",)


def test_seal_waits_for_removals() -> None:
    """They break it too, and are not among what it depends on."""
    before, after = resources(files={"access": {"backend": "read"}}), resources(files={})
    plan = make_plan("lssm-prod", after.values(), existing(before))
    assert actions(plan) == {f"bucket_policy.{NAME}/policy": "delete", "seal.buckets": "update"}
    (seal,) = [step for step in plan.steps if step.changes == ("seal.buckets",)]
    assert seal.after == (f"delete bucket_policy.{NAME}/policy",)
