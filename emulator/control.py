"""`/_emulator/...`: what tests and people ask of the emulator itself. No key is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.errors import ApiError, invalid_arguments
from emulator.routing import Answer
from emulator.world import Document, public

if TYPE_CHECKING:
    from emulator.app import Emulator

PREFIX = "/_emulator/"
Query = dict[str, list[str]]


class Control:
    """The operations on an emulator as a whole.

    reset, snapshot, resources, requests, faults, endpoints, real, latency and clock; `answer` finds the one that a path
    names.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._operations: dict[tuple[str, str], Callable[[Query, Document], Answer]] = {
            ("POST", "reset"): self._reset,
            ("GET", "snapshot"): self._snapshot,
            ("PUT", "snapshot"): self._restore,
            ("GET", "resources"): self._resources,
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): self._forget_requests,
            ("GET", "faults"): self._faults,
            ("PUT", "faults"): self._replace_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "endpoints"): self._endpoints,
            ("GET", "real"): self._real,
            ("GET", "latency"): self._latency,
            ("PUT", "latency"): self._set_latency,
            ("GET", "clock"): self._clock,
            ("PUT", "clock"): self._set_clock,
        }

    def answer(self, method: str, path: str, query: Query, body: Document) -> Answer:
        """Carry out the operation.

        Raises:
            ApiError: 404 if there is none of that name, 400 for a body that does not fit.
        """
        operation = self._operations.get((method, path.removeprefix(PREFIX).strip("/")))
        if operation is None:
            names = ", ".join(f"{verb} {PREFIX}{name}" for verb, name in self._operations)
            raise ApiError(404, {"message": f"no such operation; there are: {names}"})
        return operation(query, body)

    def _reset(self, query: Query, body: Document) -> Answer:
        self._emulator.reset()
        return None

    def _snapshot(self, query: Query, body: Document) -> Answer:
        return self._emulator.snapshot()

    def _restore(self, query: Query, body: Document) -> Answer:
        if not isinstance(body.get("world"), dict) or "tables" not in body["world"]:
            raise invalid_arguments(("world", "required", "must be the answer of GET /_emulator/snapshot"))
        self._emulator.restore(body)
        return None

    def _resources(self, query: Query, body: Document) -> Answer:
        """What exists by kind; built-in objects and those scheduled for deletion only with `?all=true`."""
        world = self._emulator.world
        world.settle()
        everything = query.get("all", [""])[0].lower() == "true"
        kinds: dict[str, list[Document]] = {}
        for table, rows in world.tables.items():
            if table.startswith("_"):
                continue
            for key, document in rows.items():
                default = world.is_built_in(table, key) or _is_default(document)
                leaving = document.get("status") == "scheduled_for_deletion" or bool(
                    document.get("deletion_requested_at")
                )
                if everything or not (default or leaving):
                    kinds.setdefault(table, []).append(_summary(key, document, default, leaving))
        return {kind: {"count": len(items), "items": items} for kind, items in sorted(kinds.items())}

    def _requests(self, query: Query, body: Document) -> Answer:
        last = query.get("last", ["100"])[0]
        if not last.isdigit():
            raise invalid_arguments(("last", "format", "must be a whole number"))
        return self._emulator.log.show(int(last))

    def _forget_requests(self, query: Query, body: Document) -> Answer:
        self._emulator.log.clear()
        return None

    def _faults(self, query: Query, body: Document) -> Answer:
        return self._emulator.faults.show()

    def _replace_faults(self, query: Query, body: Document) -> Answer:
        self._emulator.faults.replace(body)
        return self._emulator.faults.show()

    def _clear_faults(self, query: Query, body: Document) -> Answer:
        self._emulator.faults.clear()
        return None

    def _endpoints(self, query: Query, body: Document) -> Answer:
        return self._emulator.endpoints()

    def _real(self, query: Query, body: Document) -> Answer:
        """What really runs behind the API; nothing if the emulator was started without."""
        return self._emulator.real.show() if self._emulator.real else {"running": {}, "obstacles": {}}

    def _latency(self, query: Query, body: Document) -> Answer:
        return {"factor": self._emulator.world.latency}

    def _set_latency(self, query: Query, body: Document) -> Answer:
        factor = body.get("factor")
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor < 0:
            raise invalid_arguments(("factor", "constraint", "must be a number, 0 or more"))
        self._emulator.world.latency = float(factor)
        return {"factor": self._emulator.world.latency}

    def _clock(self, query: Query, body: Document) -> Answer:
        return {"ahead": self._emulator.world.ahead}

    def _set_clock(self, query: Query, body: Document) -> Answer:
        """Let Scaleway's clock differ from this computer's: signatures that were good are expired, or skewed."""
        ahead = body.get("ahead")
        if isinstance(ahead, bool) or not isinstance(ahead, (int, float)):
            raise invalid_arguments(("ahead", "constraint", "must be a number of seconds"))
        self._emulator.world.ahead = float(ahead)
        return {"ahead": self._emulator.world.ahead}


def _is_default(document: Document) -> bool:
    """Whether Scaleway made the object by itself: a project's default VPC, its default security group."""
    return document.get("is_default") is True or document.get("project_default") is True


def _summary(key: str, document: Document, default: bool, leaving: bool) -> Document:
    shown = public(document)
    summary = {
        "id": shown.get("id", key),
        "name": shown.get("name"),
        "tags": shown.get("tags") or [],
        "project_id": shown.get("project_id") or shown.get("project"),
        "status": shown.get("status") or shown.get("state"),
    }
    if default:
        summary["default"] = True
    if leaving:
        summary["scheduled_for_deletion"] = True
    return summary
