"""The graph of an environment's resources: complete, in order, and without doubles."""

from __future__ import annotations

from functools import partial

import pytest

from blueprint.environment import Environment, parse
from blueprint.environment.loader import available, read
from blueprint.errors import EnvironmentFileError
from blueprint.graph import in_dependency_order, resources_of
from blueprint.kinds import KINDS, Kind
from blueprint.resource import Resource, ref


def _these(found: list[Resource], environment: Environment) -> list[Resource]:
    return found


def resource(key: str, *needs: str, **more: object) -> Resource:
    """A resource that needs others."""
    return Resource.model_validate({"key": key, "kind": "vpc", "name": key, "depends_on": needs, **more})


@pytest.mark.parametrize("name", available())
def test_environments_of_this_repository(name: str) -> None:
    """Every resource comes after all that it needs, once, under a kind that exists and a key that begins with it."""
    resources = resources_of(parse(read(name)))
    ordered = in_dependency_order(resources)
    place = {item.key: index for index, item in enumerate(ordered)}
    assert len(place) == len(resources)
    for item in resources:
        assert item.key.startswith(f"{item.kind}.")
        assert all(place[needed] < place[item.key] for needed in item.dependencies())
        parent = KINDS[item.kind].parent
        if parent:
            assert item.parent.startswith(f"{parent}.")
            holder = next(other for other in resources if other.key == item.parent)
            assert item.name.startswith(f"{holder.name}/")


def test_what_has_no_order_keeps_the_one_given() -> None:
    """The same file gives the same plan."""
    assert [item.key for item in in_dependency_order(map(resource, "cab"))] == ["c", "a", "b"]


def test_everything_that_a_resource_needs() -> None:
    """Explicit dependencies, the parent, and references however deep in fields and inputs."""
    item = resource("a", "b", parent="c", fields={"x": [{"y": ref("d", "address")}]}, inputs={"z": ref("e")})
    assert item.dependencies() == ("b", "c", "d", "e")


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ([resource("a", "b")], "a: needs b, which the file does not declare"),
        ([resource("a", "a")], "a -> a"),
        ([resource("a", "b"), resource("b", "c"), resource("c", "a")], "resources need each other: "),
    ],
)
def test_what_has_no_order_at_all(resources: list[Resource], words: str) -> None:
    """References into nowhere and circles are refused, and named."""
    with pytest.raises(EnvironmentFileError) as refused:
        in_dependency_order(resources)
    assert words in str(refused.value)


def test_two_resources_of_one_key_or_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither can be: one object would answer to both."""
    environment = parse({"org": "lssm", "env": "prod", "network": {"cidr": "10.0.0.0/24"}})
    for twice, words in (
        ([resource("vpc.a"), resource("vpc.a")], "two resources have this key"),
        ([resource("vpc.a", name="n"), resource("vpc.b", name="n")], "has the same name as vpc.a: 'n'"),
    ):
        monkeypatch.setitem(KINDS, "vpc", Kind("vpc", "VPC", "vpc", partial(_these, twice)))
        with pytest.raises(EnvironmentFileError, match=words):
            resources_of(environment)
