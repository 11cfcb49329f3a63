"""Multipart uploads, as boto3 makes them and step by step."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig

from emulator.dataplane.s3.uploads import SMALLEST_PART
from tests.emulator.conftest import Api
from tests.emulator.planes import refusal, s3
from tests.emulator.test_s3_objects import body_of

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

THERE: dict[str, Any] = {"Bucket": "ours", "Key": "k"}


@pytest.fixture
def client(api: Api) -> S3Client:
    """With a bucket."""
    made = s3(api)
    made.create_bucket(Bucket="ours")
    return made


def named(*tags: str) -> dict[str, Any]:
    """The parts of a completion, counted from one."""
    return {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]}


def begin(client: S3Client, key: str = "k") -> dict[str, Any]:
    """An upload, as its later calls name it."""
    return {
        "Bucket": "ours",
        "Key": key,
        "UploadId": client.create_multipart_upload(Bucket="ours", Key=key)["UploadId"],
    }


def test_boto3_s_own_way(client: S3Client) -> None:
    """Uploaded, copied and downloaded in parts side by side."""
    body = body_of(17 << 20)
    config = TransferConfig(multipart_threshold=SMALLEST_PART, multipart_chunksize=SMALLEST_PART)
    client.upload_fileobj(io.BytesIO(body), **THERE, Config=config, ExtraArgs={"Metadata": {"m": "1"}})
    head = client.head_object(**THERE)
    assert (head["ContentLength"], head["Metadata"], head["ETag"][-3:]) == (len(body), {"m": "1"}, '-4"')
    client.copy(THERE, "ours", "copy", Config=config)  # type: ignore[arg-type]
    client.delete_object(**THERE)
    found = io.BytesIO()
    client.download_fileobj("ours", "copy", found, Config=config)
    assert found.getvalue() == body
    assert client.get_object(Bucket="ours", Key="copy")["Body"].read() == body
    border = f"bytes={SMALLEST_PART - 3}-{SMALLEST_PART + 2}"
    part = client.get_object(Bucket="ours", Key="copy", Range=border)["Body"].read()
    assert part == body[SMALLEST_PART - 3 : SMALLEST_PART + 3]


def test_step_by_step(client: S3Client) -> None:
    """A part again replaces the first; what a completion does not name goes; the tag is that of the parts' tags."""
    upload = begin(client)
    first, last = body_of(SMALLEST_PART), b"end"
    client.upload_part(**upload, PartNumber=1, Body=b"other")
    tags = [client.upload_part(**upload, PartNumber=n, Body=body)["ETag"] for n, body in ((1, first), (2, last))]
    client.upload_part(**upload, PartNumber=7, Body=b"unused")
    parts = client.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 1})
    assert [(part["PartNumber"], part["Size"]) for page in parts for part in page["Parts"]] == [
        (1, len(first)),
        (2, len(last)),
        (7, 6),
    ]
    done = client.complete_multipart_upload(**upload, MultipartUpload=named(*tags))  # type: ignore[arg-type]
    digests = b"".join(hashlib.md5(body).digest() for body in (first, last))
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert client.get_object(**THERE)["Body"].read() == first + last
    again = refusal(client.complete_multipart_upload, **upload, MultipartUpload=named(*tags))
    assert again == (404, "NoSuchUpload")


def test_what_a_completion_refuses(client: S3Client) -> None:
    """Parts of another tag, in another order, too small, or none; the upload is still there afterwards."""
    upload = begin(client)
    tags = [client.upload_part(**upload, PartNumber=n, Body=b"small")["ETag"] for n in (1, 2)]
    parts = named(*tags)["Parts"]
    for wanted, code in (
        ([{"PartNumber": 1, "ETag": '"0"'}], "InvalidPart"),
        ([{"PartNumber": 3, "ETag": tags[0]}], "InvalidPart"),
        (parts[::-1], "InvalidPartOrder"),
        (parts, "EntityTooSmall"),
        ([{"PartNumber": 1001, "ETag": tags[0]}], "InvalidArgument"),
        ([], "MalformedXML"),
    ):
        refused = refusal(client.complete_multipart_upload, **upload, MultipartUpload={"Parts": wanted})
        assert refused == (400, code)
    client.put_object(**THERE, Body=b"there")
    wanted = {"Parts": parts[:1]}
    refused = refusal(client.complete_multipart_upload, **upload, MultipartUpload=wanted, IfNoneMatch="*")
    assert refused == (412, "PreconditionFailed")
    client.abort_multipart_upload(**upload)
    assert refusal(client.abort_multipart_upload, **upload) == (404, "NoSuchUpload")
    assert refusal(client.upload_part, **upload, PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    assert client.get_object(**THERE)["Body"].read() == b"there"


def test_parts_from_objects(client: S3Client) -> None:
    """Ranges of another object; its own end changes nothing."""
    body = body_of(2 * SMALLEST_PART)
    source = client.put_object(Bucket="ours", Key="source", Body=body)
    upload = begin(client)
    tags = []
    for number, text in ((1, f"bytes=3-{SMALLEST_PART + 2}"), (2, f"bytes=0-{len(body) - 1}")):
        copied = client.upload_part_copy(
            **upload,
            PartNumber=number,
            CopySource="ours/source",
            CopySourceRange=text,
            CopySourceIfMatch=source["ETag"],
        )
        tags.append(copied["CopyPartResult"]["ETag"])
    assert tags[1] == source["ETag"]
    client.delete_object(Bucket="ours", Key="source")
    client.complete_multipart_upload(**upload, MultipartUpload=named(*tags))  # type: ignore[arg-type]
    assert client.get_object(**THERE)["Body"].read() == body[3 : SMALLEST_PART + 3] + body
    refused = refusal(client.upload_part_copy, **begin(client), PartNumber=1, CopySource="ours/source")
    assert refused == (404, "NoSuchKey")


def test_lists_of_uploads(client: S3Client) -> None:
    """A page at a time, folded where there is a delimiter."""
    made = [begin(client, key) for key in ("a", "a", "b/c", "b/d", "b/d", "e")]
    for most in (1, 2, 1000):
        config = {"PageSize": most}
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket="ours", PaginationConfig=config)  # type: ignore[arg-type]
        found = [(item["Key"], item["UploadId"]) for page in pages for item in page["Uploads"]]
        assert found == sorted((upload["Key"], upload["UploadId"]) for upload in made)
        arguments: dict[str, Any] = {"Bucket": "ours", "Delimiter": "/", "PaginationConfig": config}
        folded = list(client.get_paginator("list_multipart_uploads").paginate(**arguments))
        assert [item["Key"] for page in folded for item in page.get("Uploads", [])] == ["a", "a", "e"]
        assert [item["Prefix"] for page in folded for item in page.get("CommonPrefixes", [])] == ["b/"]
    for upload in made:
        client.abort_multipart_upload(**upload)
    assert "Uploads" not in client.list_multipart_uploads(Bucket="ours")
