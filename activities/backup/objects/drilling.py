"""What a drill asks of restored objects, and how it takes them away again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

import aiohttp

from activities.backup.objects.copying import OtherObject, Place, abort, look_at, uploads_in
from activities.backup.objects.lists import copies, name_of, read_list
from activities.backup.objects.restoring import objects_of
from activities.backup.objects.wire import Wire
from activities.backup.store import BackupStore
from blueprint.backup import layout
from blueprint.backup.contract import BucketRestoreInput, DeleteOutput, ScratchObjectsInput, VerifyOutput
from blueprint.backup.manifest import Manifest
from blueprint.backup.objects import (
    AT_ONCE,
    ObjectVersion,
    etag_of_parts,
    part_size,
    require_scratch,
    sampled,
    side_by_side,
)

_READ = 20
"""Objects that are read to the last byte."""
_LARGEST_READ = 1 << 30
"""Bytes of the largest one that is."""
_TOLD = 20
"""Findings that are told."""
_CHUNK = 1 << 20
_BATCH = 1000
"""Objects that one request deletes: S3's limit."""


def verify_objects(store: BackupStore, wire: Wire, input: ScratchObjectsInput) -> VerifyOutput:
    """Hold what was restored under a scratch prefix of the store against the backup, and all copies against its list.

    Args:
        store: where both are.
        wire: the way to it.
        input: what is asked for.

    Raises:
        RestoreRefused: the prefix is not a drill's.
        Damaged: the list of objects is not what was written.
    """
    require_scratch(store.store, input.into_prefix)
    manifest = store.manifest(f"bucket/{input.bucket}", input.id)
    restore = BucketRestoreInput(site=input.site, bucket=input.bucket, id=input.id, sample=input.sample)
    wanted = (found._replace(key=input.into_prefix + found.key) for found in objects_of(store, manifest, restore))
    findings, good, size = list[str](), list[ObjectVersion](), 0
    for expected, live in side_by_side(wanted, wire.list(store.store.bucket, input.into_prefix)):
        if expected is None:
            continue
        name = expected.key.removeprefix(input.into_prefix)
        if live is None:
            findings.append(f"{name} was not restored")
        elif live.size != expected.size:
            findings.append(f"{name} has {live.size} bytes, and had {expected.size}")
        elif live.etag not in (expected.etag, expected.blob_etag):
            findings.append(f"{name} has another content: its ETag is {live.etag}, and was {expected.etag}")
        else:
            good.append(expected)
            size += expected.size
    findings += _copies_wrong(store, wire, manifest)
    read = list(islice(sampled((one for one in good if one.size <= _LARGEST_READ), len(good), _READ), _READ))
    for expected in read:
        findings += wire.result(_read(store, wire, input, expected))
    if len(findings) > _TOLD:
        findings = [*findings[:_TOLD], f"and {len(findings) - _TOLD} more"]
    checked = (
        f"{manifest.bucket.versions if manifest.bucket else 0} versions: their copies are there, with size and ETag",
        f"{len(good)} of {manifest.bucket.objects if manifest.bucket else 0} objects with {size} bytes: size and ETag",
        f"{len(read)} objects: every byte, metadata and tags",
    )
    return VerifyOutput(findings=tuple(findings), checked=checked)


def remove_objects(store: BackupStore, wire: Wire, input: ScratchObjectsInput) -> DeleteOutput:
    """Remove all versions of everything under a scratch prefix of the store.

    Args:
        store: where they are.
        wire: the way to it.
        input: what is asked for.

    Raises:
        RestoreRefused: the prefix is not a drill's.
    """
    require_scratch(store.store, input.into_prefix)
    bucket = store.store.bucket
    found = wire.list(bucket, input.into_prefix, versions=wire.result(wire.is_versioned(bucket)))
    objects = size = locked = 0
    while batch := list(islice(found, _BATCH)):
        kept = wire.result(wire.delete(bucket, batch))
        objects += len(batch) - len(kept)
        size += sum(one.size for one in batch if one.key not in kept)
        locked += len(kept)
    for upload in wire.result(uploads_in(wire, bucket, input.into_prefix)):
        wire.result(abort(wire, bucket, upload))
    return DeleteOutput(objects=objects, bytes=size, locked=locked)


def _copies_wrong(store: BackupStore, wire: Wire, manifest: Manifest) -> Iterator[str]:
    """What is wrong with the copies of a backup: of all, also those that are not in the sample."""
    bucket = manifest.asset.partition("/")[2]
    there = wire.result(copies(store, wire, bucket))
    for found in read_list(store, manifest):
        if found.marker:
            continue
        copy = there.get(name_of(found.blob))
        if copy is None:
            yield f"the copy of {found.key} is missing: {layout.blob(store.store, bucket, found.blob)}"
        elif (copy.etag, copy.size) != (found.blob_etag, found.size):
            yield f"the copy of {found.key} is another: {layout.blob(store.store, bucket, found.blob)}"


async def _read(store: BackupStore, wire: Wire, input: ScratchObjectsInput, expected: ObjectVersion) -> list[str]:
    """What is wrong with one object, which is read and compared with its copy in the store."""
    name = expected.key.removeprefix(input.into_prefix)
    bucket = store.store.bucket
    restored = Place(wire, bucket, expected.key)
    try:
        belongs = (await look_at(Place(wire, bucket, layout.blob(store.store, input.bucket, expected.blob))))[1]
        findings = [] if (await look_at(restored))[1] == belongs else [f"{name} has other metadata or tags"]
        etag = await _etag_of_bytes(restored, expected.size)
    except OtherObject:
        return [f"{name}, or its copy in the store, is gone"]
    if etag not in (expected.etag, expected.blob_etag):
        findings.append(f"{name} has other bytes: they make {etag}, and were {expected.blob_etag}")
    return findings


async def _etag_of_bytes(place: Place, size: int) -> str:
    """The ETag that the bytes have which really come."""
    step, digests = part_size(size), list[str]()

    async def take(response: aiohttp.ClientResponse) -> bytes:
        digests.clear()
        digest, length = hashlib.md5(usedforsecurity=False), 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            # A part may end in the middle of what came.
            for piece in (chunk[: step - length], chunk[step - length :]):
                digest.update(piece)
                length += len(piece)
                if length == step:
                    digests.append(digest.hexdigest())
                    digest, length = hashlib.md5(usedforsecurity=False), 0
        if length or not digests:
            digests.append(digest.hexdigest())
        return b""

    await place.wire.send("GET", place.bucket, place.key, place.query, take=take)
    return digests[0] if size <= AT_ONCE else etag_of_parts(digests)
