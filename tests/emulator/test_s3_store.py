"""What lasts of the object store, what it takes on disk, and what a kill leaves."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import requests

from emulator.dataplane.s3.database import INLINE, Database
from starters.child import free_port
from tests.emulator.conftest import KEY, running
from tests.emulator.planes import ACCESS_KEY, ONCE, refusal, s3
from tests.emulator.test_s3_objects import SIZES, body_of, signed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PATIENCE = 20.0


def files(folder: Path) -> int:
    """How many contents are files."""
    return sum(1 for _ in (folder / "state.objects" / "contents").iterdir())


def wait_for(condition: Callable[[], bool]) -> None:
    """Look until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def write(client: S3Client) -> None:
    """Two versions of each size, and a part of an upload."""
    client.create_bucket(Bucket="ours", ObjectLockEnabledForBucket=True)
    for size in SIZES:
        client.put_object(Bucket="ours", Key=str(size), Body=b"before", Tagging="t=1", Metadata={"m": "1"})
        client.put_object(Bucket="ours", Key=str(size), Body=body_of(size), ObjectLockLegalHoldStatus="ON")
    upload = client.create_multipart_upload(Bucket="ours", Key="large")
    client.upload_part(Bucket="ours", Key="large", UploadId=upload["UploadId"], PartNumber=1, Body=body_of(SIZES[-1]))


def check(client: S3Client) -> None:
    """All of it is there."""
    versions = client.list_object_versions(Bucket="ours")["Versions"]
    assert len(versions) == 2 * len(SIZES)
    for version in versions:
        there: dict[str, Any] = {"Bucket": "ours", "Key": version["Key"], "VersionId": version["VersionId"]}
        wanted = body_of(int(version["Key"])) if version["IsLatest"] else b"before"
        found = client.get_object(**there)
        assert found["Body"].read() == wanted
        assert found.get("TagCount") == (None if version["IsLatest"] else 1)
        if version["IsLatest"]:
            assert refusal(client.delete_object, **there) == (403, "AccessDenied")
    (upload,) = client.list_multipart_uploads(Bucket="ours")["Uploads"]
    parts = client.list_parts(Bucket="ours", Key="large", UploadId=upload["UploadId"])["Parts"]
    assert [part["Size"] for part in parts] == [SIZES[-1]]


def test_a_restart_and_a_snapshot(tmp_path: Path) -> None:
    """Every version comes back, from the folder beside the state file and from a snapshot."""
    state = tmp_path / "state"
    with running(state=state) as first:
        write(s3(first))
    with running(state=state) as second:
        check(s3(second))
        _, snapshot = second.request("GET", "/_emulator/snapshot")
        second.request("POST", "/_emulator/reset")
        assert files(tmp_path) == 0
        s3(second).create_bucket(Bucket="ours")
        assert "Versions" not in s3(second).list_object_versions(Bucket="ours")
        second.request("PUT", "/_emulator/snapshot", snapshot)
        check(s3(second))
        s3(second).put_object(Bucket="ours", Key="more", Body=body_of(SIZES[2]))
        assert s3(second).get_object(Bucket="ours", Key="more")["Body"].read() == body_of(SIZES[2])


