"""Production on real machines, with a worker whose key has the policy of `iam-policy` and no other right."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
import yaml

from bench.rehearsed import DEADLINES, ENVIRONMENT, say
from bench.report import Report
from starters.dev import WORKER
from starters.rehearsal import ROOT, Rehearsal
from starters.sample import SampleRepository

NAME = "rights"
SUMMARY = "prod on real machines, from apply to restores, with exactly the policy of `iam-policy`: no call is refused"

IAM = "/iam/v1alpha1"
DATABASE, BUCKET, COPY = "equitya", "equitya-prod-files", "restore_rights"
STEPS = (
    ("apply", ENVIRONMENT, "--yes"),
    ("deploy", ENVIRONMENT, "--ref", "main", "--yes"),
    ("backup", ENVIRONMENT),
    ("drill", ENVIRONMENT),
    ("restore", ENVIRONMENT, "--database", DATABASE, "--to", COPY),
    ("drop", ENVIRONMENT, COPY, "--yes"),
    ("restore", ENVIRONMENT, "--database", DATABASE, "--in-place", "--yes"),
    ("restore", ENVIRONMENT, "--bucket", BUCKET, "--yes"),
    ("retention", ENVIRONMENT, "--yes"),
    ("drift", ENVIRONMENT, "--detailed-exitcode"),
    ("status", ENVIRONMENT, "--live"),
)


async def measure(*, full: bool) -> Report:
    """Every step has to be done, and no call refused."""
    report = Report(("step", "seconds", "refused calls"))
    with tempfile.TemporaryDirectory(prefix="scaleway-infra-bench-") as folder:
        sample = SampleRepository(Path(folder) / "backend")
        sample.release()
        data = yaml.safe_load((ROOT / "environments" / f"{ENVIRONMENT}.yaml").read_text())
        key = Path(folder) / "key"
        rehearsal = Rehearsal(
            Path(folder),
            data,
            str(sample.folder),
            latency=0.02,
            changes={"app": DEADLINES},
            say=say,
            worker=_waiting_for(key),
        )
        with rehearsal:
            key.write_text(_granted(rehearsal))
            for step in STEPS:
                _carry_out(rehearsal, step, report)
    return report


def _waiting_for(key: Path) -> tuple[str, ...]:
    """A worker that begins once it has its key: the policy is made in the Scaleway that starts along with it."""
    quoted = shlex.quote(str(key))
    command = f"until [ -s {quoted} ]; do sleep 0.1; done; . {quoted}; exec {shlex.join(WORKER)}"
    return ("sh", "-c", command)


def _granted(rehearsal: Rehearsal) -> str:
    """The key of an application with the printed policy, as lines for a shell."""
    endpoints = rehearsal.endpoints
    printed = rehearsal.run("--output", "json", "iam-policy", ENVIRONMENT, capture=True).stdout

    def made(path: str, **body: Any) -> Any:
        headers = {"X-Auth-Token": endpoints.scaleway["SCW_SECRET_KEY"]}
        answer = requests.post(f"{endpoints.api_url}{IAM}{path}", json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    application = made("/applications", name="engine", description="")["id"]
    made("/policies", **json.loads(printed), application_id=application)
    key = made("/api-keys", application_id=application, description="")
    return f"export SCW_ACCESS_KEY={key['access_key']} SCW_SECRET_KEY={key['secret_key']}\n"


def _carry_out(rehearsal: Rehearsal, step: tuple[str, ...], report: Report) -> None:
    name, log = " ".join(step), f"{rehearsal.endpoints.api_url}/_emulator/requests"
    requests.delete(log, timeout=10)
    started = time.monotonic()
    try:
        done = rehearsal.run(*step, check=False, capture=True)
    except subprocess.SubprocessError as error:
        report.require(False, f"{name}: {error}")
        return
    seconds = time.monotonic() - started
    refused = [
        entry for entry in requests.get(f"{log}?last=20000", timeout=10).json()["requests"] if entry["status"] == 403
    ]
    report.rows.append((name, seconds, len(refused)))
    report.require(done.returncode == 0, f"{name} ended with {done.returncode}: {done.stderr[-1500:]}")
    report.require(not refused, f"{name}: refused {sorted({entry['operation'] for entry in refused})}")
