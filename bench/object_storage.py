"""What the local Object Storage costs: a request, a page of a long listing, a gigabyte in either direction."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests

from bench.environments import ROOT
from bench.report import Report
from starters.child import Child, free_port

NAME = "object_storage"
SUMMARY = "the local Object Storage: CPU of the server per small request and per gigabyte"

SMALL, LARGE = 10_000, 32 << 20
"""Bytes of an object and of a part."""
MOST_MS, MOST_SECONDS = 0.6, 1.5
"""CPU time of the server: what a small request may cost, and a gigabyte besides its MD5, which the ETag asks for."""
PAGE = 1000
KEY = "SCWLOCAL000000000000"
CLIENTS = 4


class Client:
    """One connection that signs nothing: the emulator checks signatures of keys that it has issued only."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The body of a good answer."""
        moment = datetime.now(UTC)
        sent = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/{moment:%Y%m%d}/fr-par/s3/aws4_request, "
            "SignedHeaders=host, Signature=0",
            "x-amz-date": f"{moment:%Y%m%dT%H%M%SZ}",
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body or None, sent)
        response = self._connection.getresponse()
        found = response.read()
        if response.status >= 300:
            raise AssertionError(f"{method} {path}: {response.status} {found[:300]!r}")
        return found


async def measure(*, full: bool) -> Report:
    """Ask one emulator of its own.

    Args:
        full: a bucket of 100,000 keys and 2 GB instead of a tenth of that.
    """
    return await asyncio.to_thread(_measure, 100_000 if full else 10_000, 64 if full else 16)


def _measure(keys: int, parts: int) -> Report:
    report = Report(("", "requests/s", "MB/s", "server CPU ms each", "server CPU s per GB"))
    with tempfile.TemporaryDirectory(prefix="object-storage-") as folder:
        port = free_port()
        command = [sys.executable, "-m", "emulator", "--port", str(port), "--state", f"{folder}/state.db"]
        emulator = Child("the local Scaleway", command, Path(folder) / "emulator.log", cwd=ROOT)
        emulator.start()
        try:
            while "s3" not in (found := _endpoints(port)):
                time.sleep(0.05)
            _ask(report, psutil.Process(emulator.pid), found["s3"], keys, parts)
        finally:
            emulator.stop()
    return report


def _endpoints(port: int) -> dict[str, Any]:
    """Where what is; the data planes come last, and not always next to the API."""
    try:
        found: dict[str, Any] = requests.get(f"http://127.0.0.1:{port}/_emulator/endpoints", timeout=5).json()
    except requests.ConnectionError:
        return {}
    return found


def _ask(report: Report, process: psutil.Process, url: str, keys: int, parts: int) -> None:
    clients = [Client(url) for _ in range(CLIENTS)]
    small, large = os.urandom(SMALL), os.urandom(LARGE)
    began = time.process_time()
    hashlib.md5(large)
    digest = (time.process_time() - began) * 1e9 / LARGE
    report.rows.append(("(MD5 alone)", "", 1000 / digest, "", digest))

    def timed(name: str, count: int, size: int, call: Callable[[Client, int], object], used: int = CLIENTS) -> None:
        before, began = _cpu(process), time.perf_counter()
        with ThreadPoolExecutor(used) as pool:
            list(pool.map(lambda first: [call(clients[first], n) for n in range(first, count, used)], range(used)))
        wall, cpu = time.perf_counter() - began, _cpu(process) - before
        each, moved = cpu / count * 1000, count * size / 1e9
        if size == LARGE:
            report.rows.append((name, count / wall, moved * 1000 / wall, each, cpu / moved))
        else:
            report.rows.append((name, count / wall, "", each, ""))
        if size == LARGE:
            most = MOST_SECONDS + (digest if name.startswith("PUT") else 0.0)
            report.require(cpu / moved <= most, f"{name}: {cpu / moved:.2f} s of CPU per GB")
        elif size == SMALL:
            report.require(each <= MOST_MS, f"{name}: {each:.2f} ms of CPU")

    clients[0].ask("PUT", "/bench")
    clients[0].ask("PUT", "/large")
    timed("PUT 10 KB", keys, SMALL, lambda client, n: client.ask("PUT", f"/bench/{n % 100:02}/{n:07}", small))
    timed("GET 10 KB", keys // 5, SMALL, lambda client, n: client.ask("GET", f"/bench/{n % 100:02}/{n:07}"))
    timed("HEAD", keys // 5, SMALL, lambda client, n: client.ask("HEAD", f"/bench/{n % 100:02}/{n:07}"))
    timed(
        "copy 10 KB",
        keys // 5,
        SMALL,
        lambda client, n: client.ask("PUT", f"/large/copy/{n}", x_amz_copy_source=f"/bench/{n % 100:02}/{n:07}"),
    )
    pages = keys // PAGE
    timed("list a page of 1000", pages, 0, lambda client, n: _page(client, keys * n // pages), used=1)
    timed("PUT 32 MiB", parts, LARGE, lambda client, n: client.ask("PUT", f"/large/{n}", large), used=2)
    timed("GET 32 MiB", parts, LARGE, lambda client, n: client.ask("GET", f"/large/{n}"), used=2)
    report.notes.append(f"memory of the server at the end: {process.memory_info().rss / 1e6:.0f} MB")


def _page(client: Client, number: int) -> None:
    after = quote(f"{number // 1000:02}/")
    assert client.ask("GET", f"/bench?list-type=2&max-keys={PAGE}&start-after={after}").count(b"<Key>")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
