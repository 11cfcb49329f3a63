"""Faults on demand: what goes wrong, at which operation, for which of its calls.

A set of faults is put over HTTP. Each names an operation ("POST /lb/v1/*", "S3 Put*", "mutating", "*"), lets `skip`
matching calls pass and then strikes `count` times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from emulator.errors import ApiError, invalid_arguments, permissions_denied, quotas_exceeded
from emulator.world import Document, World

BEFORE = {"unavailable", "internal_error", "throttled", "reset", "quota_exceeded", "out_of_stock", "denied"}
"""Kinds that strike instead of the call: nothing is changed."""
AFTER = {"response_lost", "stuck", "error_state"}
"""Kinds that strike once the call has changed what it changes."""
KINDS = sorted(BEFORE | AFTER | {"slow"})

ERROR_STATES = {
    "vpcgw.gateways": "failed",
    "instance.private_nics": "syncing_error",
    "instance.servers": "stopped",
}
"""How a failed object of a table reads, where it is not `error` (Scaleway API, status enums of each product)."""


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        operation: glob over operations and over "METHOD /path"; `mutating` stands for every call that changes.
        kind: one of `KINDS`.
        count: how often it strikes; None without end.
        skip: how many matching calls pass before it strikes.
        seconds: how long `slow` takes, in real seconds.
        status: for `response_lost`: answer with this status instead of cutting the connection.
    """

    operation: str
    kind: str
    count: int | None = 1
    skip: int = 0
    seconds: float = 1.0
    status: int | None = None
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def matches(self, operation: str, mutating: bool, path: str) -> bool:
        """Whether a call is one of those meant."""
        if self.operation == "mutating":
            return mutating
        # Not fnmatch: templates hold braces and objects' keys may hold brackets, which must stand for themselves.
        glob = re.compile(re.escape(self.operation).replace(r"\*", ".*"))
        return bool(glob.fullmatch(operation) or glob.fullmatch(path))

    def show(self) -> Document:
        """As put, with how often it was passed and has struck."""
        return {
            "operation": self.operation,
            "kind": self.kind,
            "count": self.count,
            "skip": self.skip,
            "seconds": self.seconds,
            "status": self.status,
            "seen": self.seen,
            "fired": self.fired,
        }

    def error(self) -> ApiError:
        """The answer in place of the call, for the kinds in `BEFORE` other than `reset`."""
        if self.kind == "throttled":
            return ApiError(429, None, {"X-Envoy-Ratelimited": "true"})
        if self.kind == "internal_error":
            return ApiError(500, {"message": "Internal error"})
        if self.kind == "quota_exceeded":
            return quotas_exceeded("resource", 0, 0)
        if self.kind == "denied":
            return permissions_denied("resource", "write")
        if self.kind == "out_of_stock":
            return ApiError(
                503, {"message": "resource is out of stock", "resource": "resource", "type": "out_of_stock"}
            )
        return ApiError(503, {"message": "upstream request timeout"})


class Faults:
    """The set of faults in force."""

    def __init__(self) -> None:
        self.all: list[Fault] = []

    def replace(self, body: Document) -> None:
        """Put a new set in place of the old one.

        Raises:
            ApiError: 400 for a kind that does not exist or a field of the wrong type.
        """
        self.all = [_parse(number, item) for number, item in enumerate(body.get("faults") or [])]

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.all = []

    def show(self) -> Document:
        """The set, with how often each has struck."""
        return {"faults": [fault.show() for fault in self.all]}

    def take(self, operation: str, mutating: bool, path: str = "") -> Fault | None:
        """The fault that strikes this call, if any. Every fault that matches counts the call.

        Args:
            operation: the operation's name in the request log.
            mutating: whether it changes something.
            path: "METHOD /concrete/path", matched too.
        """
        struck: Fault | None = None
        for fault in self.all:
            if not fault.matches(operation, mutating, path):
                continue
            fault.seen += 1
            armed = fault.seen > fault.skip and (fault.count is None or fault.fired < fault.count)
            if armed and struck is None:
                fault.fired += 1
                struck = fault
        return struck


def _parse(number: int, item: Any) -> Fault:
    where = f"faults[{number}]"
    if not isinstance(item, dict):
        raise invalid_arguments((where, "format", "must be an object"))
    if unknown := sorted(set(item) - {"operation", "kind", "count", "skip", "seconds", "status"}):
        raise invalid_arguments((f"{where}.{unknown[0]}", "unknown", "no such field"))
    if item.get("kind") not in KINDS:
        raise invalid_arguments((f"{where}.kind", "constraint", f"must be one of {', '.join(KINDS)}"))
    for name in ("count", "skip", "status"):
        if item.get(name) is not None and (isinstance(item[name], bool) or not isinstance(item[name], int)):
            raise invalid_arguments((f"{where}.{name}", "format", "must be a whole number"))
    fault = Fault(str(item.get("operation", "*")), item["kind"])
    fault.count = item.get("count", 1)
    fault.skip = item.get("skip") or 0
    fault.status = item.get("status")
    try:
        fault.seconds = float(item.get("seconds", 1.0))
    except (TypeError, ValueError):
        raise invalid_arguments((f"{where}.seconds", "format", "must be a number")) from None
    return fault


def stick(world: World) -> None:
    """Drop the transitions that the current call noted: what it touched stays as it is."""
    for table, key in list(world.changed):
        if table == "_due":
            world.remove("_due", key)


def fail(world: World) -> None:
    """Let what the current call set in motion end in its error state.

    The first transition noted for an object becomes the one into the error state, and the later ones are dropped.
    An object without a status has no error state, and its transitions are left alone.
    """
    failed: set[tuple[str, str]] = set()
    for table, key in list(world.changed):
        due = world.find("_due", key) if table == "_due" else None
        document = world.find(due["table"], due["key"]) if due else None
        if due is None or document is None:
            continue
        name = "status" if "status" in document else "state"
        if name not in document:
            continue
        target = (due["table"], due["key"])
        if target in failed:
            world.remove("_due", key)
            continue
        failed.add(target)
        due.update(change={name: ERROR_STATES.get(target[0], "error")}, remove=False, run=None)
        world.put("_due", due)
