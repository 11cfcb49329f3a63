"""Objects: versions, copies, conditions, ranges, tags, digests, and who is too late."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from emulator.dataplane.s3.conditions import range_of
from emulator.dataplane.s3.database import Piece
from emulator.dataplane.s3.received import AwsChunks
from emulator.dataplane.s3.refusals import S3Error
from emulator.dataplane.s3.versions import slice_of
from tests.emulator.conftest import Api
from tests.emulator.planes import ACCESS_KEY, refusal, s3

SIZES = (0, 10_000, 100_000, 3_000_000)
"""Bytes of what is kept in its row, in a file written at once, and in one that is streamed."""


def body_of(size: int) -> bytes:
    """Bytes that differ everywhere."""
    return hashlib.shake_128(str(size).encode()).digest(size)


def signed(**headers: str) -> dict[str, str]:
    """Headers of a signed request; keys that IAM does not know are not checked."""
    moment = datetime.now(UTC)
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{moment:%Y%m%d}/fr-par/s3/aws4_request, "
        "SignedHeaders=host, Signature=0",
        "x-amz-date": f"{moment:%Y%m%dT%H%M%SZ}",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    } | {name.replace("_", "-"): value for name, value in headers.items()}


def put(api: Api, body: bytes, **headers: str) -> tuple[int, str]:
    """Status and the error's code of a raw PUT to /ours/raw."""
    url = api.emulator.planes["s3"].url + "/ours/raw"
    found = requests.put(url, data=body, headers=signed(**headers), timeout=10)
    return found.status_code, found.text.partition("<Code>")[2].partition("<")[0]


