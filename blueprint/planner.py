"""How a plan comes about: each resource is held against the object that answers to its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from blueprint.errors import EnvironmentFileError
from blueprint.graph import in_dependency_order
from blueprint.kinds import KINDS
from blueprint.ordering import steps_for
from blueprint.plan import MUTATING, Action, Change, Difference, Plan
from blueprint.protection import REMEDY, hold_what_stays_with_it, is_protected
from blueprint.resource import UNKNOWN, Observed, Resource, references, resolve

REPLACEABLE = "server"
"""The kind whose objects are replaced for the asking: what is on one comes back by itself."""


@dataclass(frozen=True)
class Wishes:
    """What the caller allows besides what the file says.

    Attributes:
        adopt: keys, or globs of them, of objects made by hand that may become ours.
        allow_destroy: keys, or globs of them, of protected objects that may be deleted or replaced.
        replace: servers that are made anew, each by its key or by its own name.
    """

    adopt: tuple[str, ...] = ()
    allow_destroy: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()

    def adopts(self, key: str) -> bool:
        """Whether this object may be adopted."""
        return any(fnmatchcase(key, pattern) for pattern in self.adopt)

    def lifts_protection(self, key: str) -> bool:
        """Whether this protected object may go."""
        return any(fnmatchcase(key, pattern) for pattern in self.allow_destroy)

    def replaces(self, resource: Resource) -> bool:
        """Whether this server is made anew though it is as declared."""
        return resource.kind == REPLACEABLE and (resource.key in self.replace or resource.name in self.replace)


def make_plan(
    environment: str, resources: Iterable[Resource], observed: Iterable[Observed], wishes: Wishes | None = None
) -> Plan:
    """The plan that makes what exists match the resources.

    Raises:
        EnvironmentFileError: a resource refers to one that does not exist, or to itself in a circle; or what is to be
            replaced is no server.
    """
    return _Planning(environment, tuple(resources), tuple(observed), wishes or Wishes()).plan(destroy=False)


def make_destroy_plan(
    environment: str, resources: Iterable[Resource], observed: Iterable[Observed], wishes: Wishes | None = None
) -> Plan:
    """The plan that removes everything that is ours. The resources lend their keys, so that names stay the file's."""
    return _Planning(environment, tuple(resources), tuple(observed), wishes or Wishes()).plan(destroy=True)


