"""Where things are in the backup bucket.

<env>/catalogue/<asset>/<id>/manifest.json      written last: without it there is no backup
<env>/catalogue/<asset>/<id>/drill-<time>.json  how a restore of it went
<env>/catalogue/<asset>/<id>/pin-<name>.json    why it must stay
<env>/catalogue/<asset>/<id>/failure.json       why there is no manifest
<env>/data/<asset>/<id>/<archive>.<index>       a part of a database's archive; `cat` puts an archive together
<env>/data/<asset>/<id>/entries.<index>         the list of a bucket's objects
<env>/blobs/<bucket>/<xx>/<digest>              a bucket's object, shared by all backups that have it
<env>/probe-<any>                               shows that the bucket can be written
<env>/scratch/<run>/<key>                       an object that a drill restored, until it has ended
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, unquote

from blueprint.backup.site import Store

MANIFEST, FAILURE, DRILL, PIN = "manifest.json", "failure.json", "drill-", "pin-"


def backup_id(at: float, unique: str) -> str:
    """Id of a backup run: sorts by time, and says it: 20261126T143005Z-3f2a."""
    return f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}-{unique[:4]}"


def moment(id: str) -> float:
    """The moment in a backup's id, seconds since the epoch."""
    return datetime.strptime(id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def catalogue(store: Store) -> str:
    """Prefix of the catalogue."""
    return f"{store.prefix}/catalogue/"


def entry(store: Store, asset: str, id: str) -> str:
    """Prefix of what the catalogue knows of one backup."""
    return f"{catalogue(store)}{asset}/{id}/"


class Place(NamedTuple):
    """Where something is in the catalogue."""

    asset: str
    id: str
    name: str
    """`manifest.json`, `pin-operator.json`, ..."""


def place_of(store: Store, key: str) -> Place | None:
    """What a key of the catalogue stands for; None if it is none of ours."""
    rest = key.removeprefix(catalogue(store))
    if rest == key or rest.count("/") < 2:
        return None
    return Place(*rest.rsplit("/", 2))


def drill(store: Store, asset: str, id: str, at: float) -> str:
    """Key of the record of a drill that began then."""
    return f"{entry(store, asset, id)}{DRILL}{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}.json"


def pin(store: Store, asset: str, id: str, name: str) -> str:
    """Key of a pin."""
    return f"{entry(store, asset, id)}{PIN}{quote(name, safe='')}.json"


def pin_name(name: str) -> str:
    """Name of the pin in a file of that name."""
    return unquote(name.removeprefix(PIN).removesuffix(".json"))


def probe(store: Store) -> str:
    """Start of the keys of objects that are written to see whether they can be."""
    return f"{store.prefix}/probe"


def data(store: Store, asset: str = "", id: str = "") -> str:
    """Prefix of the data of all backups, of an asset's, or of one."""
    return f"{store.prefix}/data/" + (f"{asset}/" if asset else "") + (f"{id}/" if id else "")


def part(store: Store, asset: str, id: str, archive: str, index: int) -> str:
    """Key of one part."""
    return f"{data(store, asset, id)}{archive}.{index:04d}"


def blobs(store: Store, bucket: str = "") -> str:
    """Prefix of the objects of all buckets, or of one."""
    return f"{store.prefix}/blobs/" + (f"{bucket}/" if bucket else "")


def blob(store: Store, bucket: str, digest: str) -> str:
    """Key of one object of a bucket."""
    return f"{blobs(store, bucket)}{digest[:2]}/{digest}"


def scratch(store: Store, run: str = "") -> str:
    """Prefix of what drills restore of buckets, or one drill: never in the bucket itself."""
    return f"{store.prefix}/scratch/" + (f"{run}/" if run else "")
