"""Everything that exists in the local Scaleway, and the clock that moves it.

Objects are plain JSON documents in named tables, keyed by id. Keys that begin with an underscore are the emulator's
own notes and never leave it. What happens later (a load balancer becomes ready, a deleted one is gone) is written
down as a due time in the same document store, and takes place when the next request looks: nothing runs in the
background, so a snapshot or a restart keeps every transition that is under way.
"""

from __future__ import annotations

import copy
import heapq
import ipaddress
import itertools
import random
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
Hook = Callable[["World", Document, Document], None]
"""What a transition does besides setting fields: (world, the object, the transition's data)."""

DEFAULT_PROJECT = "11111111-1111-4111-8111-111111111111"
"""The project that exists at the start. As at Scaleway, the default project has its organization's id."""
DEFAULT_ORGANIZATION = DEFAULT_PROJECT

LOOPBACK_PUBLIC = ipaddress.IPv4Network("127.224.0.0/11")
"""Where balancers and gateways have their public addresses when they are real."""

HOOKS: dict[str, Hook] = {}
SEEDS: list[Callable[[World], None]] = []


def seed(function: Callable[[World], None]) -> Callable[[World], None]:
    """Register a function that puts built-in documents into an empty world."""
    SEEDS.append(function)
    return function


def hook(name: str) -> Callable[[Hook], Hook]:
    """Register a function that a transition can name, so that due transitions stay plain data."""

    def register(function: Hook) -> Hook:
        HOOKS[name] = function
        return function

    return register


