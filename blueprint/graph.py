"""The graph of resources: who needs whom."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from blueprint.environment import Environment
from blueprint.errors import EnvironmentFileError
from blueprint.kinds import KINDS
from blueprint.resource import Resource


def resources_of(environment: Environment) -> tuple[Resource, ...]:
    """Every resource that the environment asks for, in order of the registry.

    Raises:
        EnvironmentFileError: two resources have one key, or one name within their kind.
    """
    found: dict[str, Resource] = {}
    names: dict[tuple[str, str], str] = {}
    for kind in KINDS.values():
        for resource in kind.resources(environment):
            if resource.key in found:
                raise EnvironmentFileError("two resources have this key", subject=resource.key)
            other = names.setdefault((resource.kind, resource.name), resource.key)
            if other != resource.key:
                raise EnvironmentFileError(
                    f"has the same name as {other}: {resource.name!r}", subject=resource.key, remedy="rename one"
                )
            found[resource.key] = resource
    return tuple(found.values())


def in_dependency_order(resources: Iterable[Resource]) -> list[Resource]:
    """The resources, each after everything that it needs; otherwise in the order given.

    Raises:
        EnvironmentFileError: a resource needs one that does not exist, or itself in a circle.
    """
    by_key = {resource.key: resource for resource in resources}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for resource in by_key.values():
        for needed in resource.dependencies():
            if needed not in by_key:
                raise EnvironmentFileError(f"needs {needed}, which the file does not declare", subject=resource.key)
        sorter.add(resource.key, *resource.dependencies())
    try:
        return [by_key[key] for key in sorter.static_order()]
    except CycleError as error:
        raise EnvironmentFileError("resources need each other: " + " -> ".join(error.args[1])) from error
