"""One connection to object storage: parts go there and come back by presigned URLs, again and again until they do."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import random
import time
from urllib.parse import urlsplit

from transfer.files import Code, Part, TransferError, part_name
from transfer.run import Run
from transfer.urls import Urls

PATIENCE = 300.0
"""Seconds for which one part is tried again."""
TIMEOUT = 60.0
"""Seconds that the store may be silent."""
REFUSALS = 3
"""URLs of one part, each newly presigned, after which a refusal is final. A URL that is too old is no refusal."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_BUSY = frozenset({408, 425, 429})
_TROUBLE = (OSError, http.client.HTTPException)


class _Busy(Exception):
    """The store asks to try again."""


class Store:
    """A connection that is kept. Not for several threads."""

    def __init__(self, run: Run, urls: Urls) -> None:
        self._run = run
        self._urls = urls
        self._connection: http.client.HTTPConnection | None = None
        self._host = ("", "")

    def put(self, archive: str, index: int, body: memoryview) -> Part:
        """Store a part.

        Raises:
            TransferError: the store refuses or is lost, or the run has failed.
        """
        name = part_name(archive, index)
        digest = hashlib.sha256(body).hexdigest()
        self._persist(name, body, None)
        return Part(index, len(body), digest)

    def get(self, archive: str, part: Part, into: memoryview) -> memoryview:
        """Read a part that is as it was stored.

        Raises:
            TransferError: it is not, the store refuses or is lost, or the run has failed.
        """
        name = part_name(archive, part.index)
        view = into[: part.size]
        self._persist(name, None, view)
        if hashlib.sha256(view).hexdigest() != part.sha256:
            raise TransferError(Code.PART_DAMAGED, f"{name} is not what was stored: its sha256 is another one")
        return view

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _persist(self, name: str, body: memoryview | None, into: memoryview | None) -> None:
        pause, refusals, until = _FIRST_PAUSE, 0, time.monotonic() + PATIENCE
        while True:
            url = self._urls.get(name)
            try:
                refusal = self._attempt(name, url, body, into)
            except (*_TROUBLE, _Busy) as error:
                self.close()
                if time.monotonic() > until:
                    text = f"{name}: the store does not answer as it should for {PATIENCE:.0f} s; the last time: "
                    raise TransferError(Code.STORE_LOST, text + (str(error) or type(error).__name__)) from error
                self._run.pause(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._urls.drop(name)
            if not refusal:
                return
            # Too old says nothing against the next one: nor do many that were presigned while the driver was away.
            refusals += "expired" not in refusal.lower()
            if refusals >= REFUSALS:
                raise TransferError(Code.STORE_REFUSED, f"{name}: the store refuses: {refusal}")

    def _attempt(self, name: str, url: str, body: memoryview | None, into: memoryview | None) -> str:
        """Empty if it went well; what the store said if it refuses this URL."""
        parts = urlsplit(url)
        connection = self._connected(parts.scheme, parts.netloc)
        method = "GET" if body is None else "PUT"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # Who closes while it is written to may have answered before: why it refuses.
            connection.request(method, f"{parts.path}?{parts.query}", body=body)
        answer = connection.getresponse()
        if answer.status == 200:
            if into is None:
                answer.read()
            else:
                _read(name, answer, into)
            return ""
        said = answer.read(2000).decode(errors="replace")
        if not answer.isclosed():
            self.close()
        if answer.status in _BUSY or answer.status >= 500 or "RequestTimeout" in said:
            raise _Busy(f"{answer.status} {answer.reason}: {said}")
        if answer.status == 404 and into is not None:
            raise TransferError(Code.PART_DAMAGED, f"{name} is not in the bucket")
        if answer.status == 403:
            return f"{answer.status} {said}"
        raise TransferError(Code.STORE_REFUSED, f"{name}: the store refuses: {answer.status} {said}")

    def _connected(self, scheme: str, host: str) -> http.client.HTTPConnection:
        if self._connection is None or self._host != (scheme, host):
            self.close()
            kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
            self._connection, self._host = kind(host, timeout=TIMEOUT), (scheme, host)
        return self._connection


def _read(name: str, answer: http.client.HTTPResponse, into: memoryview) -> None:
    if answer.length is not None and answer.length != len(into):
        raise TransferError(Code.PART_DAMAGED, f"{name} has {answer.length} bytes instead of {len(into)}")
    filled = 0
    while filled < len(into):
        count = answer.readinto(into[filled:])
        if not count:
            raise http.client.IncompleteRead(b"", len(into) - filled)
        filled += count
    # The end of the answer, so that the connection can be used again.
    answer.read()
