"""What the blueprint talks about: resources that should exist, and objects that do.

A resource's `fields` are compared with what is observed and sent to the API. Its `inputs` are needed to act (the
parent's id, where a password is kept) and never compared. Either may hold references:

    {"$ref": "vpc.main", "output": "id"}        an output of another resource, known once that one exists
    {"$secret": "/lssm/prod", "name": "..."}    a secret's place; the activity that needs the value reads it there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from blueprint.errors import MissingReference

UNKNOWN = "(known after apply)"
"""Stands in a plan for a value that exists only once another step is done."""


class Model(BaseModel):
    """Base of everything that crosses a border: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Resource(Model):
    """One object that the environment file asks for."""

    key: str
    """Address in plans and graphs, unique in the environment: "<kind>.<label>", such as "lb_frontend.https"."""
    kind: str
    """Name of the kind, a key of the registry in `blueprint.kinds`."""
    name: str
    """By what it is recognised among the objects of its kind: its name at Scaleway, or, under a parent, the parent's
    name and a natural key: "lssm-prod-lb/https", "lssm.tech/api/A"."""
    fields: dict[str, Any] = {}
    """Declared values: compared with what exists, and applied."""
    inputs: dict[str, Any] = {}
    """Needed to create, change or delete it, not compared."""
    parent: str = ""
    """Key of the resource that holds this one, for kinds that live under a parent."""
    depends_on: tuple[str, ...] = ()
    """Keys of resources that must be ready first, besides those that `fields` and `inputs` refer to."""
    protected: bool = False
    """Whether a plan may delete or replace it only with the file's explicit word."""

    def dependencies(self) -> tuple[str, ...]:
        """Keys of every resource this one needs, sorted."""
        found = set(self.depends_on) | ({self.parent} if self.parent else set())
        found.update(reference["$ref"] for reference in references([self.fields, self.inputs]))
        return tuple(sorted(found))


Ownership = Literal["ours", "foreign"]
Health = Literal["ok", "pending", "failed"]


class Observed(Model):
    """One object that exists."""

    kind: str
    name: str
    """As in `Resource.name`, computed by the same rule from what the API shows."""
    id: str
    """By which the API addresses it."""
    fields: dict[str, Any] = {}
    """The same fields in the same form as a resource of this kind declares them."""
    outputs: dict[str, Any] = {}
    """What others may refer to: id, address, ... `id` is always there."""
    status: str = "ready"
    """The API's own word."""
    health: Health = "ok"
    """What `status` means: usable, on its way, or in need of a person."""
    ownership: Ownership = "ours"
    """Ours by tag (or, where a kind has no tags, by name under an object of ours); foreign otherwise."""
    protected: bool | None = None
    """Whether the object itself says that it is protected (a tag); None where its kind has no tags."""
    parent_id: str = ""
    """Id of the object that holds this one."""
    uses: tuple[str, ...] = ()
    """Ids of the objects that this one holds on to; none of them can be deleted before it."""
    inputs: dict[str, Any] = {}
    """What deleting it needs besides its id and its parent's."""
    shared: bool = False
    """Whether another environment in the same project needs it too: it is not removed with this one."""
    detailed: bool = True
    """False if only its existence was looked up: its fields are covered by the seal (see `blueprint.kinds.seal`)."""

    @property
    def is_part(self) -> bool:
        """Whether it is a part of its parent with no id of its own, as a gateway's bastion is."""
        return self.id == self.parent_id


def ref(key: str, output: str = "id") -> dict[str, str]:
    """A reference to an output of another resource."""
    return {"$ref": key, "output": output}


def secret(path: str, name: str, field: str = "") -> dict[str, str]:
    """A reference to a secret: its folder and name in Secret Manager, and a key in it if it holds JSON."""
    return {"$secret": path, "name": name, "field": field}


def references(value: Any) -> Iterator[Mapping[str, str]]:
    """Every `$ref` in a JSON value, however deep."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield value
        else:
            for child in value.values():
                yield from references(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from references(child)


def resolve(value: Any, lookup: Callable[[str, str], Any]) -> Any:
    """The value with every `$ref` replaced by what `lookup(key, output)` gives."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            return lookup(value["$ref"], value["output"])
        return {key: resolve(child, lookup) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(child, lookup) for child in value]
    return value


def resolve_known(value: Any, outputs: Mapping[str, Mapping[str, Any]], subject: str) -> Any:
    """The value with every `$ref` replaced from `outputs`, by resource key.

    Raises:
        MissingReference: an output is not there.
    """

    def lookup(key: str, output: str) -> Any:
        try:
            return outputs[key][output]
        except KeyError:
            raise MissingReference(
                f"needs {output!r} of {key}, which is not known",
                subject=subject,
                remedy=f"retry {key} first, or skip this step too",
            ) from None

    return resolve(value, lookup)
