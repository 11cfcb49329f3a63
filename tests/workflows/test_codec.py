"""What Temporal keeps, encrypted: keys and their file, and runs that begin, go on and are looked at with them."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateStage
from temporalio.worker import Replayer, Worker

from blueprint.backup.contract import TransferProgress
from starters.engine import Run
from starters.temporal_server import TemporalServer
from starters.transfers import transfers
from tests.workflows.house import House, house, small
from workflows.codec import ENCODING, SETTING, Codec, CodecKeysUnusable, UnknownKey, codec_from, read_keys
from workflows.plugin import EnginePlugin
from workflows.registry import WORKFLOWS

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"reason": "typed in the UI"}')
PLANTED = "planted-words"
"""Stands in a file, so it is in inputs, results and summaries of its runs."""


def line(key_id: str, key: bytes) -> str:
    """A line of a file of keys."""
    return f"{key_id} {base64.b64encode(key).decode()}\n"


def encoded(codec: Codec, payload: Payload = PLAIN) -> Payload:
    """What becomes of a payload."""
    (found,) = asyncio.run(codec.encode([payload]))
    return found


def decoded(codec: Codec, payload: Payload) -> Payload:
    """What a payload was."""
    (found,) = asyncio.run(codec.decode([payload]))
    return found


def test_round_trip() -> None:
    """Nothing of the payload shows, two of the same differ, and what was never encrypted is left alone."""
    codec = Codec({"old": OLD})
    first, second = encoded(codec), encoded(codec)
    assert (first.metadata["encoding"], first.metadata["encryption-key-id"]) == (ENCODING, b"old")
    assert b"typed" not in first.SerializeToString()
    assert first.data != second.data
    assert decoded(codec, first) == PLAIN
    assert decoded(codec, PLAIN) == PLAIN


def test_rotation() -> None:
    """The first key writes; what any of them wrote is read."""
    before = encoded(Codec({"old": OLD}))
    prepared, rotated = Codec({"old": OLD, "new": NEW}), Codec({"new": NEW, "old": OLD})
    assert encoded(prepared).metadata["encryption-key-id"] == b"old"
    after = encoded(rotated)
    assert after.metadata["encryption-key-id"] == b"new"
    for payload in (before, after):
        assert decoded(prepared, payload) == decoded(rotated, payload) == PLAIN


@pytest.mark.parametrize(
    ("codec", "change", "words"),
    [
        (Codec({"new": NEW}), {}, "'old'"),
        (Codec({"old": NEW}), {}, "'old' is not the one"),
        (Codec({"old": OLD}), {"data": b"short"}, "'old' is not the one"),
        (Codec({"old": OLD, "new": OLD}), {"metadata": {"encoding": ENCODING, "encryption-key-id": b"new"}}, "'new'"),
        (Codec({"old": OLD}), {"metadata": {"encoding": ENCODING}}, "''"),
    ],
    ids=["key missing", "another key of that id", "cut", "id exchanged", "no id"],
)
def test_what_cannot_be_decrypted(codec: Codec, change: dict[str, object], words: str) -> None:
    """It is refused with the key's id, never taken for something else."""
    payload = encoded(Codec({"old": OLD}))
    changed = Payload(**{"metadata": dict(payload.metadata), "data": payload.data} | change)  # type: ignore[arg-type]
    with pytest.raises(UnknownKey, match=words):
        decoded(codec, changed)


def test_a_file_of_keys(tmp_path: Path) -> None:
    """In order, with comments; none is asked for without the setting."""
    file = tmp_path / "keys"
    file.write_text("# writes\n" + line("2026-12", NEW) + "\n" + line("2026-06", OLD).strip() + "  # reads\n")
    assert list(read_keys(file).items()) == [("2026-12", NEW), ("2026-06", OLD)]
    codec = codec_from({SETTING: str(file)})
    assert codec is not None
    assert encoded(codec).metadata["encryption-key-id"] == b"2026-12"
    assert codec_from({}) is None
    assert codec_from({SETTING: ""}) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "not a text file"),
        (b"# none\n", "holds no key"),
        (line("short", OLD[:16]).encode(), "line 1 "),
        (b"id not=base64\n", "line 1 "),
        (b"id\n", "line 1 "),
        ((line("twice", OLD) + line("twice", NEW)).encode(), "line 2 "),
    ],
    ids=["absent", "no text", "empty", "short", "no base64", "no key", "twice"],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    """It says where, and shows nothing of what stands there."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CodecKeysUnusable, match=words) as refused:
        read_keys(file)
    assert not re.search(r"[A-Za-z0-9+/]{12}=|not=base64", str(refused.value).replace("openssl rand -base64", ""))


# -- with a real server ----------------------------------------------------------------------------------------------


@pytest.fixture
def keys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of one key, which clients and workers of this process use."""
    file = tmp_path / "keys"
    file.write_text(line("old", OLD))
    monkeypatch.setenv(SETTING, str(file))
    return file


