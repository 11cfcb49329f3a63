"""A rehearsal that is ready to be measured: applied, released, and with more releases to come."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from blueprint.release.record import ReleaseRecord
from starters.rehearsal import ROOT, Rehearsal
from starters.sample import Fault, SampleRepository

ENVIRONMENT = "prod"
DEADLINES: dict[str, Any] = {"drain": "3s", "soak": "2s", "healthy_within": "20s"}
"""What a deploy here waits by declaration: long enough to be met, short enough for many."""
RELEASED, FAILED = 0, 1


@dataclass(frozen=True)
class Deployed:
    """One deploy.

    Attributes:
        code: of the command.
        seconds: from the command's start to its end.
        record: what the run left; None if it left none.
        told: what the command printed besides.
    """

    code: int
    seconds: float
    record: ReleaseRecord | None
    told: str


class Rehearsed:
    """A rehearsal, and what the local Scaleway tells of it.

    Args:
        rehearsal: entered.
    """

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal

    def ask(self, what: str, method: str = "GET", body: Any = None) -> Any:
        """The emulator's own operations."""
        url = f"{self.rehearsal.endpoints.api_url}/_emulator/{what}"
        answer = requests.request(method, url, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None


class Measured(Rehearsed):
    """A rehearsal with its repository.

    Args:
        rehearsal: entered.
        sample: what it deploys.
    """

    def __init__(self, rehearsal: Rehearsal, sample: SampleRepository) -> None:
        super().__init__(rehearsal)
        self.sample = sample

    def deploy(self, fault: Fault | None = None) -> Deployed:
        """Deploy a release that nobody has seen yet."""
        return self.deploy_commit(self.commit(fault))

    def commit(self, fault: Fault | None = None) -> str:
        """A release that nobody has seen yet, in the repository that nodes fetch from."""
        commit = self.sample.release(fault=fault)
        self.sample.push(self.rehearsal.repository)
        return commit

    def deploy_commit(self, commit: str) -> Deployed:
        """Deploy a commit."""
        started = time.monotonic()
        done = self.rehearsal.run(
            "--output", "json", "deploy", ENVIRONMENT, "--ref", commit, "--yes", check=False, capture=True
        )
        return Deployed(done.returncode, time.monotonic() - started, last_record(done.stdout), done.stderr[-1500:])

    def begin(self, commit: str) -> subprocess.Popen[str]:
        """Begin to deploy a commit, in a process that may be killed."""
        command = self.rehearsal.command("--output", "json", "deploy", ENVIRONMENT, "--ref", commit, "--yes")
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **self.rehearsal.surroundings()
        )

    def releases(self) -> dict[str, Any]:
        """What is on the nodes, and the records of deploys."""
        told = self.rehearsal.run("--output", "json", "releases", ENVIRONMENT, capture=True).stdout
        found: dict[str, Any] = json.loads(told)
        return found

    def untidy(self, commit: str) -> list[str]:
        """What is not as it has to be once all nodes run a commit: links, units, pool; empty if all is well."""
        found = []
        for node in self.releases()["facts"]["nodes"]:
            if not node.get("reachable", True):
                found.append(f"{node['name']} cannot be reached: {node.get('trouble')}")
                continue
            if node.get("current") != commit:
                found.append(f"{node['name']} runs {node.get('current', '')[:9]}, not {commit[:9]}")
            for unit in node.get("units", []):
                if not unit["active"] or unit.get("commit") not in ("", None, commit):
                    found.append(f"{unit['name']} on {node['name']}: {unit}")
            if not (node.get("in_pool") and node.get("balanced")):
                found.append(f"{node['name']} is not in the pool, or not healthy there")
        return found


@contextmanager
def measured(nodes: int, **app: Any) -> Iterator[Measured]:
    """An environment with so many nodes that run a first release.

    Args:
        nodes: how many.
        app: settings of the application besides `DEADLINES`.
    """
    with tempfile.TemporaryDirectory(prefix="scaleway-infra-bench-") as folder:
        sample = SampleRepository(Path(folder) / "backend")
        sample.release()
        data = yaml.safe_load((ROOT / "environments" / f"{ENVIRONMENT}.yaml").read_text())
        data["nodes"]["core"]["count"] = nodes
        rehearsal = Rehearsal(
            Path(folder), data, str(sample.folder), latency=0.02, changes={"app": DEADLINES | app}, say=say
        )
        with rehearsal:
            rehearsal.run("apply", ENVIRONMENT, "--yes", capture=True)
            rehearsal.run("deploy", ENVIRONMENT, "--ref", "main", "--yes", capture=True)
            yield Measured(rehearsal, sample)


def last_record(printed: str) -> ReleaseRecord | None:
    """The record in what a command printed as JSON: the first document that is one."""
    decoder = json.JSONDecoder()
    position = 0
    while (position := printed.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(printed, position)
        except ValueError:
            position += 1
            continue
        if "origin" in value:
            return ReleaseRecord.model_validate(value)
    return None


def declared(record: ReleaseRecord) -> float:
    """Seconds that a deploy waited because the file says so, or the application took them: drains and soaks."""
    return sum(node.seconds.get("drain", 0.0) + node.seconds.get("soak", 0.0) for node in record.nodes)


def say(line: str) -> None:
    """Tell what happens while it is measured, if somebody wants to know: with BENCH_TALKS set."""
    if os.environ.get("BENCH_TALKS"):
        print(line, flush=True)
