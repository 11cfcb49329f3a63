"""The body of a request as it comes in: to a row or a file, hashed on the way, and checked as it was announced."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from crc32c import crc32c

from emulator.dataplane.s3.database import INLINE, Database
from emulator.dataplane.s3.refusals import S3Error, not_implemented

AT_ONCE = 1 << 18
"""Bytes of a body that is read and hashed where the server runs; what is larger streams to its file in a thread."""
BATCH = 1 << 20
"""Bytes that the thread takes at a time."""
LARGEST = 5 << 30
"""Bytes of a body, and of an object that is copied in one request."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHECKSUM = "x-amz-checksum-"

Chunk = bytes | memoryview


class Digest(Protocol):
    """As in `hashlib`."""

    def update(self, data: Chunk, /) -> None:
        """Take more."""

    def digest(self) -> bytes:
        """The value so far."""


class _Crc:
    def __init__(self, function: Callable[[Chunk, int], int]) -> None:
        self._function = function
        self._value = 0

    def update(self, data: Chunk, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


CHECKSUMS: dict[str, Callable[[], Digest]] = {
    "crc32": lambda: _Crc(zlib.crc32),
    "crc32c": lambda: _Crc(crc32c),
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
}
"""Algorithms of `x-amz-checksum-*`."""


@dataclass
class Received:
    """A body.

    Attributes:
        content: the id that it has in the store, once it is kept.
        data: the body itself; None if it is in its file.
        digests: by algorithm: "md5", and what else the request announced.
        trailers: headers that came behind the body, in lower case.
        broken: it was not framed as announced.
        kept: a row of the store names it.
    """

    content: int
    size: int = 0
    data: bytes | None = None
    digests: dict[str, bytes] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    broken: bool = False
    kept: bool = False

    def checksums(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The checksums to keep with the object: by header, in base64."""
        return {
            f"{_CHECKSUM}{name}": base64.b64encode(self.digests[name]).decode()
            for name in _announced(headers)
            if name in CHECKSUMS
        }

    def check(self, headers: Mapping[str, str]) -> None:
        """Compare with what the request said of its body.

        Raises:
            S3Error: it is another one.
        """
        length = headers.get("x-amz-decoded-content-length")
        if self.broken or (length is not None and length != str(self.size)):
            raise S3Error("IncompleteBody", "The request body terminated unexpectedly")
        if self.size > LARGEST:
            raise S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size")
        announced = headers.get("x-amz-content-sha256", "")
        if _SHA256.fullmatch(announced) and self.digests["sha256"].hex() != announced:
            text = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise S3Error("XAmzContentSHA256Mismatch", text)
        md5 = headers.get("Content-MD5")
        if md5 is not None and _decoded(md5, 16) != self.digests["md5"]:
            raise S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.")
        for name in _announced(headers):
            if name not in CHECKSUMS:
                raise not_implemented()
            value = headers.get(_CHECKSUM + name) or self.trailers.get(_CHECKSUM + name, "")
            if _decoded(value, len(self.digests[name])) != self.digests[name]:
                raise S3Error("BadDigest", f"The {name.upper()} you specified did not match the calculated checksum.")


class AwsChunks:
    """Reads the framing `aws-chunked`: chunks with sizes, and trailers behind the last. Signatures are skipped."""

    def __init__(self) -> None:
        self.trailers: dict[str, str] = {}
        self.ended = False
        self._left = 0
        self._line = b""

    def feed(self, data: bytes) -> list[Chunk]:
        """What of this is content, uncopied.

        Raises:
            ValueError: it is not framed so.
        """
        view, at = memoryview(data), 0
        found: list[Chunk] = []
        while at < len(data):
            if self._left:
                content = view[at : at + self._left]
                found.append(content)
                at += len(content)
                self._left -= len(content)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                break
            line = (self._line + data[at:end]).strip()
            self._line, at = b"", end + 1
            if line:
                self._read(line)
        return found

    def _read(self, line: bytes) -> None:
        if self.ended:
            name, _, value = line.decode().partition(":")
            self.trailers[name.strip().lower()] = value.strip()
        else:
            self._left = int(line.partition(b";")[0], 16)
            self.ended = not self._left


async def receive(request: web.BaseRequest, store: Database) -> Received:
    """Read the body of a request; what is large goes to its file meanwhile."""
    chunks = AwsChunks() if _framed(request.headers) else None
    hashes = _hashes(request.headers)
    found = Received(store.reserve())
    try:
        await _read(request, store, found, chunks, hashes)
    except BaseException:
        store.discard(found.content)
        raise
    if chunks:
        found.trailers = chunks.trailers
        found.broken = found.broken or not chunks.ended
    found.digests = {name: digest.digest() for name, digest in hashes.items()}
    return found


async def _read(
    request: web.BaseRequest, store: Database, found: Received, chunks: AwsChunks | None, hashes: dict[str, Digest]
) -> None:
    if request.content_length is not None and request.content_length <= AT_ONCE:
        body = await request.content.read()
        try:
            data = b"".join(chunks.feed(body)) if chunks else body
        except ValueError:
            data, found.broken = b"", True
        found.size = len(data)
        for digest in hashes.values():
            digest.update(data)
        if found.size <= INLINE:
            found.data = data
        else:
            with store.create(found.content) as file:
                file.write(data)
    else:
        await _stream(request, store, found, chunks, hashes)


async def _stream(
    request: web.BaseRequest, store: Database, found: Received, chunks: AwsChunks | None, hashes: dict[str, Digest]
) -> None:
    loop = asyncio.get_running_loop()
    file = store.create(found.content)

    def take(batch: Iterable[Chunk]) -> None:
        for chunk in batch:
            for digest in hashes.values():
                digest.update(chunk)
            file.write(chunk)

    batch: list[Chunk] = []
    waiting, taken = 0, loop.run_in_executor(None, take, ())
    try:
        while not request.content.at_eof():
            data, _ = await request.content.readchunk()
            for chunk in chunks.feed(data) if chunks else (data,):
                batch.append(chunk)
                waiting += len(chunk)
            if waiting >= BATCH:
                # The next batch comes in while this one is hashed and written.
                await taken
                taken = loop.run_in_executor(None, take, batch)
                found.size += waiting
                batch, waiting = [], 0
        await taken
        await loop.run_in_executor(None, take, batch)
        found.size += waiting
    except ValueError:
        found.broken = True
    finally:
        await asyncio.wait([taken])
        file.close()


def _framed(headers: Mapping[str, str]) -> bool:
    return "aws-chunked" in headers.get("Content-Encoding", "") or headers.get("x-amz-content-sha256", "").startswith(
        "STREAMING-"
    )


def _announced(headers: Mapping[str, str]) -> list[str]:
    names = [name.lower() for name in headers if name.lower().startswith(_CHECKSUM)]
    if trailer := headers.get("x-amz-trailer"):
        names += [name.strip().lower() for name in trailer.split(",")]
    found = (name.removeprefix(_CHECKSUM) for name in names if name.startswith(_CHECKSUM))
    return [name for name in found if name not in ("algorithm", "mode", "type")]


def _hashes(headers: Mapping[str, str]) -> dict[str, Digest]:
    hashes: dict[str, Digest] = {"md5": hashlib.md5()}
    hashes |= {name: CHECKSUMS[name]() for name in _announced(headers) if name in CHECKSUMS}
    if _SHA256.fullmatch(headers.get("x-amz-content-sha256", "")):
        hashes.setdefault("sha256", hashlib.sha256())
    return hashes


def _decoded(text: str, length: int) -> bytes:
    """A digest in base64, of this length.

    Raises:
        S3Error: it is none.
    """
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError:
        value = b""
    if len(value) != length:
        raise S3Error("InvalidDigest", "The Content-MD5 or checksum value that you specified is not valid.")
    return value
