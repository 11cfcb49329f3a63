"""Looking at everything: complete, ours only, and with few requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from scaleway.vpc.v2 import VpcV2API

from activities.cloud import Cloud
from activities.kinds.vpc import VpcLifecycle
from activities.lifecycle import Lifecycle, Parent, Scope
from activities.observation import observe
from activities.registry import LIFECYCLES
from blueprint.errors import Unavailable
from blueprint.kinds import KINDS
from blueprint.kinds.seal import SEALED
from blueprint.names import SEAL
from blueprint.resource import Observed, Resource
from tests.activities.conftest import Control, declared

OURS = ["managed-by=scaleway-infra", "environment=lssm-prod"]
WITHOUT_TEMPORAL = ("schedule",)
"""Kinds that are not at Scaleway."""


@pytest.fixture(autouse=True)
def _at_scaleway(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in WITHOUT_TEMPORAL:
        monkeypatch.delitem(KINDS, kind)


@pytest.fixture
def lifecycles(cloud: Cloud) -> dict[str, Lifecycle]:
    """Every kind's."""
    return {kind: cls(cloud) for kind, cls in LIFECYCLES.items()}


def resources(snippet: Mapping[str, object] | None = None) -> list[Resource]:
    """What a small file asks for."""
    found = declared({"security_groups": {}, **(snippet or {})}).values()
    return [resource for resource in found if resource.kind in KINDS]


def look(
    lifecycles: Mapping[str, Lifecycle], wanted: Iterable[Resource], *, refresh: bool = False
) -> dict[tuple[str, str], Observed]:
    """What exists, by kind and name, each once."""
    objects = observe(lifecycles, wanted, refresh=refresh)
    found = {(item.kind, item.name): item for item in objects}
    assert len(found) == len(objects)
    return found


def test_nothing(lifecycles: dict[str, Lifecycle]) -> None:
    """An empty project holds nothing of ours, and every kind has been looked at."""
    told: list[str] = []
    assert observe(lifecycles, resources(), refresh=False, progress=told.append) == ()
    assert len(told) == len(set(told))
    assert {kind.name for kind in KINDS.values() if not kind.parent} <= set(told)


def test_ours_and_what_stands_under_our_names(lifecycles: dict[str, Lifecycle], emulator: Control) -> None:
    """Ours whatever its name, a stranger only under a name of the file; what is under the stranger too."""
    for name, tags in (("vpc-lssm-prod", []), ("old", OURS), ("stranger", ["x"])):
        emulator.call("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": name, "tags": tags})
    found = look(lifecycles, resources())
    assert {name: item.ownership for (kind, name), item in found.items() if kind == "vpc"} == {
        "vpc-lssm-prod": "foreign",
        "old": "ours",
    }
    assert {name for kind, name in found if kind == "vpc_acl"} == {"vpc-lssm-prod/ipv4", "old/ipv4"}
    assert not [item for item in look(lifecycles, []).values() if item.ownership == "foreign"]


def test_requests_do_not_grow_with_objects(lifecycles: dict[str, Lifecycle], emulator: Control) -> None:
    """Fifty networks and secrets more cost not one request more."""
    vpc = emulator.call("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": "vpc-lssm-prod", "tags": OURS})

    def counted() -> int:
        before = int(emulator.requests()["total"])
        look(lifecycles, resources())
        return int(emulator.requests()["total"]) - before

    few = counted()
    for number in range(50):
        body = {"name": f"n{number}", "vpc_id": vpc["id"], "tags": OURS}
        emulator.call("POST", "/vpc/v2/regions/fr-par/private-networks", body)
        secret = {"name": f"s{number}", "path": "/lssm/prod", "project_id": vpc["project_id"], "tags": OURS}
        emulator.call("POST", "/secret-manager/v1beta1/regions/fr-par/secrets", secret)
    assert counted() == few
    assert len([1 for kind, _ in look(lifecycles, resources()) if kind in ("private_network", "secret")]) == 100


def test_a_list_that_fails(lifecycles: dict[str, Lifecycle], emulator: Control) -> None:
    """Half a look is none: what was not seen must not count as missing."""
    emulator.faults({"operation": "GET /vpc/v2/*/private-networks", "kind": "unavailable", "count": 1})
    with pytest.raises(Unavailable, match="private-networks"):
        observe(lifecycles, resources(), refresh=False)


def test_a_parent_that_goes_meanwhile(cloud: Cloud, lifecycles: dict[str, Lifecycle], emulator: Control) -> None:
    """Somebody deletes the VPC between its listing and that of its ACL: the ACL is gone, nothing worse."""

    class Vanishing(VpcLifecycle):
        def list(self, parent: Parent, scope: Scope) -> Iterable[Observed]:
            found = [*super().list(parent, scope)]
            for item in found:
                if item.name == "vpc-lssm-prod":
                    self.cloud.api(VpcV2API).delete_vpc(vpc_id=item.id)
            return found

    emulator.call("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": "vpc-lssm-prod", "tags": OURS})
    found = look({**lifecycles, "vpc": Vanishing(cloud)}, resources())
    assert [key for key in found if key[0].startswith("vpc")] == [("vpc", "vpc-lssm-prod")]


@pytest.mark.parametrize(
    ("seal", "refresh", "detailed"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_the_seal(
    lifecycles: dict[str, Lifecycle], emulator: Control, seal: bool, refresh: bool, detailed: bool
) -> None:
    """Under a seal that says what the file says, buckets are not read one by one, unless somebody wants that."""
    wanted = resources({"buckets": {"shop/a": {}, "shop/b": {"versioning": True}}})
    buckets = [resource for resource in wanted if resource.kind == "bucket"]
    for bucket in buckets:
        lifecycles["bucket"].create(bucket)
    digest = next(resource for resource in wanted if resource.key == "seal.buckets").fields["digest"]
    tag = f"{SEAL}-buckets={digest if seal else 'of-another-file'}"
    emulator.call("POST", "/vpc/v2/regions/fr-par/vpcs", {"name": "vpc-lssm-prod", "tags": [*OURS, tag]})
    before = emulator.requests()["operations"].get("S3 GetBucketVersioning", 0)

    found = look(lifecycles, wanted, refresh=refresh)

    seen = [found["bucket", bucket.name] for bucket in buckets]
    assert [item.detailed for item in seen] == [detailed] * 2
    assert {item.ownership for item in seen} == {"ours"}
    reads = emulator.requests()["operations"].get("S3 GetBucketVersioning", 0) - before
    assert reads == (len(buckets) if detailed else 0)


def test_every_kind_is_complete() -> None:
    """Both halves of each kind, parents and seals that exist: a look that waited for another would never end."""
    assert set(LIFECYCLES) == set(KINDS) | set(WITHOUT_TEMPORAL)
    for name, kind in KINDS.items():
        assert kind.name == name
        assert not kind.parent or kind.parent in KINDS
        assert not kind.seal or kind.seal in SEALED
        assert set(kind.outlives) <= set(KINDS)
