"""The codec server, as the Temporal UI, the `temporal` tool and strangers meet it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from starters.child import HOST, Child, free_port, listens
from starters.dev import Dev
from starters.temporal_server import TemporalServer, temporal_binary
from tests.starters import eventually
from workflows.codec import SETTING, Codec
from workflows.plugin import EnginePlugin

KEY = bytes(range(32))
CODEC = Codec({"now": KEY})
UI = "https://temporal.example.org"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"clear text"')
SHOWN = base64.b64encode(PLAIN.data).decode()
"""How it stands in an answer."""
Start = Callable[..., str]
"""Starts a codec server with more arguments; gives its address."""


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """A file of one key."""
    file = tmp_path / "keys"
    file.write_text(f"now {base64.b64encode(KEY).decode()}\n")
    return file


def command(*arguments: str) -> list[str]:
    """The command line of a codec server."""
    return [sys.executable, "-m", "starters", "codec-server", *arguments]


def environment(keys_file: Path | None) -> dict[str, str]:
    """What it runs in."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "SCALEWAY_"))}
    return (
        known | {"TEMPORAL_ADDRESS": "", "TEMPORAL_UI_URL": f"{UI}/"} | ({SETTING: str(keys_file)} if keys_file else {})
    )


@contextmanager
def _serving(keys_file: Path, log: Path, *arguments: str) -> Iterator[str]:
    port = free_port()
    child = Child("the codec server", command("--port", str(port), *arguments), log, environment(keys_file))
    child.start()
    try:
        eventually(lambda: listens(port) or child.returncode is not None)
        assert child.returncode is None, child.last_words()
        yield f"http://{HOST}:{port}"
    finally:
        child.stop(5)


