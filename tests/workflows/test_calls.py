"""How workflows call activities: what a dead worker had is not kept waiting."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from blueprint.contract import ActivityType
from starters.temporal_server import TemporalServer
from workflows.calls import SILENCE, begin

POLLS = 8
LONG_WAIT = ActivityType[str, str]("long_wait", str, str)


@activity.defn(name=LONG_WAIT.name)
async def long_wait(what: str) -> str:
    """Polls, each time as an attempt of its own; the last poll is silent, as if its worker was dead."""
    if activity.info().attempt > POLLS:
        await asyncio.Event().wait()
    raise ApplicationError(f"{what} is not ready", next_retry_delay=timedelta(milliseconds=1))


@workflow.defn
class Waiting:
    """One long wait."""

    @workflow.run
    async def run(self, what: str) -> str:
        """To its end."""
        return await begin(LONG_WAIT, what, "wait")


async def pause_after_silence(client: Client) -> timedelta:
    """From the last word of the silent attempt's predecessor to the attempt after it, as Temporal has planned it."""
    queue = uuid.uuid4().hex
    async with Worker(client, task_queue=queue, workflows=[Waiting], activities=[long_wait]):
        handle = await client.start_workflow(Waiting.run, "it", id=queue, task_queue=queue)
        async with asyncio.timeout(6 * SILENCE.total_seconds()):
            while True:
                for pending in (await handle.describe()).raw_description.pending_activities:
                    if pending.last_failure.HasField("timeout_failure_info"):
                        await handle.terminate()
                        return pending.current_retry_interval.ToTimedelta()
                await asyncio.sleep(0.05)


def test_polls_of_a_long_wait_do_not_make_it_wait_for_a_dead_worker(temporal: TemporalServer) -> None:
    """However often it has polled: the next worker gets it at once."""

    async def pause() -> timedelta:
        return await pause_after_silence(await temporal.client())

    assert asyncio.run(pause()) < 2 * SILENCE
