"""The queue worker, on the local Scaleway's SQS and a real PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests

from emulator.world import DEFAULT_PROJECT
from tests.emulator.conftest import Api
from tests.emulator.planes import MNQ, sqs
from tests.sample.conftest import HOST, RELEASE, Database, Program, free_port, listens, wait

Start = Callable[..., Program]


@pytest.fixture
def services(scaleway: Api, database: Database, start: Start) -> Mapping[str, str]:
    """The variables of an application with a queue and a migrated database."""
    url = sqs(scaleway, "can_manage").create_queue(QueueName="jobs")["QueueUrl"]
    asked = {"project_id": DEFAULT_PROJECT, "name": "app", "permissions": {"can_publish": True, "can_receive": True}}
    _, key = scaleway.request("POST", f"{MNQ}/sqs-credentials", asked)
    keys = {"SQS_ACCESS_KEY_ID": key["access_key"], "SQS_SECRET_ACCESS_KEY": key["secret_key"]}
    assert start("src/migrate.ts", DATABASE_URL=database.url).ended() == 0
    return {"SQS_QUEUE_URL": url, "DATABASE_URL": database.url, **keys}


def depth(scaleway: Api, services: Mapping[str, str]) -> list[str]:
    """Messages that wait, and messages in somebody's hand."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    client = sqs(scaleway, "can_manage")
    attributes = client.get_queue_attributes(QueueUrl=services["SQS_QUEUE_URL"], AttributeNames=names)["Attributes"]
    return [attributes[name] for name in names]


def test_jobs_are_done_once_and_told(
    scaleway: Api, services: Mapping[str, str], start: Start, start_api: Start
) -> None:
    """What REST puts on the queue, the worker does, and both APIs tell; nothing is left on the queue."""
    api = start_api(**services)
    base = f"http://{HOST}:{api.port}"
    ids = [requests.post(f"{base}/rest/jobs", json={"n": n}, timeout=5).json()["id"] for n in range(5)]
    assert len(set(ids)) == 5
    assert requests.get(f"{base}/rest/jobs/{ids[0]}", timeout=5).status_code == 404
    worker = start("src/worker.ts", **services)

    def done() -> list[dict[str, Any]]:
        answer = requests.get(f"{base}/rest/jobs/done", params={"since": "2026-01-01T00:00:00Z"}, timeout=5)
        jobs: list[dict[str, Any]] = answer.json()["jobs"]
        return jobs

    wait(lambda: len(done()) == 5)
    assert {job["id"]: (job["times"], job["release"]) for job in done()} == dict.fromkeys(ids, (1, RELEASE))
    assert requests.get(f"{base}/rest/jobs/{ids[0]}", timeout=5).json()["body"] == '{"n": 0}'
    assert requests.get(f"{base}/rest/jobs/done", params={"since": "2100-01-01"}, timeout=5).json() == {"jobs": []}
    query = {"query": '{ jobs(since: "2026-01-01") { id times } }'}
    told = requests.post(f"{base}/graphql", json=query, timeout=5).json()["data"]["jobs"]
    assert {job["id"]: job["times"] for job in told} == dict.fromkeys(ids, 1)
    wait(lambda: depth(scaleway, services) == ["0", "0"])
    worker.ask_to_stop()
    assert worker.ended() == 0
    assert worker.said.splitlines()[-1] == "stopped between messages"


def test_a_message_that_comes_again_is_counted(
    scaleway: Api, services: Mapping[str, str], database: Database, start: Start
) -> None:
    """A worker that died before the delete leaves its note: the next one counts, and makes no second row."""
    client = sqs(scaleway, "can_publish")
    id_ = client.send_message(QueueUrl=services["SQS_QUEUE_URL"], MessageBody="again")["MessageId"]
    database.query(f"INSERT INTO jobs (id, body, release) VALUES ('{id_}', 'again', 'old')")
    start("src/worker.ts", **services)
    wait(lambda: database.query("SELECT times, release FROM jobs") == [f"2|{RELEASE}"])


def test_a_database_that_is_away_loses_no_message(scaleway: Api, services: Mapping[str, str], start: Start) -> None:
    """What could not be recorded stays on the queue, and the worker goes on."""
    sqs(scaleway, "can_publish").send_message(QueueUrl=services["SQS_QUEUE_URL"], MessageBody="kept")
    worker = start("src/worker.ts", **{**services, "DATABASE_URL": f"postgres://nobody@{HOST}:1/nowhere"})
    wait(lambda: depth(scaleway, services) == ["0", "1"])
    wait(lambda: len(worker.said.splitlines()) > 1)
    worker.ask_to_stop()
    assert worker.ended() == 0
    assert depth(scaleway, services) == ["0", "1"]


def test_visits_are_counted_in_redis(start_api: Start) -> None:
    """The cache is used where there is one."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--bind", HOST, "--port", str(port), "--save", "", "--requirepass", "p"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait(lambda: listens(HOST, port))
        api = start_api(REDIS_URL=f"redis://:p@{HOST}:{port}")
        visits = [requests.get(f"http://{HOST}:{api.port}/rest/visits", timeout=5).json()["visits"] for _ in range(2)]
        assert visits == [1, 2]
    finally:
        server.terminate()
        server.wait(10)