class World:
    """Tables of documents, the transitions that are due, and the clock.

    Args:
        latency: factor on every real delay: 0 settles at once, 1 takes as long as Scaleway does.
        seed: for the generator behind ids and addresses; None draws one.
        loopback: public IPv4 addresses are taken from `LOOPBACK_PUBLIC`, where real things can listen.
    """

    def __init__(self, latency: float = 0.0, seed: int | None = None, *, loopback: bool = False) -> None:
        self.latency = latency
        self.loopback = loopback
        self.cockpit = ""
        """Where real things reach the data sources of Cockpit; empty if there are none."""
        self.ahead = 0.0
        """Seconds by which its clock is ahead of this computer's; negative if it is behind."""
        self.random = random.Random(seed)
        self.tables: dict[str, dict[str, Document]] = {}
        self.changed: dict[tuple[str, str], None] = {}
        """(table, key) touched by the current request, in order: what the state file writes, what a fault strikes."""
        self.holds: list[Callable[[Document], bool]] = []
        """Asked when a transition is due: whether something real must come first, as a server that is to be ready."""
        self._due: list[tuple[float, int, str]] = []
        self._noted: dict[tuple[str, str], set[str]] = {}
        self._order: Iterator[int] = itertools.count()

    # -- clock -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.ahead

    def timestamp(self, at: float | None = None) -> str:
        """A time as Scaleway writes it: 2026-07-21T10:18:52.123456Z."""
        moment = datetime.fromtimestamp(self.now() if at is None else at, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def public_ipv4(self, block: str) -> str:
        """A public address that Scaleway might give: one of this block, or of loopback where things are real."""
        network = LOOPBACK_PUBLIC if self.loopback else ipaddress.IPv4Network(block)
        return str(network[self.random.randrange(1, network.num_addresses - 1)])

    # -- documents ---------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def put(self, table: str, document: Document, key: str | None = None) -> Document:
        """Store a new or changed document under its id (or another key) and return it."""
        name = key or str(document["id"])
        self.tables.setdefault(table, {})[name] = document
        self.changed[table, name] = None
        return document

    def find(self, table: str, key: str) -> Document | None:
        """The document of that key, or None. To change it, change it in place and `put` it again."""
        return self.tables.get(table, {}).get(key)

    def all(self, table: str) -> list[Document]:
        """Every document of a table, in order of creation."""
        return list(self.tables.get(table, {}).values())

    def where(self, table: str, **fields: Any) -> Iterator[Document]:
        """The documents whose top-level fields have these values."""
        for document in self.all(table):
            if all(document.get(name) == value for name, value in fields.items()):
                yield document

    def remove(self, table: str, key: str) -> None:
        """Forget a document; nothing happens if it is not there."""
        document = self.tables.get(table, {}).pop(key, None)
        if document is None:
            return
        self.changed[table, key] = None
        if table == "_due":
            self._noted[document["table"], document["key"]].discard(key)

    # -- transitions -------------------------------------------------------------------------------------------

    def later(
        self,
        seconds: float,
        table: str,
        key: str,
        *,
        change: Document | None = None,
        remove: bool = False,
        run: str | None = None,
        data: Document | None = None,
    ) -> None:
        """Note what happens to a document after `seconds` of Scaleway's time (times the latency factor).

        Args:
            change: top-level fields to set; `updated_at`, where the document has it, is set too.
            remove: forget the document.
            run: name of a `hook`, called after `change` with the document and `data`.
        """
        at = self.now() + seconds * self.latency
        due: Document = {
            "id": self.new_id(),
            "at": at,
            "table": table,
            "key": key,
            "change": change,
            "remove": remove,
            "run": run,
            "data": data or {},
        }
        self.put("_due", due)
        self._queue(due)

    def _queue(self, due: Document) -> None:
        entry: tuple[float, int, str] = (due["at"], next(self._order), due["id"])
        heapq.heappush(self._due, entry)
        self._noted.setdefault((due["table"], due["key"]), set()).add(due["id"])

    def pending(self, table: str, key: str) -> bool:
        """Whether a transition is noted for this document."""
        return bool(self._noted.get((table, key)))

    def forget_pending(self, table: str, key: str) -> None:
        """Drop every transition noted for this document."""
        for due_id in sorted(self._noted.get((table, key), ())):
            self.remove("_due", due_id)

    def set_in_motion(self) -> tuple[tuple[str, ...], float]:
        """What the current request has changed: ids of objects, and the seconds until the last one comes to rest."""
        due = [self.tables["_due"][key] for table, key in self.changed if table == "_due" and self.find("_due", key)]
        ids = dict.fromkeys(key for table, key in self.changed if not table.startswith("_"))
        ids.update(dict.fromkeys(str(item["key"]) for item in due))
        return tuple(ids), max((item["at"] - self.now() for item in due), default=0.0)

    def settle(self) -> None:
        """Carry out every transition whose time has come. Called before each request is handled."""
        now = self.now()
        held: list[Document] = []
        while self._due and self._due[0][0] <= now:
            _, _, due_id = heapq.heappop(self._due)
            due = self.find("_due", due_id)
            if due is None:
                continue
            if any(hold(due) for hold in self.holds):
                held.append(due)
                continue
            self.remove("_due", due_id)
            self._happen(due)
        for due in held:
            self._queue(due)

    def _happen(self, due: Document) -> None:
        document = self.find(due["table"], due["key"])
        if document is None:
            return
        if due["change"]:
            document.update(copy.deepcopy(due["change"]))
            if "updated_at" in document:
                document["updated_at"] = self.timestamp(due["at"])
        self.put(due["table"], document, due["key"])
        if due["run"]:
            HOOKS[due["run"]](self, document, due["data"])
        if due["remove"]:
            self.remove(due["table"], due["key"])

    # -- the whole ---------------------------------------------------------------------------------------------

    def sow(self) -> None:
        """Put the built-in documents in: what an organization has before anything is made in it."""
        for function in SEEDS:
            function(self)
        built_in = [{"table": table, "key": key} for table, rows in self.tables.items() for key in rows]
        for entry in built_in:
            self.put("_built_in", entry, f"{entry['table']} {entry['key']}")

    def is_built_in(self, table: str, key: str) -> bool:
        """Whether `sow` put this document in."""
        return self.find("_built_in", f"{table} {key}") is not None

    def snapshot(self) -> Document:
        """All tables, as one JSON document."""
        return copy.deepcopy({"tables": self.tables})

    def restore(self, snapshot: Document) -> None:
        """Become what `snapshot` says; every document counts as changed."""
        self.changed.update(((table, key), None) for table, rows in self.tables.items() for key in rows)
        self.tables = copy.deepcopy(snapshot["tables"])
        self._due = []
        self._noted = {}
        for due in self.all("_due"):
            self._queue(due)
        self.changed.update(((table, key), None) for table, rows in self.tables.items() for key in rows)


def public(document: Document) -> Document:
    """A copy of a document without the emulator's own notes, to send to a client."""
    return {key: copy.deepcopy(value) for key, value in document.items() if not key.startswith("_")}
