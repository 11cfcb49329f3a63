"""What a run moves at the moment, from the heartbeats of its activities."""

from __future__ import annotations

from typing import Any

from temporalio.service import RPCError

from blueprint.backup.contract import TransferProgress
from starters.engine import Engine, Run
from workflows.connection import not_there


async def transfers(engine: Engine, run: Run[Any]) -> tuple[TransferProgress, ...]:
    """What a run moves at the moment, with what the runs move that it has started.

    Args:
        engine: connected.
        run: which.
    """
    try:
        raw = (await run.handle.describe()).raw_description
    except RPCError as error:
        if not_there(error):
            return ()
        raise
    found = []
    for pending in raw.pending_activities:
        for value in await engine.client.data_converter.decode(pending.heartbeat_details.payloads):
            if isinstance(value, dict) and set(value) == set(TransferProgress.model_fields):
                found.append(TransferProgress.model_validate(value))
    for child in raw.pending_children:
        handle = engine.client.get_workflow_handle(child.workflow_id, run_id=child.run_id)
        found.extend(await transfers(engine, Run(handle, run.link)))
    return tuple(found)
