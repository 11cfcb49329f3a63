"""The embedded Temporal server: ready when it says so, durable, alone on its port, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from starters.child import Child, PortTakenError, StartError, free_port
from starters.temporal_server import NAMESPACE, TemporalServer
from tests.starters import ended, eventually
from workflows.identity import ENVIRONMENT, NEEDS_OPERATOR, SEARCH_ATTRIBUTES


async def park_workflow(server: TemporalServer, name: str) -> None:
    """Start a workflow that nobody works on."""
    client = await server.client()
    await client.start_workflow(
        "Nobody",
        id=name,
        task_queue="nobody",
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(ENVIRONMENT, "lssm-test"), SearchAttributePair(NEEDS_OPERATOR, True)]
        ),
    )


async def retention_days(server: TemporalServer) -> int:
    """How long the namespace keeps closed workflows."""
    client = await server.client()
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta().days


async def found(server: TemporalServer, query: str) -> list[str]:
    """Ids of the workflows that a query finds."""
    client = await server.client()
    return [run.id async for run in client.list_workflows(query)]


def test_history_is_kept_for_ninety_days(temporal: TemporalServer) -> None:
    """The retention is set when `start` returns."""
    assert asyncio.run(retention_days(temporal)) == 90


def test_every_search_attribute_is_registered(temporal: TemporalServer) -> None:
    """A query by any of them is accepted."""
    for attribute in SEARCH_ATTRIBUTES:
        assert asyncio.run(found(temporal, f"{attribute.name} IS NOT NULL")) is not None


def test_state_survives_a_restart(tmp_path: Path) -> None:
    """A workflow started before a stop is there, and found by its attributes, after the next start."""
    server = TemporalServer(tmp_path, 0, 0)
    with server:
        asyncio.run(park_workflow(server, "kept"))
    with server:
        eventually(lambda: asyncio.run(found(server, "Environment = 'lssm-test' AND NeedsOperator = true")) == ["kept"])


def test_a_second_server_names_the_first(temporal: TemporalServer) -> None:
    """Asking for the port of a running Temporal says that it is one, and how to use it."""
    with pytest.raises(PortTakenError, match=f"TEMPORAL_ADDRESS={temporal.address}"):
        TemporalServer(None, temporal.port, None).start()


def test_a_taken_ui_port_is_named(temporal: TemporalServer) -> None:
    """The port of the UI is checked before anything starts."""
    with pytest.raises(PortTakenError, match=f"{temporal.port}.*--ui-port"):
        TemporalServer(None, 0, temporal.port).start()


def test_what_ended_it_is_told(tmp_path: Path) -> None:
    """A server that cannot start says why in the error, not only in its log."""
    (tmp_path / "temporal.db").write_text("this is not a database, and long enough to be looked at" * 100)

    with pytest.raises(StartError, match=r"(?s)ended with code 1.*not a database"):
        TemporalServer(tmp_path, 0, None).start()


def test_the_users_settings_do_not_lead_it_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TEMPORAL_* variables that point elsewhere change nothing."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "elsewhere")
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    with TemporalServer(None, 0, None) as server:
        assert asyncio.run(retention_days(server)) == 90


def test_stop_leaves_no_process() -> None:
    """The process is gone and its port free when `stop` returns; stopping again is harmless."""
    server = TemporalServer(None, 0, None)
    server.start()
    assert server.child is not None
    pid = server.child.pid
    assert pid is not None
    server.stop()
    server.stop()

    assert not psutil.pid_exists(pid)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """`stop` takes its patience and no longer."""
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = Child("deaf", [sys.executable, "-c", deaf], tmp_path / "log")
    child.start()
    eventually(lambda: "deaf" in child.last_words())
    before = time.monotonic()
    child.stop(0.5)

    assert child.returncode == -signal.SIGKILL
    assert 0.5 <= time.monotonic() - before < 5


@pytest.mark.skipif(sys.platform != "linux", reason="the signal of a dying parent is Linux's")
def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    """SIGKILL on the program that started a server ends the server too."""
    program = (
        "import sys, time; from starters.temporal_server import TemporalServer;"
        "server = TemporalServer(None, 0, None); server.start(); print(server.child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=os.environ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        assert not ended(server)
        parent.kill()
    eventually(lambda: ended(server))