@dataclass
class _Planning:
    environment: str
    resources: tuple[Resource, ...]
    observed: tuple[Observed, ...]
    wishes: Wishes
    changes: dict[str, Change] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def plan(self, *, destroy: bool) -> Plan:
        by_name: dict[tuple[str, str], list[Observed]] = {}
        for item in self.observed:
            by_name.setdefault((item.kind, item.name), []).append(item)
        keys = {(resource.kind, resource.name): resource.key for resource in self.resources}
        if not destroy:
            self._require_servers()
            for resource in in_dependency_order(self.resources):
                self._compare(resource, by_name.get((resource.kind, resource.name), []))
        others = self._of_others() if destroy else frozenset()
        for name, items in by_name.items():
            if destroy or name not in keys:
                for item in items:
                    if item.ownership == "ours" and not item.shared and item.parent_id not in others:
                        self._remove(item, keys.get(name), doubled=len(items) > 1)
        hold_what_stays_with_it(self.changes)
        self._drop_what_dies_with_its_parent()
        self._renew_broken_seals()
        changes = tuple(sorted(self.changes.values(), key=lambda change: change.key))
        referred = {
            reference["$ref"]
            for change in changes
            if change.resource
            for reference in references([change.resource.fields, change.resource.inputs])
        } | {change.resource.parent for change in changes if change.resource and change.resource.parent}
        return Plan(
            environment=self.environment,
            destroy=destroy,
            changes=changes,
            kept=tuple(sorted(self.kept)),
            steps=steps_for(changes),
            outputs={key: self.outputs[key] for key in sorted(referred & set(self.outputs))},
        )

    def _require_servers(self) -> None:
        """Nothing, if everything that should be replaced is a server of the file: a slip must not go unnoticed."""
        servers = {word for r in self.resources if r.kind == REPLACEABLE for word in (r.key, r.name)}
        for asked in self.wishes.replace:
            if asked not in servers:
                raise EnvironmentFileError("is to be replaced, but is no server of the file", subject=asked)

    # -- one resource ------------------------------------------------------------------------------------------

    def _compare(self, resource: Resource, candidates: list[Observed]) -> None:
        parent = self.changes.get(resource.parent)
        if parent and parent.action in ("create", "replace") and KINDS[resource.kind].dies_with_parent:
            if candidates and self._protects(resource.key, candidates[0], resource):
                why = f"would go with {parent.key}, but it is protected: {REMEDY}"
                self._note(resource, "conflict", candidates[0], why=why)
                return
            candidates = []
        ours = [item for item in candidates if item.ownership == "ours"]
        if len(ours) > 1 or (not ours and len(candidates) > 1):
            ids = ", ".join(item.id for item in candidates)
            self._note(resource, "conflict", candidates[0], why=f"{len(candidates)} objects have this name: {ids}")
        elif not candidates:
            self._note(resource, "create", None)
        elif ours:
            self._compare_ours(resource, ours[0])
        elif self.wishes.adopts(resource.key):
            self._adopt(resource, candidates[0])
        else:
            why = "exists, but was not made by us: it lacks our tag; `--adopt` makes it ours"
            self._note(resource, "conflict", candidates[0], why=why)

    def _compare_ours(self, resource: Resource, item: Observed) -> None:
        kind = KINDS[resource.kind]
        differences = self._differences(resource, item)
        if item.health == "failed":
            if kind.replace_failed:
                self._replace(resource, item, differences, f"it ended in {item.status!r}")
            else:
                why = f"its state is {item.status!r}, which no wait cures: mend or delete it at Scaleway"
                self._note(resource, "conflict", item, why=why)
            return
        forced = [name for name in kind.immutable if any(_is_within(d.path, name) for d in differences)]
        parent = self.changes.get(resource.parent)
        if forced:
            why = "; ".join(f"{name}: {kind.immutable[name]}" for name in forced)
            self._replace(resource, item, differences, why)
        elif parent and parent.action == "replace":
            self._replace(resource, item, differences, f"{resource.parent} is replaced")
        elif self.wishes.replaces(resource):
            self._replace(resource, item, differences, "asked for")
        elif differences:
            self._note(resource, "update", item, differences=differences)
        elif item.health == "pending":
            self._note(resource, "await", item, why=f"on its way ({item.status})")
        else:
            self.kept.append(resource.key)
            self.outputs[resource.key] = item.outputs | {"id": item.id}

    def _adopt(self, resource: Resource, item: Observed) -> None:
        kind = KINDS[resource.kind]
        differences = self._differences(resource, item)
        forced = [name for name in kind.immutable if any(_is_within(d.path, name) for d in differences)]
        if forced:
            why = "cannot be adopted: " + "; ".join(f"{name}: {kind.immutable[name]}" for name in forced)
            self._note(resource, "conflict", item, differences=differences, why=why)
        else:
            self._note(resource, "adopt", item, differences=differences)

    def _replace(self, resource: Resource, item: Observed, differences: tuple[Difference, ...], why: str) -> None:
        if self._protects(resource.key, item, resource):
            why = f"would be replaced ({why}), but it is protected: {REMEDY}"
            self._note(resource, "conflict", item, differences=differences, why=why)
        else:
            self._note(resource, "replace", item, differences=differences, why=why)

    def _remove(self, item: Observed, known_as: str | None, *, doubled: bool) -> None:
        key = known_as or f"{item.kind}.{item.name}"
        if doubled:
            key = f"{key}#{item.id}"
        action: Action = "delete"
        why = "" if known_as else "not in the file"
        if self._protects(known_as or key, item):
            action, why = "held", f"protected: {REMEDY}"
        self.changes[key] = Change(
            key=key, kind=item.kind, name=item.name, action=action, why=why, observed=_essence(item)
        )

    def _protects(self, key: str, item: Observed, resource: Resource | None = None) -> bool:
        """Whether protection holds an object, and nobody lifts it."""
        return is_protected(item.kind, item, resource) and not self.wishes.lifts_protection(key)

    def _note(
        self,
        resource: Resource,
        action: Action,
        item: Observed | None,
        *,
        differences: tuple[Difference, ...] = (),
        why: str = "",
    ) -> None:
        self.changes[resource.key] = Change(
            key=resource.key,
            kind=resource.kind,
            name=resource.name,
            action=action,
            why=why,
            differences=differences,
            resource=resource,
            observed=_essence(item) if item else None,
        )
        if item and action in ("update", "adopt", "await"):
            self.outputs[resource.key] = item.outputs | {"id": item.id}

    # -- fields ------------------------------------------------------------------------------------------------

    def _differences(self, resource: Resource, item: Observed) -> tuple[Difference, ...]:
        found: list[Difference] = []
        declared = resolve(resource.fields, self._known)
        for name, value in declared.items():
            if item.detailed:
                found.extend(_compare_values(name, value, item.fields.get(name)))
            elif _depends_on_a_step(value):
                found.append(Difference(path=name, new=UNKNOWN))
        if item.protected is not None and resource.protected and not item.protected:
            found.append(Difference(path="protected", old=False, new=True))
        return tuple(found)

    def _known(self, key: str, output: str) -> Any:
        return self.outputs.get(key, {}).get(output, UNKNOWN)

    # -- the whole ---------------------------------------------------------------------------------------------

    def _of_others(self) -> frozenset[str]:
        """Ids of foreign objects and of all that is under them: ours by its name or not, it goes with its parent."""
        found = frozenset(item.id for item in self.observed if item.ownership == "foreign")
        while under := {item.id for item in self.observed if item.parent_id in found} - found:
            found |= under
        return found

    def _drop_what_dies_with_its_parent(self) -> None:
        gone = [change.observed for change in self.changes.values() if change.action == "delete" and change.observed]
        leaving = {item.id for item in gone if not item.is_part}
        for key, change in list(self.changes.items()):
            dies_along = KINDS[change.kind].dies_with_parent and change.action == "delete"
            if dies_along and change.observed and change.observed.parent_id in leaving:
                del self.changes[key]

    def _renew_broken_seals(self) -> None:
        """Any write to what a seal vouches for breaks it, so it is made again though it says the same."""
        written = {KINDS[change.kind].seal for change in self.changes.values() if change.action in MUTATING}
        seals = {item.name: item for item in self.observed if KINDS[item.kind].vouches}
        for resource in self.resources:
            vouches = KINDS[resource.kind].vouches and resource.name.rsplit("/", 1)[1] in written
            if vouches and resource.key in self.kept:
                self.kept.remove(resource.key)
                anew = tuple(Difference(path=name, new=value) for name, value in resource.fields.items())
                self._note(resource, "update", seals[resource.name], differences=anew)


def _essence(item: Observed) -> Observed:
    """The object without what only the comparison needed, so that plans stay small."""
    return item.model_copy(update={"fields": {}})


def _depends_on_a_step(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_depends_on_a_step(child) for child in value.values())
    if isinstance(value, list):
        return any(_depends_on_a_step(child) for child in value)
    return bool(value == UNKNOWN)


def _is_within(path: str, field: str) -> bool:
    """Whether a difference is in that field ("endpoint") or in a part of it ("endpoint.private_network_id")."""
    return f"{path}.".startswith(f"{field}.")


def _compare_values(path: str, declared: Any, existing: Any) -> list[Difference]:
    """Differences of one declared value; of a mapping only the declared keys count."""
    if isinstance(declared, Mapping) and isinstance(existing, Mapping):
        found: list[Difference] = []
        for key, value in declared.items():
            found.extend(_compare_values(f"{path}.{key}", value, existing.get(key)))
        return found
    if declared == existing:
        return []
    return [Difference(path=path, old=existing, new=declared)]
