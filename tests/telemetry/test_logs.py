"""The worker's log: each line says what it is about, as JSON and over OTLP, and which trace it belongs to."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from starters.collector import Collector, attributes, collecting
from starters.temporal_server import TemporalServer
from telemetry.catalogue import BACKUP_AGE
from telemetry.logs import JsonLines
from telemetry.metrics import record, runtime
from tests.emulator.real.local import eventually
from tests.telemetry.site import worked
from tests.workflows.house import small


def lines(path: Path) -> list[dict[str, Any]]:
    """What a worker has logged so far."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def parked(temporal: TemporalServer, log: Path, **settings: str) -> tuple[str, str]:
    """Let a worker of these settings park a step. Returns the run's id and environment."""
    with worked(temporal, log, **settings) as house:
        house.fault("POST /vpc/v2/regions/{region}/vpcs", kind="quota_exceeded")
        data = small()
        run = house.begin(data)
        house.until_parked(run, "create vpc.main")
        run_id = str(run.handle.result_run_id)
        house.run(run.handle.terminate("seen"))
    return run_id, f"{data['org']}-test"


def test_json_lines(temporal: TemporalServer, tmp_path: Path) -> None:
    """Every line is an object; those about a run name it, and its environment."""
    log = tmp_path / "log"
    run_id, environment = parked(temporal, log, LOG_FORMAT="json")
    told = lines(log)
    assert all({"timestamp", "level", "logger", "message", "service"} <= line.keys() for line in told)
    (line,) = [line for line in told if "is parked" in line["message"]]
    assert line["run_id"] == run_id
    assert line["environment"] == environment
    assert line["operation"] == "apply"
    assert line["step"] == "create vpc.main"
    assert "trace_id" not in line
    assert "{" not in line["message"]


def test_over_otlp(temporal: TemporalServer, tmp_path: Path) -> None:
    """The same lines arrive at a collector, and lead to the trace."""
    with collecting() as collector:
        settings = {"LOG_FORMAT": "json", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRICS_EXPORTER": "none"}
        run_id, _ = parked(temporal, tmp_path / "log", **settings)

        def found(collector: Collector = collector) -> list[Any]:
            return [record for record in collector.logs if "is parked" in record.body.string_value]

        eventually(lambda: bool(found()), "the line arrives")
    (record,) = found()
    assert attributes(record.attributes)["run_id"] == run_id
    assert record.severity_text == "ERROR"
    assert record.trace_id
    assert record.trace_id in {span.trace_id for span in collector.spans}
    (line,) = [line for line in lines(tmp_path / "log") if "is parked" in line["message"]]
    assert line["trace_id"] == record.trace_id.hex()


def test_the_core_of_the_sdk_logs_where_we_do() -> None:
    """What it has to say of a collector that is not there is no text between lines of JSON."""
    # The core's threads log by the first runtime of their process; another test may have made one.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        line = processes.submit(_first_line_of_the_core).result()
    assert json.loads(line)["logger"].startswith("temporalio.core")


def _first_line_of_the_core() -> str:
    lines: list[str] = []
    os.environ |= {
        "LOG_FORMAT": "json",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9/v1/metrics",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
    }
    logging.getLogger().addHandler(Printed(lines))
    made = runtime()
    record(BACKUP_AGE, 1.0, {})
    eventually(lambda: bool(lines), "the core says something")
    # It would go on trying.
    del made
    gc.collect()
    return lines[0]


class Printed(logging.Handler):
    """Keeps lines as the worker's log would have them.

    Args:
        lines: where.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self._lines.append(self.format(record))


def test_for_people(temporal: TemporalServer, tmp_path: Path) -> None:
    """Without settings a line is a line of text."""
    log = tmp_path / "log"
    parked(temporal, log)
    with pytest.raises(json.JSONDecodeError):
        lines(log)
    assert " ERROR " in log.read_text()