def test_an_apply(temporal: TemporalServer, keys_file: Path) -> None:
    """It does and shows all that it does without; the server has none of it, and the history replays."""
    data = small(
        secrets={"token": {"generate": 32, "description": PLANTED}},
        schedules={"drift": {"cron": "0 6 * * *"}},
    )
    with house(temporal.address, "encrypted") as home, home.working():
        run = home.begin(data)
        home.result(run)
        assert not home.plan(data).changes, "the schedule's input is read, too"
        assert home.progress(run).steps
        assert "vpc.main" in home.details(run)
        history = home.run(run.handle.fetch_history())
        stored = home.history(run.handle)
        assert PLANTED not in stored
        assert "binary/encrypted" in stored
        description = home.run(run.handle.describe())
        assert home.run(description.static_summary())
        assert home.run(description.memo())
        replayer = Replayer(workflows=WORKFLOWS, plugins=[EnginePlugin()])
        home.run(replayer.replay_workflow(history))
        home.destroy(data)


def test_a_key_is_exchanged_while_a_run_waits(temporal: TemporalServer, keys_file: Path) -> None:
    """Without the old key nobody can go on; nothing is lost, and a worker that has both brings it to its end."""
    data = small()
    with house(temporal.address, "rotated") as home:
        home.fault("POST /vpc/v2/regions/{region}/private-networks", kind="quota_exceeded", count=1)
        with home.working():
            run = home.begin(data)
            home.until_parked(run, "create private_network.core")

        keys_file.write_text(line("new", NEW))
        stranger = House(home.api, home.address, home.task_queue)
        with pytest.raises(UnknownKey, match="'old'"):
            stranger.run(stranger.client.data_converter.decode([_input_of(home, run)]))
        stranger.close()

        keys_file.write_text(line("new", NEW) + line("old", OLD))
        successor = House(home.api, home.address, home.task_queue)
        with successor.working():
            followed: Run[Any] = Run(successor.client.get_workflow_handle(run.handle.id), "")
            successor.run(successor.engine.retry(followed))
            assert successor.run(followed.handle.result())
        ids = set(re.findall(r'"encryption-key-id": "(\w+)"', successor.history(run.handle)))
        assert ids == {"old", "new"}
        successor.close()


def test_what_is_typed_in_the_ui(temporal: TemporalServer, keys_file: Path) -> None:
    """It comes as plain JSON from somebody without keys, and counts; why the run ended can be read without keys too."""
    with house(temporal.address, "typed") as home, home.working():
        home.fault("POST /vpc/v2/regions/{region}/private-networks", kind="quota_exceeded")
        run = home.begin(small())
        home.until_parked(run, "create private_network.core")

        async def typed() -> None:
            handle = (await temporal.client()).get_workflow_handle(run.handle.id)
            await handle.start_update("abort", {"reason": "typed by hand"}, wait_for_stage=WorkflowUpdateStage.ACCEPTED)

        home.run(typed())
        code, message = home.failure(run)
        assert code == "aborted"
        assert "typed by hand" in message
        assert b"typed by hand" in b"".join(
            event.SerializeToString()
            for event in home.run(run.handle.fetch_history()).events
            if event.HasField("workflow_execution_failed_event_attributes")
        )


def _input_of(home: House, run: Run[Any]) -> Payload:
    """The first argument of a run, as the server has it."""
    first = home.run(run.handle.fetch_history()).events[0]
    return first.workflow_execution_started_event_attributes.input.payloads[0]


TOLD = TransferProgress(what="dump shop", done=3, total=7, rate=1.0, left=4.0, node="n1")
_enough = threading.Event()


@activity.defn
async def move() -> None:
    """Tell how far it is, until it is enough."""
    while not _enough.is_set():
        activity.heartbeat(TOLD)
        await asyncio.sleep(0.05)


@workflow.defn(sandboxed=False)
class Moving:
    """A run that moves data."""

    @workflow.run
    async def run(self) -> None:
        """One activity."""
        await workflow.execute_activity(
            move, start_to_close_timeout=timedelta(minutes=1), heartbeat_timeout=timedelta(seconds=5)
        )


def test_what_a_run_moves(temporal: TemporalServer, keys_file: Path) -> None:
    """Heartbeats are encrypted too, and `watch` shows them."""
    with house(temporal.address, "moving") as home:

        async def watched() -> tuple[TransferProgress, ...]:
            worker = Worker(home.client, task_queue="moving", workflows=[Moving], activities=[move])
            async with worker:
                handle = await home.client.start_workflow(Moving.run, id="moving", task_queue="moving")
                found: tuple[TransferProgress, ...] = ()
                raw = b""
                while not found:
                    found = await transfers(home.engine, Run(handle, ""))
                    pending = (await handle.describe()).raw_description.pending_activities
                    raw = b"".join(item.heartbeat_details.SerializeToString() for item in pending)
                    await asyncio.sleep(0.05)
                assert b"dump" not in raw
                assert ENCODING in raw
                _enough.set()
                await handle.result()
                return found

        assert home.run(asyncio.wait_for(watched(), 30)) == (TOLD,)