@pytest.mark.parametrize("size", SIZES)
def test_an_object_comes_back(api: Api, size: int) -> None:
    """The same bytes, tag, headers and metadata; in whole and in part."""
    client, body = s3(api), body_of(size)
    client.create_bucket(Bucket="ours")
    made = client.put_object(
        Bucket="ours",
        Key="k",
        Body=body,
        Metadata={"m": "1"},
        CacheControl="no-store",
        ContentEncoding="zstd",
        StorageClass="ONEZONE_IA",
    )
    assert made["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    found = client.get_object(Bucket="ours", Key="k")
    assert found["Body"].read() == body
    assert (found["Metadata"], found["CacheControl"]) == ({"m": "1"}, "no-store")
    assert (found["ContentEncoding"], found["StorageClass"]) == ("zstd", "ONEZONE_IA")
    assert found["ContentLength"] == size
    assert found["ChecksumCRC32"] == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    for text, first, last in (("bytes=5-9", 5, 10), ("bytes=-7", -7, None), ("bytes=9000-", 9000, None)):
        if size:
            part = client.get_object(Bucket="ours", Key="k", Range=text)
            assert part["Body"].read() == body[first:last]
    assert client.list_objects_v2(Bucket="ours")["Contents"][0]["Size"] == size
    client.copy_object(Bucket="ours", Key="copy", CopySource={"Bucket": "ours", "Key": "k"})
    client.delete_object(Bucket="ours", Key="k")
    assert client.get_object(Bucket="ours", Key="copy")["Body"].read() == body
    assert refusal(client.get_object, Bucket="ours", Key="k") == (404, "NoSuchKey")


def test_versions(api: Api) -> None:
    """A deletion hides, a deletion of the marker shows again, and what was written before versioning is "null"."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    client.put_object(Bucket="ours", Key="k", Body=b"0")
    client.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": "Enabled"})
    first, second = (client.put_object(Bucket="ours", Key="k", Body=body)["VersionId"] for body in (b"1", b"2"))
    marker = client.delete_object(Bucket="ours", Key="k")
    assert marker["DeleteMarker"] is True
    assert refusal(client.get_object, Bucket="ours", Key="k") == (404, "NoSuchKey")
    assert refusal(client.get_object, Bucket="ours", Key="k", VersionId=marker["VersionId"]) == (
        405,
        "MethodNotAllowed",
    )
    assert refusal(client.get_object, Bucket="ours", Key="k", VersionId="other") == (404, "NoSuchVersion")
    for version, body in (("null", b"0"), (first, b"1"), (second, b"2")):
        assert client.get_object(Bucket="ours", Key="k", VersionId=version)["Body"].read() == body
    client.delete_object(Bucket="ours", Key="k", VersionId=marker["VersionId"])
    assert client.get_object(Bucket="ours", Key="k")["VersionId"] == second
    client.delete_object(Bucket="ours", Key="k", VersionId=second)
    assert client.get_object(Bucket="ours", Key="k")["Body"].read() == b"1"

    client.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": "Suspended"})
    client.put_object(Bucket="ours", Key="k", Body=b"3")
    found = client.list_object_versions(Bucket="ours")["Versions"]
    assert [(item["VersionId"], item["IsLatest"]) for item in found] == [("null", True), (first, False)]
    assert refusal(client.delete_bucket, Bucket="ours") == (409, "BucketNotEmpty")
    wanted = {"Objects": [{"Key": "k", "VersionId": "null"}, {"Key": "k", "VersionId": first}, {"Key": "none"}]}
    assert len(client.delete_objects(Bucket="ours", Delete=wanted)["Deleted"]) == 3  # type: ignore[arg-type]
    left = client.list_object_versions(Bucket="ours")
    assert [item["Key"] for item in left["DeleteMarkers"]] == ["none"]
    assert "Versions" not in left


def test_copies(api: Api) -> None:
    """Metadata and tags of the source or of the request; of a certain version; only while it is what one thinks."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    client.put_bucket_versioning(Bucket="ours", VersioningConfiguration={"Status": "Enabled"})
    old = client.put_object(Bucket="ours", Key="ä b", Body=b"old", Metadata={"m": "1"}, Tagging="t=1")
    client.put_object(Bucket="ours", Key="ä b", Body=b"new")
    source = {"Bucket": "ours", "Key": "ä b", "VersionId": old["VersionId"]}
    copied = client.copy_object(Bucket="ours", Key="c", CopySource=source)  # type: ignore[arg-type]
    assert (copied["CopyObjectResult"]["ETag"], copied["CopySourceVersionId"]) == (old["ETag"], old["VersionId"])
    found = client.get_object(Bucket="ours", Key="c")
    assert (found["Body"].read(), found["Metadata"], found["TagCount"]) == (b"old", {"m": "1"}, 1)
    client.copy_object(
        Bucket="ours",
        Key="c",
        CopySource=source,  # type: ignore[arg-type]
        Metadata={"n": "2"},
        MetadataDirective="REPLACE",
        Tagging="u=2",
        TaggingDirective="REPLACE",
        CopySourceIfMatch=old["ETag"],
    )
    assert client.head_object(Bucket="ours", Key="c")["Metadata"] == {"n": "2"}
    assert client.get_object_tagging(Bucket="ours", Key="c")["TagSet"] == [{"Key": "u", "Value": "2"}]
    itself = {"Bucket": "ours", "Key": "c", "CopySource": "ours/c"}
    assert refusal(client.copy_object, **itself) == (400, "InvalidRequest")
    assert refusal(client.copy_object, **itself, CopySourceIfMatch='"0"') == (412, "PreconditionFailed")
    assert refusal(client.copy_object, **{**itself, "CopySource": "ours/none"}) == (404, "NoSuchKey")
    assert refusal(client.copy_object, **{**itself, "CopySource": "none/c"}) == (404, "NoSuchBucket")


def test_conditions(api: Api) -> None:
    """What is read or written only if it is, or is not, what the client knows."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    there: dict[str, Any] = {"Bucket": "ours", "Key": "k"}
    assert refusal(client.put_object, **there, Body=b"1", IfMatch='"0"') == (404, "NoSuchKey")
    tag = client.put_object(**there, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refusal(client.put_object, **there, Body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refusal(client.put_object, **there, Body=b"2", IfMatch='"0"') == (412, "PreconditionFailed")
    assert refusal(client.get_object, **there, IfMatch='"0"') == (412, "PreconditionFailed")
    assert refusal(client.get_object, **there, IfNoneMatch=tag) == (304, "304")
    assert refusal(client.get_object, **there, IfModifiedSince=datetime.now(UTC)) == (304, "304")
    assert refusal(client.get_object, **there, Range="bytes=9-") == (416, "InvalidRange")
    assert client.get_object(**there, IfMatch=tag)["Body"].read() == b"1"
    client.put_object(**there, Body=b"2", IfMatch=tag)
    client.delete_object(**there)
    client.put_object(**there, Body=b"3", IfNoneMatch="*")


def test_tags(api: Api) -> None:
    """Ten of them at most."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    client.put_object(Bucket="ours", Key="k", Body=b"")
    tags = {"TagSet": [{"Key": "b", "Value": "<&"}, {"Key": "a", "Value": ""}]}
    client.put_object_tagging(Bucket="ours", Key="k", Tagging=tags)  # type: ignore[arg-type]
    found = client.get_object_tagging(Bucket="ours", Key="k")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == {"b": "<&", "a": ""}
    client.delete_object_tagging(Bucket="ours", Key="k")
    assert client.get_object_tagging(Bucket="ours", Key="k")["TagSet"] == []
    many = {"TagSet": [{"Key": str(number), "Value": ""} for number in range(11)]}
    assert refusal(client.put_object_tagging, Bucket="ours", Key="k", Tagging=many) == (400, "BadRequest")


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA1", "SHA256"])
def test_checksums(api: Api, algorithm: str, size: int) -> None:
    """Verified, and given back."""
    client: Any = s3(api)
    body = body_of(size)
    client.create_bucket(Bucket="ours")
    name = f"Checksum{algorithm}"
    if algorithm == "CRC32C":
        # Of nine digits, as the algorithm's definition gives it: boto3 cannot reckon it by itself.
        body, value = b"123456789", base64.b64encode(bytes.fromhex("e3069283")).decode()
    else:
        value = base64.b64encode(hashlib.new(algorithm.lower(), body).digest()).decode()
    arguments: dict[str, Any] = {"Bucket": "ours", "Key": "k", "Body": body}
    assert client.put_object(**arguments, **{name: value})[name] == value
    found = client.head_object(Bucket="ours", Key="k", ChecksumMode="ENABLED")
    assert found[name] == value
    wrong = base64.b64encode(bytes(len(base64.b64decode(value)))).decode()
    assert refusal(client.put_object, **arguments, **{name: wrong}) == (400, "BadDigest")
    assert refusal(client.put_object, **arguments, **{name: "AA=="}) == (400, "InvalidDigest")


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_body_that_is_not_the_announced_one(api: Api, size: int) -> None:
    """Nothing is kept of it, neither a version nor a file."""
    client, body = s3(api), body_of(size)
    client.create_bucket(Bucket="ours")
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert put(api, body, Content_MD5=md5) == (400, "BadDigest")
    assert put(api, body, Content_MD5="?") == (400, "InvalidDigest")
    assert put(api, body, x_amz_content_sha256="0" * 64) == (400, "XAmzContentSHA256Mismatch")
    trailers = {"Content_Encoding": "aws-chunked", "x_amz_trailer": "x-amz-checksum-crc32"}
    framed = f"{size:x}\r\n".encode() + body + b"\r\n0\r\nx-amz-checksum-crc32:"
    good = base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))
    unsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    trailers |= {"x_amz_content_sha256": unsigned, "x_amz_decoded_content_length": str(size)}
    assert put(api, framed + b"AAAAAA==\r\n\r\n", **trailers) == (400, "BadDigest")
    assert put(api, framed[:-40], **trailers) == (400, "IncompleteBody")
    assert put(api, b"no number\r\n" + body, **trailers) == (400, "IncompleteBody")
    assert refusal(client.head_object, Bucket="ours", Key="raw") == (404, "404")
    assert put(api, framed + good + b"\r\n\r\n", **trailers) == (200, "")
    found = client.get_object(Bucket="ours", Key="raw")
    assert found["Body"].read() == body
    assert "ContentEncoding" not in found