def test_a_kill(tmp_path: Path) -> None:
    """What was answered is there afterwards; the body that was on its way is not, nor its file."""
    port = free_port()
    command = [sys.executable, "-m", "emulator", "--port", str(port), "--state", str(tmp_path / "state")]

    def start() -> tuple[subprocess.Popen[bytes], S3Client, str]:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = {}

        def ready() -> bool:
            assert child.poll() is None
            with contextlib.suppress(requests.ConnectionError):
                found.update(requests.get(f"http://127.0.0.1:{port}/_emulator/endpoints", timeout=5).json())
            return "s3" in found

        wait_for(ready)
        client = boto3.client(
            "s3",
            endpoint_url=found["s3"],
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=KEY,
            region_name="fr-par",
            config=ONCE,
        )
        return child, client, found["s3"]

    child, client, url = start()
    try:
        write(client)
        complete = files(tmp_path)
        halfway, killed = threading.Event(), threading.Event()

        def body() -> Any:
            yield body_of(SIZES[-1])
            halfway.set()
            killed.wait(PATIENCE)

        def upload() -> None:
            with contextlib.suppress(requests.RequestException):
                requests.put(f"{url}/ours/half", data=body(), headers=signed(), timeout=PATIENCE)

        thread = threading.Thread(target=upload)
        thread.start()
        assert halfway.wait(PATIENCE)
        wait_for(lambda: files(tmp_path) > complete)
        child.kill()
        child.wait()
        killed.set()
        thread.join()
        child, client, _ = start()
        check(client)
        assert files(tmp_path) == complete
        assert refusal(client.head_object, Bucket="ours", Key="half") == (404, "404")
    finally:
        child.kill()
        child.wait()


def test_space_is_given_back(tmp_path: Path) -> None:
    """A copy takes none, and the last user of a content takes it along; a refused body leaves nothing."""
    with running(state=tmp_path / "state") as api:
        client, body = s3(api), body_of(INLINE + 1)
        client.create_bucket(Bucket="ours")
        client.put_object(Bucket="ours", Key="a", Body=body)
        client.copy_object(Bucket="ours", Key="b", CopySource="ours/a")
        assert files(tmp_path) == 1
        assert refusal(client.put_object, Bucket="ours", Key="a", Body=body, IfNoneMatch="*")[0] == 412
        assert files(tmp_path) == 1
        client.put_object(Bucket="ours", Key="a", Body=b"")
        assert files(tmp_path) == 1
        client.delete_object(Bucket="ours", Key="b")
        assert files(tmp_path) == 0
        upload_id = client.create_multipart_upload(Bucket="ours", Key="c")["UploadId"]
        client.upload_part(Bucket="ours", Key="c", UploadId=upload_id, PartNumber=1, Body=body)
        client.delete_objects(Bucket="ours", Delete={"Objects": [{"Key": "a"}]})
        client.delete_bucket(Bucket="ours")
        assert files(tmp_path) == 0


def test_a_client_that_goes_leaves_nothing(tmp_path: Path) -> None:
    """The file of a body that ends before its time is gone, and no object is there."""
    with running(state=tmp_path / "state") as api:
        client = s3(api)
        client.create_bucket(Bucket="ours")
        address = api.emulator.planes["s3"].url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        connection.putrequest("PUT", "/ours/half")
        for name, value in signed(Content_Length=str(2 * SIZES[-1])).items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(body_of(SIZES[-1]))
        wait_for(lambda: files(tmp_path) == 1)
        connection.close()
        wait_for(lambda: files(tmp_path) == 0)
        assert refusal(client.head_object, Bucket="ours", Key="half") == (404, "404")


def test_an_answer_outlives_its_object(tmp_path: Path) -> None:
    """Who has begun to read an object reads it to its end."""
    with running(state=tmp_path / "state") as api:
        client, body = s3(api), body_of(20_000_000)
        client.create_bucket(Bucket="ours")
        client.put_object(Bucket="ours", Key="k", Body=body)
        stream = client.get_object(Bucket="ours", Key="k")["Body"]
        read = stream.read(1000)
        client.delete_object(Bucket="ours", Key="k")
        assert read + stream.read() == body
        wait_for(lambda: files(tmp_path) == 0)


def test_without_a_state_file_nothing_is_left() -> None:
    """Two stores do not share anything, and both are gone when they are closed."""
    first, second = Database(None), Database(None)
    folders = []
    for store in (first, second):
        content = store.reserve()
        with store.create(content) as file:
            file.write(b"1")
            folders.append(Path(file.name).parent.parent)
        store.close()
    assert folders[0] != folders[1]
    assert not any(folder.exists() for folder in folders)
