"""The catalogue, read from the store."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from activities.backup.store import BackupStore, Stored, entry_of, read_manifest
from blueprint.backup import layout
from blueprint.backup.catalogue import Catalogue, Entry
from blueprint.backup.layout import Place
from blueprint.backup.manifest import DrillRecord, Failure, Pin
from blueprint.errors import Damaged, Gone
from telemetry.threads import Threads

READERS = 16
"""Small objects that are read at a time."""
FAILURES_TOLD = 20
"""Of each asset, the newest: a source that is away for a month must not make a catalogue too large to be told."""
UNREADABLE = "unreadable"
"""Code of a failure whose note cannot be read."""

Told = Entry | DrillRecord | Pin | Failure


@dataclass
class _Found:
    """What the catalogue has of one backup."""

    entry: Entry | None = None
    drills: list[DrillRecord] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    failure: Failure | None = None


class Reader:
    """Reads catalogues. What has not changed is not read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], dict[str, tuple[str, Told]]] = defaultdict(dict)
        """By bucket and prefix, then by key: the ETag, and what it says."""

    def read(self, store: BackupStore, assets: Iterable[str] = ()) -> Catalogue:
        """The catalogue: one listing, and what is new since the last time.

        Args:
            store: where it is.
            assets: only these; all if empty, with those that are no longer declared.
        """
        top = layout.catalogue(store.store)
        prefixes = [f"{top}{asset}/" for asset in assets] or [top]
        listed = {item.key: item for prefix in prefixes for item in store.list(prefix)}
        placed = {key: place for key in listed if (place := layout.place_of(store.store, key))}
        told = self._told(store, [listed[key] for key in placed], forget=prefixes == [top])
        backups: dict[tuple[str, str], _Found] = defaultdict(_Found)
        for key, item in told.items():
            _sort_in(backups[placed[key].asset, placed[key].id], item)
        entries = [_whole(found.entry, found) for found in backups.values() if found.entry]
        failures = [found.failure for found in backups.values() if found.failure and not found.entry]
        return Catalogue(
            entries=tuple(sorted(entries, key=lambda entry: (entry.asset, -entry.point, entry.id))),
            failures=tuple(_newest(failures)),
        )

    def one(self, store: BackupStore, asset: str, id: str) -> Entry:
        """One backup.

        Raises:
            Gone: there is none.
        """
        found = self._found(store, asset, id)
        if found.entry is None:
            raise Gone("there is no such backup", subject=f"{asset} {id}")
        return _whole(found.entry, found)

    def pinned(self, store: BackupStore, asset: str, id: str, now: float) -> bool:
        """Whether somebody wants a backup to stay, also if it has no manifest."""
        return any(pin.holds(now) for pin in self._found(store, asset, id).pins)

    def _found(self, store: BackupStore, asset: str, id: str) -> _Found:
        found = _Found()
        for item in store.list(layout.entry(store.store, asset, id)):
            if (place := layout.place_of(store.store, item.key)) and (told := _read(store, item, place)):
                _sort_in(found, told)
        return found

    def _told(self, store: BackupStore, items: list[Stored], *, forget: bool) -> dict[str, Told]:
        """What each of these objects says, by key; those that are gone meanwhile lack."""
        with self._lock:
            known = dict(self._known[store.store.bucket, store.store.prefix])
        told = {item.key: known[item.key] for item in items if item.key in known and known[item.key][0] == item.etag}
        new = [item for item in items if item.key not in told]

        def read(item: Stored) -> Told | None:
            place = layout.place_of(store.store, item.key)
            return _read(store, item, place) if place else None

        with Threads(READERS, thread_name_prefix="catalogue") as pool:
            told |= {
                item.key: (item.etag, found) for item, found in zip(new, pool.map(read, new), strict=True) if found
            }
        # What cannot be read is read again: perhaps it was the way, and not the object.
        sound = {key: pair for key, pair in told.items() if not (isinstance(pair[1], Entry) and pair[1].damaged)}
        with self._lock:
            self._known[store.store.bucket, store.store.prefix] = sound if forget else known | sound
        return {key: item for key, (_, item) in told.items()}


def _newest(failures: list[Failure]) -> Iterator[Failure]:
    """As many of each asset as are told, the newest first."""
    seen = Counter[str]()
    for failure in sorted(failures, key=lambda failure: -failure.at):
        seen[failure.asset] += 1
        if seen[failure.asset] <= FAILURES_TOLD:
            yield failure


def _whole(entry: Entry, found: _Found) -> Entry:
    drills = tuple(sorted(found.drills, key=lambda drill: drill.at))
    return entry.model_copy(update={"drills": drills, "pins": tuple(sorted(found.pins, key=lambda pin: pin.name))})


def _sort_in(found: _Found, told: Told) -> None:
    match told:
        case Entry():
            found.entry = told
        case DrillRecord():
            found.drills.append(told)
        case Pin():
            found.pins.append(told)
        case Failure():
            found.failure = told


def _read(store: BackupStore, item: Stored, place: Place) -> Told | None:
    """What an object of the catalogue says; None if it is gone, or says nothing.

    What cannot be read is taken as whatever is the more careful: a pin as one that holds, a drill as not passed.
    """
    try:
        content = store.get(item.key)
    except Gone:
        return None
    try:
        return _understood(content, place)
    except Damaged as error:
        at = _moment(place.id, item)
        return Entry(id=place.id, asset=place.asset, point=at, started=at, ended=at, size=0, damaged=error.message)
    except ValidationError:
        return _doubted(place, item)


def _understood(content: bytes, place: Place) -> Told | None:
    if place.name == layout.MANIFEST:
        return entry_of(read_manifest(content, place.asset, place.id))
    if place.name == layout.FAILURE:
        return Failure.model_validate_json(content)
    if place.name.startswith(layout.DRILL):
        return DrillRecord.model_validate_json(content)
    return Pin.model_validate_json(content) if place.name.startswith(layout.PIN) else None


def _doubted(place: Place, item: Stored) -> Told:
    text = f"{place.name} cannot be read"
    if place.name == layout.FAILURE:
        return Failure(id=place.id, asset=place.asset, at=item.modified, code=UNREADABLE, message=text)
    if place.name.startswith(layout.PIN):
        return Pin(name=layout.pin_name(place.name), reason=text, by="", at=item.modified)
    return DrillRecord(id=place.id, asset=place.asset, at=item.modified, seconds=0.0, passed=False, findings=(text,))


def _moment(id: str, item: Stored) -> float:
    try:
        return layout.moment(id)
    except ValueError:
        return item.modified
