"""An apply and a deploy on real machines, each as one trace, collected over OTLP as a team's collector would get it.

What the local Scaleway was asked is held against the spans; and the code of both runs is gone through once more over
their histories, as a worker would that takes them over, which must add no span.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from temporalio.client import Client
from temporalio.worker import Replayer

from bench.rehearsed import DEADLINES, ENVIRONMENT, Rehearsed, say
from bench.report import Report
from starters.collector import Collector, attributes, collecting
from starters.dev import WORKER
from starters.rehearsal import ROOT, Rehearsal
from starters.sample import SampleRepository
from telemetry.run_spans import RunTracing
from telemetry.traces import flush, tracing
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS

NAME = "traces"
SUMMARY = "apply and deploy on real machines over OTLP: one connected trace each, every call a span, none by replay"

STEPS = {"Apply": ("apply",), "Deploy": ("deploy", "--ref", "main")}
"""Commands by the workflow that they start."""
_OF_NODES = ("S3 ", "SQS ")
"""Operations that the application on the nodes calls, too, once there is one."""
_HTTP, _SSH = "http.request.method", "scaleway_infra.script"


async def measure(*, full: bool) -> Report:
    """Apply, deploy, and look at what has arrived.

    Args:
        full: no difference here.
    """
    report = Report(("run", "seconds", "spans", "HTTP calls", "scripts over SSH", "spans without their parent"))
    with collecting() as collector, tempfile.TemporaryDirectory(prefix="scaleway-infra-bench-") as folder:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRICS_EXPORTER": "none"}
        settings = ("env", *(f"{name}={value}" for name, value in variables.items()))
        sample = SampleRepository(Path(folder) / "backend")
        sample.release()
        data = yaml.safe_load((ROOT / "environments" / f"{ENVIRONMENT}.yaml").read_text())
        data["nodes"]["core"]["count"] = 1
        rehearsal = Rehearsal(
            Path(folder),
            data,
            str(sample.folder),
            latency=0.02,
            changes={"app": DEADLINES},
            say=say,
            worker=(*settings, *WORKER),
        )
        with rehearsal:
            seconds = {name: _run(rehearsal, settings, *step) for name, step in STEPS.items()}
            # It sends what it still has.
            rehearsal.dev.worker.stop()
            for name in STEPS:
                _connected(collector.spans, name, seconds[name], report)
            _complete(Rehearsed(rehearsal).ask("requests?last=20000")["requests"], collector.spans, report)
            await _replay(rehearsal, collector, variables, report)
    return report


def _run(rehearsal: Rehearsal, settings: Sequence[str], command: str, *options: str) -> float:
    """Seconds that a command of ours took."""
    started = time.monotonic()
    arguments = rehearsal.command(command, ENVIRONMENT, *options, "--yes")
    done = subprocess.run(
        [*settings, *arguments], **rehearsal.surroundings(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr[-1500:]}")
    return time.monotonic() - started


def _connected(spans: Sequence[Span], workflow: str, seconds: float, report: Report) -> None:
    """Each span of a run's trace leads to whoever started it."""
    roots = [span for span in spans if span.name == f"StartWorkflow:{workflow}"]
    report.require(len(roots) == 1, f"{len(roots)} traces begin with the start of {workflow}")
    for root in roots:
        trace = [span for span in spans if span.trace_id == root.trace_id]
        ids = {span.span_id for span in trace}
        astray = [span.name for span in trace if span is not root and span.parent_span_id not in ids]
        report.require(not astray, f"{workflow}: without their parent are {sorted(set(astray))}")
        told = [attributes(span.attributes) for span in trace]
        calls = sum(_HTTP in each for each in told)
        scripts = sum(_SSH in each for each in told)
        report.rows.append((workflow, seconds, len(trace), calls, scripts, len(astray)))
        report.require(any(span.name == f"CompleteWorkflow:{workflow}" for span in trace), f"{workflow} has no end")
        report.require(scripts > 0 or workflow != "Deploy", "no script on a node is a span")


def _complete(asked: Sequence[dict[str, Any]], spans: Sequence[Span], report: Report) -> None:
    """Whatever the local Scaleway was asked is a span, and that of a run."""
    calls = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT and _HTTP in attributes(span.attributes)]
    told: Counter[tuple[str, str]] = Counter()
    for span in calls:
        known = attributes(span.attributes)
        told[known[_HTTP], urlsplit(known["url.full"]).path or "/"] += 1
    wanted = Counter(
        (entry["method"], entry["path"].partition("?")[0])
        for entry in asked
        if not entry["operation"].startswith(_OF_NODES)
    )
    missing = wanted - told
    report.notes.append(f"the API was asked {wanted.total()} times: {missing.total()} of it without a span")
    report.require(bool(wanted) and not missing, f"without a span: {sorted(missing)[:10]}")
    runs = {span.trace_id for span in spans if span.name.startswith("RunWorkflow:")}
    strangers = sorted({span.name for span in calls if span.trace_id not in runs})
    report.require(not strangers, f"calls that belong to no run: {strangers}")


async def _replay(rehearsal: Rehearsal, collector: Collector, variables: dict[str, str], report: Report) -> None:
    """Go through both runs once more, with traces on."""
    os.environ |= variables
    tracing()
    before = len(collector.spans)
    client = await Client.connect(rehearsal.endpoints.temporal_address, plugins=[EnginePlugin()])
    # Debugging means without a limit on the time that code takes: a busy machine is no defect of it.
    replayer = Replayer(workflows=WORKFLOWS, plugins=[EnginePlugin()], interceptors=[RunTracing()], debug_mode=True)
    replayed = 0
    for workflow in STEPS:
        async for run in client.list_workflows(f'WorkflowType = "{workflow}"'):
            history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            await replayer.replay_workflow(history)
            replayed += 1
    await asyncio.to_thread(flush)
    added = len(collector.spans) - before
    report.notes.append(f"{replayed} runs gone through once more: {added} spans more")
    report.require(replayed == len(STEPS), f"{replayed} runs replayed")
    report.require(added == 0, f"a replay adds {added} spans")