@pytest.fixture
def serving(keys_file: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts servers, and stops them."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(_serving(keys_file, tmp_path / "log", *arguments))


def body(payload: Payload) -> str:
    """A payload as the UI sends it."""
    return json_format.MessageToJson(Payloads(payloads=[payload]))


def encrypted() -> Payload:
    """What Temporal has in place of it."""
    (payload,) = asyncio.run(CODEC.encode([PLAIN]))
    return payload


def told(answer: requests.Response) -> Payload:
    """The payload of an answer."""
    assert answer.status_code == 200, answer.text
    return json_format.Parse(answer.text, Payloads()).payloads[0]


def test_what_the_ui_asks(serving: Start) -> None:
    """Both ways, with a query or without; what was never encrypted comes back as it is."""
    url = serving()
    headers = {"Origin": UI, "X-Namespace": "default", "Content-Type": "application/json"}
    for path in ("/decode", "/decode?preserveStorageRefs=true"):
        answer = requests.post(url + path, data=body(encrypted()), headers=headers, timeout=5)
        assert told(answer) == PLAIN
        assert answer.headers["Access-Control-Allow-Origin"] == UI
    assert told(requests.post(f"{url}/decode", data=body(PLAIN), headers=headers, timeout=5)) == PLAIN
    written = told(
        requests.post(f"{url}/encode?preserveStorageRefs=true", data=body(PLAIN), headers=headers, timeout=5)
    )
    assert asyncio.run(CODEC.decode([written])) == [PLAIN]

    asked = requests.options(
        f"{url}/decode",
        headers={
            "Origin": UI,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-namespace",
        },
        timeout=5,
    )
    assert asked.status_code == 204
    assert "x-namespace" in asked.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize(
    ("method", "path", "headers", "sent", "status"),
    [
        ("POST", "/decode", {"Origin": "https://elsewhere.example.org"}, None, 403),
        ("OPTIONS", "/decode", {"Origin": "https://elsewhere.example.org"}, None, 403),
        ("POST", "/decode", {"Origin": "null"}, None, 403),
        ("POST", "/decode", {}, "no JSON", 400),
        ("POST", "/decode", {}, '{"payloads": 1}', 400),
        ("POST", "/anything", {}, None, 404),
        ("GET", "/decode", {}, None, 405),
    ],
)
def test_refused(
    serving: Start, method: str, path: str, headers: dict[str, str], sent: str | None, status: int
) -> None:
    """Pages of other origins, and what is no question."""
    answer = requests.request(method, serving() + path, data=sent or body(encrypted()), headers=headers, timeout=5)
    assert answer.status_code == status
    assert SHOWN not in answer.text
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_key_that_it_does_not_have(serving: Start) -> None:
    """It says which."""
    (payload,) = asyncio.run(Codec({"later": KEY}).encode([PLAIN]))
    answer = requests.post(f"{serving()}/decode", data=body(payload), timeout=5)
    assert answer.status_code == 400
    assert "'later'" in answer.text


def test_tokens(serving: Start, tmp_path: Path) -> None:
    """With tokens, each request has to bring one; the browser's own question need not."""
    tokens = tmp_path / "tokens"
    tokens.write_text("first-token\nsecond-token\n")
    url = serving("--tokens", str(tokens))
    for authorization, status in (
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer first-tok", 401),
        ("Bearer first-token", 200),
        ("Bearer second-token", 200),
    ):
        headers = {"Origin": UI} | ({"Authorization": authorization} if authorization else {})
        answer = requests.post(f"{url}/decode", data=body(encrypted()), headers=headers, timeout=5)
        assert answer.status_code == status, authorization
        assert (SHOWN in answer.text) is (status == 200)
    asked = requests.options(
        f"{url}/decode", headers={"Origin": UI, "Access-Control-Request-Method": "POST"}, timeout=5
    )
    assert asked.status_code == 204


@pytest.mark.parametrize(
    ("arguments", "keys", "words"),
    [
        (["--host", "0.0.0.0"], True, "--tokens"),
        (["--tokens", os.devnull], True, "--tokens"),
        ([], False, f"{SETTING} is not set"),
    ],
)
def test_it_does_not_start(keys_file: Path, arguments: list[str], keys: bool, words: str) -> None:
    """Where everybody would see clear text, and where there is nothing to show."""
    ended = subprocess.run(
        command("--port", str(free_port()), *arguments),
        env=environment(keys_file if keys else None),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 64, ended.stderr
    assert words in ended.stderr


def test_the_temporal_tool(serving: Start, temporal: TemporalServer) -> None:
    """`temporal workflow show --codec-endpoint` shows clear text, and without it what the server has."""

    async def begin() -> None:
        client = await temporal.client(plugins=[EnginePlugin(CODEC)])
        await client.start_workflow("Nobody", "clear text", id="shown-by-the-tool", task_queue="nobody")

    def shown(*arguments: str) -> Any:
        command = [str(temporal_binary()), "workflow", "show", "--workflow-id", "shown-by-the-tool", "--output", "json"]
        command += ["--address", temporal.address, "--disable-config-env", "--disable-config-file"]
        ended = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        first = json.loads(ended.stdout)["events"][0]
        return first["workflowExecutionStartedEventAttributes"]["input"]

    asyncio.run(begin())
    assert SHOWN in json.dumps(shown("--codec-endpoint", serving()))
    assert SHOWN not in json.dumps(shown())


def test_the_ui_knows_its_codec_server(tmp_path: Path) -> None:
    """It tells browsers whom to ask."""
    url = f"http://{HOST}:{free_port()}"
    with TemporalServer(None, 0, 0, log=tmp_path / "log", codec_url=url) as server:
        settings = requests.get(f"{server.ui_url}/api/v1/settings", timeout=5).json()
    assert settings["Codec"]["Endpoint"] == url


def test_dev_brings_its_own(keys_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting in the shell, its UI shows clear text, and its users' commands have the keys."""
    monkeypatch.setenv(SETTING, os.path.relpath(keys_file))
    with Dev(tmp_path / "dev", port=0, temporal_port=0, ui_port=0, latency=0, worker=("sleep", "1000")) as dev:
        assert dev.endpoints.environment()[SETTING] == str(keys_file)
        ui = dev.endpoints.temporal_ui_url
        url = requests.get(f"{ui}/api/v1/settings", timeout=5).json()["Codec"]["Endpoint"]
        eventually(lambda: listens(int(url.rpartition(":")[2])))
        for origin in (ui, ui.replace(HOST, "localhost")):
            answer = requests.post(f"{url}/decode", data=body(encrypted()), headers={"Origin": origin}, timeout=5)
            assert told(answer) == PLAIN
