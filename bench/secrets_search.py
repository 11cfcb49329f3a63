"""Secrets are looked for wherever the engine leaves a trace: Temporal's database, logs, spans, metrics, outputs.

Every secret there is gets a distinctive value: those that the worker's environment and an operator provide are
planted, those that the engine or Scaleway make are read out of the local Scaleway afterwards. Apply, drift and destroy
run through the command line; calls that carry secrets are refused on the way, so that failures are recorded too, and
steps are parked and retried. Traces, metrics and logs of worker and command line go to a collector over OTLP.

Searching Temporal's database means every value of every row, since a long one is split over pages in the file, and the
histories once more through its API; the files are searched as they are too, for what deleted rows have left. That the
search finds what is there is shown by a word that is no secret: the name of a bucket.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from google.protobuf.message import Message

from bench.emulator import Document
from bench.environments import ROOT, prod
from bench.report import Report
from bench.stack import Stack
from starters.collector import collecting

NAME = "secrets"
SUMMARY = "planted secrets are searched in Temporal's database, logs, spans, metrics and outputs: 0 hits"

PLANTED = 3
_REFUSED = ("POST *secrets*versions", "POST *api-keys", "POST *credentials", "POST *users", "POST /rdb/v1/*instances")
"""Calls that carry a secret or tell one: each is refused once, which parks its step."""
_KEYS = ("secret_key", "password", "private_key", "token")
"""Names under which documents of the local Scaleway keep a secret."""
_MEASURED = "VpcV2API/create_vpc"
"""What is found among metrics, whose attributes are named after no object."""
_NO_SECRET = "llm-routing"
_SHORTEST = 8
"""Shorter values would be found by chance."""
_ROUNDS = 10
_TIMEOUT = 120.0


async def measure(*, full: bool) -> Report:
    """Run, collect, search.

    Args:
        full: no difference here.
    """
    report = Report(("searched", "bytes", "secrets found", "the planted word found"))
    word = f"planted-{secrets.token_hex(8)}"
    planted = {f"BENCH_SECRET_{n}": f'{secrets.token_hex(6)}"/\\é&{secrets.token_hex(6)}' for n in range(PLANTED)}
    async with AsyncExitStack() as held:
        collector = held.enter_context(collecting())
        telling = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        stack = await held.enter_async_context(Stack(worker_environment=planted | telling))
        files = stack.folder / "environments"
        files.mkdir()
        (files / "prod.yaml").write_text(yaml.safe_dump(_environment(planted, word)))
        runs = _Runs(stack, files, telling)
        # A step that is parked stands in the log: so does the planted word.
        refused = (*_REFUSED, f"PUT /lssm-prod-{word}")
        stack.emulator.set_faults([{"operation": operation, "kind": "quota_exceeded"} for operation in refused])
        await asyncio.to_thread(runs.make)
        values = set(planted.values()) | {stack.endpoints.scaleway["SCW_SECRET_KEY"]}
        values |= set(_secrets_of(stack.emulator.snapshot()))
        histories = await _histories(stack)
        await asyncio.to_thread(runs.unmake)
        values |= set(_secrets_of(stack.emulator.snapshot()))
        histories += await _histories(stack)
        stack.dev.worker.stop()
        places = {
            "rows of Temporal's database": _rows(stack.folder / "temporal.db"),
            "files of Temporal's database": b"".join(p.read_bytes() for p in stack.folder.glob("temporal.db*")),
            "histories through Temporal's API": histories,
            "logs of worker and Temporal": _logs(stack.folder / "logs", besides="emulator.log"),
            "spans": _each(collector.spans),
            "lines over OTLP": _each(collector.logs),
            "metrics": collector.exposition().encode(),
            "outputs of the command line": runs.printed.encode(),
        }
    forms = {form for value in values for form in spellings(value)}
    for place, content in places.items():
        hits = sum(1 for form in forms if form in content)
        known = _MEASURED if place == "metrics" else word
        found = known.encode() in content
        report.rows.append((place, len(content), hits, "yes" if found else "no"))
        report.require(hits == 0, f"{place}: {hits} hits")
        report.require(found, f"{place}: {known} was not found either")
    report.notes.append(
        f"{len(values)} secrets in {len(forms)} spellings; {runs.parked} parked steps; {len(collector.spans)} spans, "
        f"{len(collector.logs)} lines and {len(collector.metrics)} metrics over OTLP"
    )
    return report


class _Runs:
    """The command line, used as a person would."""

    def __init__(self, stack: Stack, files: Path, more: Mapping[str, str]) -> None:
        self._arguments = [sys.executable, "-m", "starters", "--directory", str(files)]
        self._environment = {**os.environ, **stack.endpoints.environment(), **more}
        self.printed = ""
        self.parked = 0

    def make(self) -> None:
        """Plan and apply, mending what is refused; look at the result."""
        self._call("plan", "prod")
        self._call("plan", "prod", output="json")
        code = self._call("apply", "prod", "--confirm", "prod")
        for _ in range(_ROUNDS):
            if code != 4:
                break
            self.parked += 1
            self._call("retry", "prod")
            # A run that has ended in the meantime cannot be watched, which is all right too.
            code = self._call("watch", "prod", accepted=(0, 1, 4))
        self._call("apply", "prod", "--confirm", "prod", output="json")
        self._call("drift", "prod", output="json")
        self._call("status", "prod")
        self._call("status", "prod", output="json")

    def unmake(self) -> None:
        """Destroy."""
        self._call("destroy", "prod", "--confirm", "prod", "--allow-destroy", "*", output="json")

    def _call(self, *arguments: str, output: str = "human", accepted: tuple[int, ...] = (0, 4)) -> int:
        command = [*self._arguments, "--output", output, *arguments]
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        if done.returncode not in accepted:
            raise AssertionError(f"{' '.join(arguments)}: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return done.returncode


def _environment(planted: Mapping[str, str], word: str) -> dict[str, Any]:
    data = prod()
    for number, variable in enumerate(planted):
        data["secrets"][f"planted-{number}"] = {"env": variable, "description": "planted"}
    data["buckets"][f"lssm/{word}"] = {}
    return data


def _secrets_of(snapshot: Document) -> Iterator[str]:
    """Every secret value that the local Scaleway knows."""
    tables: dict[str, dict[str, Document]] = snapshot["world"]["tables"]
    yield from tables.get("_iam.secret_keys", {})
    for secret in tables.get("secret.secrets", {}).values():
        if secret["name"] != _NO_SECRET:
            for version in secret["_versions"]:
                yield from _parts(base64.b64decode(version["_data"] or "").decode())
    for rows in tables.values():
        for row in rows.values():
            for name, value in row.items():
                if isinstance(value, str) and len(value) >= _SHORTEST and name.strip("_") in _KEYS:
                    yield value


def _parts(value: str) -> Iterator[str]:
    """A secret, and what is secret inside if it holds JSON."""
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if isinstance(content, dict):
        yield from (str(part) for name, part in content.items() if name in _KEYS)
    elif len(value) >= _SHORTEST:
        yield value


def spellings(value: str) -> Iterator[bytes]:
    """How a value can be spelt: as it is, in JSON, in a URL, in base64 at any of its three offsets."""
    raw = value.encode()
    yield raw
    yield json.dumps(value)[1:-1].encode()
    yield json.dumps(value, ensure_ascii=False)[1:-1].encode()
    yield json.dumps(json.dumps(value))[1:-1].encode()[2:-2]
    yield quote(value, safe="").encode()
    for offset in range(3):
        # The first and last characters of an encoding depend on the neighbours.
        yield base64.b64encode(b"\0" * offset + raw)[4 if offset else 0 : -4]


def _each(messages: Iterable[Message]) -> bytes:
    """What came over OTLP, as it came."""
    return b"\n".join(message.SerializeToString() for message in messages)


def _rows(database: Path) -> bytes:
    """Every value of every row, one after the other."""
    found = []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    connection.close()
    return b"\n".join(found)


async def _histories(stack: Stack) -> bytes:
    """Every event of every run, payloads decoded."""
    client = stack.engine.client
    found = []
    async for execution in client.list_workflows():
        history = await client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
        for event in history.events:
            found.append(event.SerializeToString())
    return b"\n".join(found)


def _logs(folder: Path, besides: str) -> bytes:
    """All logs but one: the local Scaleway prints the key that it proposes, since it opens nothing else."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.glob("*.log")) if path.name != besides)