def test_late_requests(api: Api) -> None:
    """A clock that is off, and presigned URLs whose time is over."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    for minutes in (-16, 16):
        moment = datetime.now(UTC) + timedelta(minutes=minutes)
        assert put(api, b"", x_amz_date=f"{moment:%Y%m%dT%H%M%SZ}") == (403, "RequestTimeTooSkewed")
    client.put_object(Bucket="ours", Key="k", Body=b"1")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "ours", "Key": "k"}, ExpiresIn=300)
    assert requests.get(url, timeout=5).content == b"1"
    now = url.partition("X-Amz-Date=")[2][:16]
    for minutes, text in ((-6, "Request has expired"), (16, "Request is not yet valid")):
        other = f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y%m%dT%H%M%SZ}"
        found = requests.get(url.replace(now, other), timeout=5)
        assert found.status_code == 403
        assert f"<Code>AccessDenied</Code><Message>{text}</Message>" in found.text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unavailable", (503, "ServiceUnavailable")),
        ("throttled", (503, "SlowDown")),
        ("quota_exceeded", (403, "QuotaExceeded")),
        ("denied", (403, "AccessDenied")),
    ],
)
def test_faults_strike_writes_of_objects(api: Api, kind: str, expected: tuple[int, str]) -> None:
    """As often as told, and nothing is written."""
    client = s3(api)
    client.create_bucket(Bucket="ours")
    api.request("PUT", "/_emulator/faults", {"faults": [{"operation": "S3 PutObject", "kind": kind, "count": 2}]})
    for size in SIZES[1:3]:
        assert refusal(client.put_object, Bucket="ours", Key="k", Body=body_of(size)) == expected
    assert client.list_objects_v2(Bucket="ours")["KeyCount"] == 0
    client.put_object(Bucket="ours", Key="k", Body=b"1")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 8)),
        ("bytes=2-99", (2, 8)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=-", None),
    ],
)
def test_ranges(header: str | None, found: tuple[int, int] | None) -> None:
    """Of ten bytes."""
    assert range_of(header, 10) == found


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_ranges_of_nothing(header: str, size: int) -> None:
    """416."""
    with pytest.raises(S3Error) as refused:
        range_of(header, size)
    assert refused.value.code == "InvalidRange"


def test_slices() -> None:
    """Every stretch of pieces is the stretch of what they hold."""
    contents = {1: b"abcdef", 2: b"ghi", 3: b"jklmn"}
    pieces = (Piece(1, 1, 4), Piece(2, 0, 3), Piece(3, 2, 3))

    def read(some: Any) -> bytes:
        return b"".join(contents[content][offset : offset + size] for content, offset, size in some)

    whole = read(pieces)
    for first in range(len(whole)):
        for size in range(1, len(whole) - first + 1):
            assert read(slice_of(pieces, first, size)) == whole[first : first + size]


def test_framed_bodies_in_any_pieces() -> None:
    """Wherever the network cuts."""
    framed = b"5;chunk-signature=ab\r\nhello\r\n1\r\n!\r\n0\r\nx-a: 1\r\nX-B:2\r\n\r\n"
    for step in range(1, len(framed)):
        chunks = AwsChunks()
        found = [bytes(c) for at in range(0, len(framed), step) for c in chunks.feed(framed[at : at + step])]
        assert b"".join(found) == b"hello!"
        assert (chunks.trailers, chunks.ended) == ({"x-a": "1", "x-b": "2"}, True)
