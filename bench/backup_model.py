"""A bucket, its backups and a model of both in memory: they stay the same, or the difference has a name.

Objects are written, changed and deleted at random, with and without versions; the bucket is backed up, backups go by
the rules of retention, and whatever is in the store is removed or replaced at random. A restore must bring back what
the model says, or be refused with the name of something that was harmed; then everything else is as the model says.
Tags that are changed by themselves are left out: no listing of S3 shows that.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from activities.backup.reading import Reader
from activities.backup.removal import delete, sweep
from activities.backup.store import Stored
from bench.bucket_site import ASSET, LIVE, STORE, BucketSite, bucket_site
from bench.report import Report
from blueprint.backup import layout
from blueprint.backup.catalogue import Entry
from blueprint.backup.contract import BucketRestoreOutput
from blueprint.backup.manifest import DrillRecord
from blueprint.backup.objects import backup_for
from blueprint.backup.retention import plan_retention
from blueprint.errors import Damaged, EngineError, Gone, RestoreRefused

NAME = "backup_model"
SUMMARY = "random changes, backups, harm and restores of a bucket against a model in memory"

STEPS, SEEDS = 400, 5
KEYS = tuple(f"{folder}/{name}" for folder in ("a", "b", "b ü+%", "c") for name in ("1", "2", "10", "x/y", "ä"))
_TICK = 0.003
"""Seconds after which a write is later in a listing, too: S3 tells milliseconds."""
_DAYS = 2 * 86_400.0
"""Seconds from now at which a sweep takes what is new for old."""


class State(NamedTuple):
    """An object."""

    content: bytes
    kind: str
    """Its content type."""
    metadata: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]


Bucket = dict[str, State]


@dataclass
class _Backup:
    entry: Entry
    listed: float
    """When it began to be made."""
    shows: Bucket


@dataclass
class Model:
    """One random history.

    Attributes:
        site: a fresh bucket and store.
        random: decides.
        live: what is in the bucket.
        backups: those that there are, by id.
        moments: what was in the bucket when, as long as it has had versions.
        harmed: ETags by keys of the store, of what was harmed and how it was before.
        told: how often what happened.
    """

    site: BucketSite
    random: random.Random
    live: Bucket = field(default_factory=dict)
    backups: dict[str, _Backup] = field(default_factory=dict)
    moments: list[tuple[float, Bucket]] = field(default_factory=list)
    harmed: dict[str, str] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    versioned: bool = False

    def run(self, steps: int) -> None:
        """Take steps, and hold every restore against the model.

        Raises:
            AssertionError: a restore was neither right nor refused for a reason.
        """
        ways: dict[Callable[[], None], int] = {
            self.write: 30,
            self.delete: 8,
            self.change_metadata: 8,
            self.back_up: 8,
            self.retain: 3,
            self.harm: 5,
            self.restore: 14,
        }
        for number in range(steps):
            if number == steps // 2:
                self.site.store.source.put_bucket_versioning(Bucket=LIVE, VersioningConfiguration={"Status": "Enabled"})
                self.versioned = True
            (step,) = self.random.choices(list(ways), list(ways.values()))
            step()
            self.told[step.__name__] += 1

    # -- what others do ------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write an object, anew or over another, in one request or in parts."""
        state = State(
            self.random.choice((b"", b"one", b"two", self.random.randbytes(300))),
            self.random.choice(("text/plain", "image/png")),
            self._pairs(),
            self._pairs(),
        )
        key, s3 = self.random.choice(KEYS), self.site.store.source
        more: dict[str, Any] = {
            "ContentType": state.kind,
            "Metadata": dict(state.metadata),
            "Tagging": "&".join(f"{name}={value}" for name, value in state.tags),
        }
        if self.random.random() < 0.3:
            upload = s3.create_multipart_upload(Bucket=LIVE, Key=key, **more)["UploadId"]
            place: dict[str, Any] = {"Bucket": LIVE, "Key": key, "UploadId": upload}
            part = s3.upload_part(PartNumber=1, Body=state.content, **place)
            s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}, **place)
        else:
            s3.put_object(Bucket=LIVE, Key=key, Body=state.content, **more)
        self._now_is(key, state)

    def delete(self) -> None:
        """Delete an object."""
        if self.live:
            key = self.random.choice(list(self.live))
            self.site.store.source.delete_object(Bucket=LIVE, Key=key)
            self._now_is(key, None)

    def change_metadata(self) -> None:
        """Give an object other metadata, and leave its content."""
        if not self.live:
            return
        key = self.random.choice(list(self.live))
        state = self.live[key]._replace(metadata=self._pairs())
        self.site.store.source.copy_object(
            Bucket=LIVE,
            Key=key,
            CopySource={"Bucket": LIVE, "Key": key},
            MetadataDirective="REPLACE",
            Metadata=dict(state.metadata),
            ContentType=state.kind,
        )
        self._now_is(key, state)

    def harm(self) -> None:
        """Remove something of the store, or put something else in its place."""
        store = self.site.store
        prefix = self.random.choice((layout.blobs(store.store, LIVE),) * 8 + (f"{store.store.prefix}/",))
        found = list(store.list(prefix))
        if not found:
            return
        victim, other = self.random.choice(found), self.random.choice(found)
        content = store.get(victim.key)
        harm = self.random.choice((None, self.random.randbytes(victim.size), content[:-1], store.get(other.key)))
        if harm is None:
            store.s3.delete_object(Bucket=STORE, Key=victim.key)
        elif harm != content:
            store.put(victim.key, harm)
        self.harmed.setdefault(victim.key, victim.etag.strip('"'))
        self._forget_whole()

    # -- what the engine does ------------------------------------------------------------------------------------

    def back_up(self) -> None:
        """Make a backup; half of them pass a drill."""
        listed = time.time()
        entry = self.site.back_up()
        self.backups[entry.id] = _Backup(entry, listed, dict(self.live))
        self._forget_whole()
        if self.random.random() < 0.5:
            record = DrillRecord(id=entry.id, asset=entry.asset, at=listed, seconds=1.0, passed=True)
            key = layout.drill(self.site.store.store, entry.asset, entry.id, listed)
            self.site.store.put(key, record.model_dump_json().encode())

    def retain(self) -> None:
        """Remove the backups that the rules let go, and what no manifest knows."""
        store, reader, retention = self.site.store, Reader(), self.site.site.retention
        for verdict in plan_retention(reader.read(store).entries, retention, time.time()).deletions:
            delete(store, reader, verdict.asset, verdict.id, retention, time.time())
            self.backups.pop(verdict.id, None)
            self.told["deleted"] += 1
        self.told["swept"] += sweep(store, reader, time.time() + _DAYS).objects

    def restore(self) -> None:
        """Bring everything or a part of it back, to a backup or to a moment, and see whether it is right."""
        prefix = self.random.choice(("", "", "b", "b/", "c/"))
        remove, at, backup, wanted = self.random.random() < 0.5, None, None, dict[str, State]()
        if self.moments and self.random.random() < 0.4:
            at, wanted = self.random.choice(self.moments)
            try:
                entry = backup_for(Reader().read(self.site.store, [ASSET]).of(ASSET), at)
            except RestoreRefused:
                self.told["no backup"] += 1
                return
            backup = self.backups[entry.id]
            if not entry.versioned or backup.listed < at:
                wanted = backup.shows
        elif self.backups:
            backup = self.random.choice(list(self.backups.values()))
            wanted = backup.shows
        if backup is None:
            return
        wanted = {key: state for key, state in wanted.items() if key.startswith(prefix)}
        expected = {
            key: state for key, state in self.live.items() if not (key.startswith(prefix) and (remove or key in wanted))
        } | wanted
        self._hold_against(expected, backup, prefix=prefix, at=at, remove_newer=remove)

    def _hold_against(self, expected: Bucket, backup: _Backup, **what: Any) -> None:
        named: str | None = None
        try:
            told: BucketRestoreOutput = self.site.restore(backup.entry, **what)
            self.told["restored"] += told.restored
        except (Damaged, Gone, RestoreRefused) as error:
            named = self._named_by(error, backup)
            self.told["refused"] += 1
            # Nothing is deleted then.
            expected = self.live | expected
        found = self._look()
        for key in {*expected, *found}:
            same = found.get(key) == expected.get(key)
            excused = _excuses(named, key) and found.get(key) == self.live.get(key)
            assert same or excused, f"{backup.entry.id} {what}: {key} is {found.get(key)}, not {expected.get(key)}"
        if found != self.live:
            self._moved(found)

    def _named_by(self, error: EngineError, backup: _Backup) -> str:
        """What a refusal says of objects; empty if nothing at all was to be restored.

        Raises:
            AssertionError: it does not name anything that was harmed.
        """
        text = str(error)
        found = [key for key in self.harmed if key in text]
        manifest = f"{layout.entry(self.site.store.store, ASSET, backup.entry.id)}{layout.MANIFEST}"
        if backup.entry.id in text and manifest in self.harmed:
            found.append(manifest)
        assert found, f"refused, and nothing of it was harmed: {text}"
        return text if any("/blobs/" in key for key in found) else ""

    # -- the model -----------------------------------------------------------------------------------------------

    def _pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            sorted(
                {self.random.choice("vw"): self.random.choice("123") for _ in range(self.random.randrange(3))}.items()
            )
        )

    def _now_is(self, key: str, state: State | None) -> None:
        live = dict(self.live)
        live.pop(key, None)
        self._moved(live | ({key: state} if state else {}))

    def _moved(self, live: Bucket) -> None:
        """The bucket is so now, and was so until the next write."""
        self.live = live
        if self.versioned:
            time.sleep(_TICK)
            self.moments.append((time.time(), live))
            time.sleep(_TICK)

    def _look(self) -> Bucket:
        s3, found = self.site.store.source, dict[str, State]()
        for item in s3.list_objects_v2(Bucket=LIVE).get("Contents", ()):
            key = item["Key"]
            got, tags = s3.get_object(Bucket=LIVE, Key=key), s3.get_object_tagging(Bucket=LIVE, Key=key)["TagSet"]
            found[key] = State(
                got["Body"].read(),
                got["ContentType"],
                tuple(sorted(got["Metadata"].items())),
                tuple(sorted((tag["Key"], tag["Value"]) for tag in tags)),
            )
        return found

    def _forget_whole(self) -> None:
        """What was harmed, and is as it was by now: a backup makes copies anew."""
        there: dict[str, Stored] = {item.key: item for item in self.site.store.list(f"{self.site.store.store.prefix}/")}
        for key, etag in list(self.harmed.items()):
            if key in there and there[key].etag.strip('"') == etag:
                del self.harmed[key]


def _excuses(named: str | None, key: str) -> bool:
    """Whether what a refusal said of objects is a reason why one is not as it should be."""
    return named is not None and (not named or f"{key} (" in named or " more are missing" in named)


async def measure(*, full: bool) -> Report:
    """Run random histories.

    Args:
        full: five of them instead of one.
    """
    return await asyncio.to_thread(_measure, SEEDS if full else 1)


def _measure(seeds: int) -> Report:
    report = Report(("seed", "steps", "backups", "deleted", "harmed", "restores", "refused", "objects written"))
    for seed in range(seeds):
        with bucket_site() as site:
            model = Model(site, random.Random(seed))
            try:
                model.run(STEPS)
            except (AssertionError, ClientError, EngineError) as error:
                report.violations.append(f"seed {seed}: {error}")
            told = model.told
            report.rows.append(
                (
                    seed,
                    STEPS,
                    told["back_up"],
                    told["deleted"],
                    told["harm"],
                    told["restore"],
                    told["refused"],
                    told["restored"],
                )
            )
    return report
